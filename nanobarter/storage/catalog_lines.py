"""The exported catalog: its records, the stream that they make, and the questions that gather them.

See docs/spec/storage-packs.md. It travels with the backup, so that the phrase alone finds everything again.
"""

import sqlite3
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, cast

import zstandard
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, PackId
from nanobarter.core.units import Instant
from nanobarter.storage.chunks import CHUNK_MAX, ChunkId
from nanobarter.storage.packs import ENTRIES_MAX
from nanobarter.storage.ports import PackKind
from nanobarter.storage.snapshot import SNAPSHOT_MAX
from nanobarter.storage.tree import Size

_LENGTH_BYTES: Final = 4
_RECORD_MAX: Final = 4 * 1024 * 1024  # a full pack's line: 32 Ki chunks of 39 bytes
_EXPORT_STEP: Final = 1024 * 1024


class ChunkLine(Record, frozen=True):
    """A chunk and its length before compression."""

    chunk_id: ChunkId
    length: Annotated[int, Meta(ge=0, le=CHUNK_MAX)]


class PackLine(Record, frozen=True, tag="pack"):
    """A stored pack with its chunks, as exported."""

    pack_id: PackId
    kind: PackKind
    share_size: Annotated[int, Meta(ge=1, le=2**31)]
    k: Annotated[int, Meta(ge=1, le=255)]
    n: Annotated[int, Meta(ge=1, le=255)]
    chunks: Annotated[tuple[ChunkLine, ...], Meta(max_length=ENTRIES_MAX)]


class SnapshotLine(Record, frozen=True, tag="snapshot"):
    """A snapshot, as exported: the pack and chunk that hold it, and the signed record itself."""

    snapshot_id: Hash
    started: Instant
    pack_id: PackId
    chunk_id: ChunkId
    body: Annotated[bytes, Meta(max_length=SNAPSHOT_MAX)]


class Head(Record, frozen=True, tag="catalog"):
    """The first record of an export."""

    version: Literal[1]
    packs: Size
    snapshots: Size


Line = Head | PackLine | SnapshotLine


def snapshot_lines(db: sqlite3.Connection) -> Iterable[SnapshotLine]:
    """Return all snapshots, oldest first."""
    question = (
        "SELECT snapshot_id, started, pack_id, chunk_id, body FROM storage_snapshots ORDER BY started, snapshot_id"
    )
    return (SnapshotLine(*row) for row in db.execute(question))


def _lines(db: sqlite3.Connection) -> Iterable[Line]:
    counts = db.execute("SELECT (SELECT count(*) FROM storage_packs), (SELECT count(*) FROM storage_snapshots)")
    yield Head(1, *counts.fetchone())
    # By pack id, not in the order of arrival: an imported catalog exports the same bytes.
    packs = db.execute("SELECT pack, pack_id, kind, share_size, k, n FROM storage_packs ORDER BY pack_id").fetchall()
    for pack, *columns in packs:
        chunks = db.execute("SELECT chunk_id, length FROM storage_chunks WHERE pack = ? ORDER BY chunk_id", (pack,))
        pack_id, kind, share_size, k, n = columns
        yield PackLine(pack_id, kind, share_size, k, n, tuple(ChunkLine(*row) for row in chunks))
    yield from snapshot_lines(db)


def export_lines(db: sqlite3.Connection) -> bytes:
    """Return packs, chunks and snapshots as one compressed stream, the same for the same catalog."""
    db.execute("BEGIN")  # one state of the catalog, though others write meanwhile
    try:
        packer = zstandard.ZstdCompressor(level=3).compressobj()
        parts = list[bytes]()
        for line in _lines(db):
            data = encode(line)
            parts.append(packer.compress(len(data).to_bytes(_LENGTH_BYTES, "big") + data))
        return b"".join([*parts, packer.flush()])
    finally:
        db.execute("ROLLBACK")


def parse_export(data: bytes, size_max: int) -> list[Line]:
    """Return the records of an export of at most ``size_max`` bytes when unpacked, or raise Malformed."""
    plain = _inflate(data, size_max)
    lines, at = list[Line](), 0
    while at < len(plain):
        end = at + _LENGTH_BYTES + int.from_bytes(plain[at : at + _LENGTH_BYTES], "big")
        if end > len(plain):
            raise Malformed("the catalog ends inside a record")
        lines.append(cast("Line", decode(plain[at + _LENGTH_BYTES : end], cast("Any", Line), size_max=_RECORD_MAX)))
        at = end
    _check_lines(lines)
    return lines


def _inflate(data: bytes, size_max: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    parts, size = list[bytes](), 0
    try:
        for start in range(0, len(data), _EXPORT_STEP):
            parts.append(unpacker.decompress(data[start : start + _EXPORT_STEP]))
            size += len(parts[-1])
            if size > size_max:
                raise Malformed(f"the catalog exceeds {size_max} bytes")
    except zstandard.ZstdError as error:
        raise Malformed(f"the catalog does not decompress: {error}") from None
    return b"".join(parts)


def _check_lines(lines: list[Line]) -> None:
    head = lines[0] if lines else None
    packs = sum(isinstance(line, PackLine) for line in lines)
    snapshots = [line for line in lines if isinstance(line, SnapshotLine)]
    if not isinstance(head, Head) or (head.packs, head.snapshots) != (packs, len(snapshots)):
        raise Malformed("the catalog is cut short, or is none")
    if packs + len(snapshots) + 1 != len(lines):
        raise Malformed("the catalog has two heads")
