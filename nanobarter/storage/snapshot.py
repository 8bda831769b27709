"""A snapshot: the signed record that names the tops of the trees, and says how complete they are."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, VaultId, sha256
from nanobarter.core.keys import Signed, open_signed, seal_signed
from nanobarter.core.units import Instant
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.tree import Entry, Size, check_entry

SNAPSHOT_MAX: Final = 1024 * 1024
PROBLEMS_MAX: Final = 256  # named in a snapshot; the rest is counted
ROOTS_MAX: Final = 64
PATH_MAX: Final = 8192
_DOMAIN: Final = "snapshot"

Trouble = Literal["unreadable", "changed", "vanished", "skipped", "attributes"]
"""Could not be read; changed while it was read; was gone when its turn came; is of a kind that is not kept
(sockets and FIFOs); or only its extended attributes are missing."""


class Problem(Record, frozen=True):
    """A path that is not in the snapshot as it was on the disk, and why."""

    path: Annotated[bytes, Meta(max_length=PATH_MAX)]
    trouble: Trouble
    detail: Annotated[str, Meta(max_length=200)] = ""


class Root(Record, frozen=True):
    """One folder or file that was backed up: its absolute path and its entry."""

    path: Annotated[bytes, Meta(min_length=1, max_length=PATH_MAX)]
    entry: Entry


class Stats(Record, frozen=True):
    """Counts over all roots. ``new_bytes`` were not stored before; ``packed_bytes`` is what they became."""

    files: Size
    directories: Size
    seen_bytes: Size
    new_bytes: Size
    packed_bytes: Size


class Snapshot(Record, frozen=True):
    """The state of some folders at a time. ``complete`` is false when anything but skipped kinds is missing."""

    version: Literal[1]
    vault: VaultId
    host: Annotated[str, Meta(max_length=255)]
    started: Instant
    ended: Instant
    roots: Annotated[tuple[Root, ...], Meta(min_length=1, max_length=ROOTS_MAX)]
    complete: bool
    problems: Annotated[tuple[Problem, ...], Meta(max_length=PROBLEMS_MAX)]
    problem_count: Size
    stats: Stats
    k: Annotated[int, Meta(ge=1, le=255)]
    n: Annotated[int, Meta(ge=1, le=255)]


def seal_snapshot(keys: VaultKeys, snapshot: Snapshot) -> Signed:
    """Return the snapshot signed by its vault."""
    return seal_signed(keys.signing, _DOMAIN, snapshot)


def snapshot_id_of(signed: Signed) -> Hash:
    """Return the id of a snapshot: the SHA-256 of the signed record."""
    return sha256(encode(signed))


def open_snapshot(data: bytes, keys: VaultKeys) -> Snapshot:
    """Return the snapshot in the canonical bytes of a Signed. Raises Malformed unless this vault made it."""
    signed = decode(data, Signed, size_max=SNAPSHOT_MAX)
    if signed.key != keys.signing.public:
        raise Malformed("the snapshot is signed by another key")
    snapshot = open_signed(signed, _DOMAIN, Snapshot, size_max=SNAPSHOT_MAX)
    if snapshot.vault != keys.vault_id:
        raise Malformed("the snapshot is of another vault")
    for root in snapshot.roots:
        check_entry(root.entry)
    return snapshot
