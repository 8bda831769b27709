"""What is remembered of a directory between two backups, so that unchanged files are not read again."""

from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record, decode
from nanobarter.core.errors import Malformed
from nanobarter.storage.tree import Name

_LISTING_MAX: Final = 2**31
Uint64 = Annotated[int, Meta(ge=0)]


class Known(Record, frozen=True):
    """A file as it was last read: (size, mtime, ctime, inode) and its encoded entry."""

    name: Name
    fingerprint: tuple[Uint64, Uint64, Uint64, Uint64]
    entry: bytes


def decode_listing(data: bytes) -> tuple[Known, ...]:
    """Return a stored listing; one that cannot be read costs only time."""
    if not data:
        return ()
    try:
        return decode(data, tuple[Known, ...], size_max=_LISTING_MAX)
    except Malformed:
        return ()
