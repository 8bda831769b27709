"""The bytes of one restored file: fetched, or left as they are where an earlier attempt has put them already.

Nothing about an old file is believed: a piece counts as there only if its bytes have the piece's id.
"""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.storage.chunks import ChunkId
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.tree import File, unfold

_AHEAD: Final = 8  # chunks of a large file whose packs are asked for before their turn
_ZERO_STEP: Final = 1024 * 1024


class Spans:
    """Hands out where the next bytes of a file go, around its holes."""

    def __init__(self, entry: File) -> None:
        self._holes = deque(entry.holes)
        self._size = entry.size
        self._at = 0

    def take(self, count: int) -> list[tuple[int, int]]:
        """Return the (offset, length) of the next ``count`` bytes. Raises Malformed beyond the end of the file."""
        spans = list[tuple[int, int]]()
        while count:
            self._skip()
            space = (self._holes[0][0] if self._holes else self._size) - self._at
            if space <= 0:
                raise Malformed("the content is longer than the file")
            spans.append((self._at, min(space, count)))
            self._at += spans[-1][1]
            count -= spans[-1][1]
        return spans

    def end(self) -> None:
        """Raise Malformed unless all of the file was handed out."""
        self._skip()
        if self._at != self._size:
            raise Malformed(f"the content ends at {self._at} of {self._size} bytes")

    def _skip(self) -> None:
        while self._holes and self._holes[0][0] == self._at:
            self._at += self._holes.popleft()[1]


@dataclass
class Filler:
    """Fills files. ``fetched`` and ``kept`` count bytes."""

    reader: ChunkReader
    fetched: int = 0
    kept: int = 0
    fetching: bool = True
    """Whether packs are asked for ahead: not while pieces turn out to be there."""

    def fill(self, handle: int, entry: File, *, begun: bool) -> None:
        """Make an open file hold what the entry says; ``begun``: some of it may be there.

        Raises Malformed and PackMissing; what was written until then stays.
        """
        if begun and not holes_are_empty(handle, entry):
            os.ftruncate(handle, 0)
        spans, self.fetching = Spans(entry), not begun
        for chunk_id in self._ids(entry):
            length = self.reader.length(chunk_id) if begun else None
            if length is not None:
                where = spans.take(length)
                if self._is_there(handle, where, chunk_id):
                    self.kept += length
                    continue
                self.fetching = True
                raw = self.reader.data(chunk_id)
                if len(raw) != length:
                    raise Malformed("a piece does not have the length that the catalog says")
            else:
                raw = self.reader.data(chunk_id)
                where = spans.take(len(raw))
            self._write(handle, where, raw)
        spans.end()
        os.ftruncate(handle, entry.size)

    def holds(self, handle: int, entry: File) -> bool:
        """Tell whether an open file holds just what the entry says, without fetching pieces of it."""
        if os.fstat(handle).st_size != entry.size or not holes_are_empty(handle, entry):
            return False
        spans = Spans(entry)
        for chunk_id in unfold(entry.content, self.reader.meta):
            length = self.reader.length(chunk_id)
            if length is None or not self._is_there(handle, spans.take(length), chunk_id):
                return False
        spans.end()
        self.kept += entry.size - sum(length for _, length in entry.holes)
        return True

    def _is_there(self, handle: int, where: list[tuple[int, int]], chunk_id: ChunkId) -> bool:
        raw = b"".join(os.pread(handle, length, offset) for offset, length in where)
        return self.reader.ids.data(raw) == chunk_id

    def _write(self, handle: int, where: list[tuple[int, int]], raw: bytes) -> None:
        rest = memoryview(raw)
        for offset, length in where:
            part, rest, at = rest[:length], rest[length:], offset
            while part:
                done = os.pwrite(handle, part, at)
                part, at = part[done:], at + done
                self.fetched += done

    def _ids(self, entry: File) -> Iterator[ChunkId]:
        """Return the pieces of a file in order, asking for the packs of those that follow."""
        ids = unfold(entry.content, self.reader.meta)
        coming = deque(islice(ids, _AHEAD))
        while coming:
            chunk_id = coming.popleft()
            following = next(ids, None)
            if following is not None:
                if self.fetching:
                    self.reader.expect(following)
                coming.append(following)
            yield chunk_id


def holes_are_empty(handle: int, entry: File) -> bool:
    """Tell whether nothing but zeros is where the entry has holes, as far as the file reaches."""
    return all(_is_zero(handle, offset, offset + length) for offset, length in entry.holes)


def _is_zero(handle: int, at: int, end: int) -> bool:
    while at < end:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA)
        except OSError:
            return True  # no data behind this place
        if at >= end:
            return True
        piece = os.pread(handle, min(_ZERO_STEP, end - at), at)
        if not piece:
            return True
        if piece.count(0) != len(piece):
            return False
        at += len(piece)
    return True
