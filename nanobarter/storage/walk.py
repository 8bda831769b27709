"""From folders to trees: the walk over a source, deepest first, that decides what is read and what is known.

It runs in one worker thread and hands chunks to an ``Intake``. Nothing that it meets stops it: what cannot be
read is a ``Problem`` in the snapshot. A file whose size, times and inode are those of the last finished run is
not opened; its entry is taken over whole, since the kernel sets ctime at every change of data or attributes.
Iterative, since a path may be deeper than Python's stack.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from nanobarter.core.canonical import encode
from nanobarter.core.errors import UsageError
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.storage import scan
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.chunks import CHUNK_MIN, Chunker, ChunkId
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.listings import Known, decode_listing
from nanobarter.storage.snapshot import PATH_MAX, PROBLEMS_MAX, Problem, Root, Trouble
from nanobarter.storage.tree import EMPTY, Content, Directory, File, fold, write_directory

_NANO_PER_MS: Final = 1_000_000
_CACHE_TAG_BYTES: Final = 64

_Read = tuple[int, tuple[tuple[int, int], ...], Content]  # size, holes, content


class Intake(Protocol):
    """Takes chunks, of which many are known already, and names them. Called from the walker's thread."""

    def data(self, raw: bytes | memoryview) -> ChunkId:
        """Take a piece of a file."""
        ...

    def meta(self, raw: bytes) -> ChunkId:
        """Take a metadata chunk."""
        ...

    def listing(self, directory: bytes, listing: bytes) -> None:
        """Take a directory's listing for the next run."""
        ...


@dataclass
class Counts:
    """What the walk has met so far."""

    files: int = 0
    directories: int = 0
    seen_bytes: int = 0
    skipped: int = 0
    path: bytes = b""
    """Where it is now, for display."""


@dataclass
class _Frame:
    """A directory in progress: its names to come, descending, and the entries done, ascending."""

    path: bytes
    name: bytes
    relative: bytes
    found: os.stat_result
    names: list[bytes]
    known: dict[bytes, Known]
    done: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    seen: list[Known] = field(default_factory=list[Known])
    fresh: bool = False


@dataclass
class Walker:
    """One walk over all roots of a snapshot."""

    catalog: Catalog
    chunker: Chunker
    intake: Intake
    excludes: Excludes
    clock: Clock
    limits: Limits
    tick: Callable[[Counts], None]
    """Called at every file; may raise to stop the walk."""
    counts: Counts = field(default_factory=Counts)
    problems: list[Problem] = field(default_factory=list[Problem])
    problem_count: int = 0
    complete: bool = True
    links: dict[tuple[int, int], tuple[tuple[int, int, int, int], _Read]] = field(
        default_factory=dict[tuple[int, int], tuple[tuple[int, int, int, int], _Read]]
    )
    """What files with several names held, by device and inode, so that each is read once."""

    def root(self, path: bytes) -> Root:
        """Return a root for an absolute path. Raises UsageError when it is not there or cannot be kept."""
        try:
            found = os.lstat(path)
        except OSError as error:
            raise UsageError(f"{os.fsdecode(path)!r} cannot be backed up: {error.strerror}") from None
        name = os.path.basename(path) or b"root"  # noqa: PTH119 - as above
        if stat.S_ISDIR(found.st_mode):
            return Root(path, self._tree(path, name, found))
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{os.fsdecode(path)!r} is neither a folder nor a file")
        entry = self._read(path, name)
        if entry is None:
            raise UsageError(f"{os.fsdecode(path)!r} cannot be read")
        return Root(path, entry[0])

    def trouble(self, path: bytes, trouble: Trouble, detail: str = "") -> None:
        """Note a path that is not kept as it is."""
        self.problem_count += 1
        if trouble == "skipped":
            self.counts.skipped += 1
        else:
            self.complete = False
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(path[:PATH_MAX], trouble, detail[:200]))

    def _tree(self, path: bytes, name: bytes, found: os.stat_result) -> Directory:
        """Return the directory after everything below it. One frame per level of depth is held."""
        top = self._enter(path, name, b"", found)
        stack = [top]
        while True:
            frame = stack[-1]
            if frame.names:
                child = self._visit(frame, frame.names.pop(), top.found.st_dev)
                if child is not None:
                    stack.append(child)
                continue
            entry = self._leave(frame)
            stack.pop()
            if not stack:
                return entry
            stack[-1].done.append((entry.name, encode(entry)))

    def _enter(self, path: bytes, name: bytes, relative: bytes, found: os.stat_result) -> _Frame:
        self.counts.directories += 1
        try:
            names = os.listdir(path)  # noqa: PTH208 - a path of bytes
        except OSError as error:
            self._failed(path, error)
            names = list[bytes]()
        marker = self.excludes.only_marker(set(names), lambda tag: _start_of(os.path.join(path, tag)))  # noqa: PTH118 - as above
        if marker is not None:
            names = [marker]
        names.sort(reverse=True)
        known = {one.name: one for one in decode_listing(self.catalog.listing_now(path))}
        return _Frame(path, name, relative, found, names, known)

    def _leave(self, frame: _Frame) -> Directory:
        content = write_directory(frame.done, self.intake.meta)
        if frame.fresh or len(frame.seen) != len(frame.known):
            self.intake.listing(frame.path, encode(frame.seen))
        xattrs, missed = scan.xattrs_of(frame.path)
        if missed:
            self.trouble(frame.path, "attributes", missed)
        return Directory(frame.name, scan.attributes_of(frame.found, xattrs), content)

    def _visit(self, frame: _Frame, name: bytes, device: int) -> _Frame | None:
        """Take one name of a directory; returns a frame when it is a directory to enter."""
        path = os.path.join(frame.path, name)  # noqa: PTH118 - a path of bytes
        relative = frame.relative + b"/" + name if frame.relative else name
        try:
            found = os.lstat(path)
        except OSError as error:
            self._failed(path, error)
            return None
        kind = stat.S_IFMT(found.st_mode)
        if self.excludes.leaves_out(path, relative, directory=kind == stat.S_IFDIR):
            return None
        self.counts.path = path
        self.tick(self.counts)
        if kind == stat.S_IFDIR:
            return self._subdirectory(frame, path, name, relative, found, device)
        if kind == stat.S_IFREG:
            self._file(frame, path, name, found)
        elif kind in (stat.S_IFIFO, stat.S_IFSOCK):
            self.trouble(path, "skipped", "a FIFO" if kind == stat.S_IFIFO else "a socket")
        else:
            self._special(frame, path, name, found)
        return None

    def _subdirectory(
        self, frame: _Frame, path: bytes, name: bytes, relative: bytes, found: os.stat_result, device: int
    ) -> _Frame | None:
        if self.excludes.one_file_system and found.st_dev != device:
            entry = Directory(name, scan.attributes_of(found, ()), EMPTY)  # a mount point stays, empty
            frame.done.append((name, encode(entry)))
            return None
        return self._enter(path, name, relative, found)

    def _special(self, frame: _Frame, path: bytes, name: bytes, found: os.stat_result) -> None:
        make = scan.symlink_of if stat.S_ISLNK(found.st_mode) else scan.device_of
        try:
            entry, missed = make(name, path, found)
        except OSError as error:
            self._failed(path, error)
            return
        if missed:
            self.trouble(path, "attributes", missed)
        self.counts.files += 1
        frame.done.append((name, encode(entry)))

    def _file(self, frame: _Frame, path: bytes, name: bytes, found: os.stat_result) -> None:
        fingerprint = scan.fingerprint(found)
        known = frame.known.get(name)
        if known is not None and known.fingerprint == fingerprint:
            self.counts.files += 1
            self.counts.seen_bytes += found.st_size
            frame.seen.append(known)
            frame.done.append((name, known.entry))
            return
        read = self._read(path, name)
        if read is None:
            return
        entry, found, still = read
        encoded = encode(entry)
        frame.done.append((name, encoded))
        if still and self._is_settled(found):
            frame.fresh = True
            frame.seen.append(Known(name, scan.fingerprint(found), encoded))

    def _is_settled(self, found: os.stat_result) -> bool:
        """Tell whether a later change would show: not if it could carry the same time stamp as the last one."""
        return found.st_ctime_ns + self.limits.storage_racy * _NANO_PER_MS < (self.clock.now() + 1) * _NANO_PER_MS

    def _read(self, path: bytes, name: bytes) -> tuple[File, os.stat_result, bool] | None:
        """Return a file's entry, its last state, and whether it held still; None when it cannot be read."""
        try:
            handle = scan.open_file(path)
            try:
                return self._read_open(handle, path, name)
            finally:
                os.close(handle)
        except OSError as error:
            self._failed(path, error)
            return None

    def _read_open(self, handle: int, path: bytes, name: bytes) -> tuple[File, os.stat_result, bool]:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(0, "it became another kind of file")
        size, holes, content = self._content(handle, before)
        found = os.fstat(handle)
        still = scan.held_still(before, found)
        if not still:  # once more: most files are written in a moment and then rest
            before = found
            size, holes, content = self._content(handle, before)
            found = os.fstat(handle)
            still = scan.held_still(before, found)
        if not still:
            self.trouble(path, "changed", "it changed while it was read")
        xattrs, missed = scan.xattrs_of(handle)
        if missed:
            self.trouble(path, "attributes", missed)
        self.counts.files += 1
        self.counts.seen_bytes += size
        entry = File(name, scan.attributes_of(found, xattrs), size, content, holes, scan.link_of(found))
        return entry, found, still and not missed

    def _content(self, handle: int, found: os.stat_result) -> _Read:
        """Return size, holes and content as read; they agree with each other even when the file shrinks."""
        link, fingerprint = scan.link_of(found), scan.fingerprint(found)
        if link is not None and link in self.links and self.links[link][0] == fingerprint:
            return self.links[link][1]
        holes = scan.holes_of(handle, found)
        room = found.st_size - sum(length for _, length in holes)
        extents = scan.Extents(handle, found.st_size, holes)
        if room <= CHUNK_MIN:
            raw = extents.read_all()
            ids = [self.intake.data(raw)] if raw else []
        else:
            ids = [self.intake.data(piece) for piece in self.chunker.cut(extents)]
        size = found.st_size
        if extents.count != room:
            size, holes = extents.count, ()
        read = (size, holes, fold(ids, self.intake.meta))
        if link is not None and len(self.links) < self.limits.storage_links_max:
            self.links[link] = (fingerprint, read)
        return read

    def _failed(self, path: bytes, error: OSError) -> None:
        vanished = isinstance(error, FileNotFoundError | NotADirectoryError)
        self.trouble(path, "vanished" if vanished else "unreadable", error.strerror or str(error))


def _start_of(path: bytes) -> bytes:
    with suppress(OSError):
        handle = scan.open_file(path)
        try:
            return os.read(handle, _CACHE_TAG_BYTES)
        finally:
            os.close(handle)
    return b""
