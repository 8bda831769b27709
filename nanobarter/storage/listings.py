"""What is remembered of a directory between two backups, so that unchanged files are not read again."""

from typing import Annotated, Final

from blake3 import blake3
from msgspec import Meta

from nanobarter.core.canonical import Record, decode
from nanobarter.core.errors import Malformed
from nanobarter.storage.tree import Name

_LISTING_MAX: Final = 2**31
_CHECK_BYTES: Final = 16
Uint64 = Annotated[int, Meta(ge=0)]


class Known(Record, frozen=True):
    """A file as it was last read: (size, mtime, ctime, inode) and its encoded entry."""

    name: Name
    fingerprint: tuple[Uint64, Uint64, Uint64, Uint64]
    entry: bytes


def guarded(directory: bytes, listing: bytes) -> bytes:
    """Return a listing as it is kept: with a digest before it.

    The next backup takes its entries over without reading the files, and a bit that rots in the database would go
    into every snapshot to come.
    """
    return _digest(directory, listing) + listing


def unguarded(directory: bytes, kept: bytes) -> bytes:
    """Return the listing inside; nothing, when it is not as it was kept, so that the files are read again."""
    listing = kept[_CHECK_BYTES:]
    return listing if kept[:_CHECK_BYTES] == _digest(directory, listing) else b""


def _digest(directory: bytes, listing: bytes) -> bytes:
    return blake3(directory + b"\0" + listing).digest(length=_CHECK_BYTES)


def decode_listing(data: bytes) -> tuple[Known, ...]:
    """Return a stored listing; one that cannot be read costs only time."""
    if not data:
        return ()
    try:
        return decode(data, tuple[Known, ...], size_max=_LISTING_MAX)
    except Malformed:
        return ()
