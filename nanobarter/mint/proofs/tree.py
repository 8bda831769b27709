"""A Merkle tree over sorted entries: it shows that an entry is in it, and also that a key is not.

The shape is that of Certificate Transparency (RFC 6962, section 2.1; paths are checked as in RFC 9162, section
2.1.3.2): leaves and nodes are hashed under different first bytes, so that neither passes for the other. Here the
leaves are sorted by key, as in revocation trees (Kocher 1998). So two neighbours with a gap between them prove that
what would lie in the gap was never committed to, without any further word of the signer. The tree's number is hashed
into its leaves: an entry of one tree is worth nothing in another.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.ids import Hash, sha256
from nanobarter.mint.proofs.verdict import need

ISSUED: Final = 1
SPENT: Final = 2
LOCKS: Final = 3
LEASES: Final = 4

SIZE_MAX: Final = 2**32  # entries of one epoch; a fast mint commits a few million an hour
_DEPTH_MAX: Final = 32

TreeNumber = Annotated[int, Meta(ge=1, le=4)]
Path = Annotated[tuple[Hash, ...], Meta(max_length=_DEPTH_MAX)]


class Root(Record, frozen=True):
    """A tree, in short: how many entries, and the hash at its top."""

    size: Annotated[int, Meta(ge=0, le=SIZE_MAX)]
    top: Hash


class Place(Record, frozen=True):
    """One entry, where it stands among the sorted, and the hashes beside its way to the top, the lowest first."""

    index: Annotated[int, Meta(ge=0, lt=SIZE_MAX)]
    key: Hash
    value: Hash
    path: Path


class Gap(Record, frozen=True):
    """The two neighbours between which a key would stand; None at an end of the tree."""

    left: Place | None
    right: Place | None


@dataclass(frozen=True)
class Entry:
    """A key and what is said of it."""

    key: bytes
    value: bytes


def leaf_hash(tree: int, key: bytes, value: bytes) -> Hash:
    """Return the hash of a leaf: 00, the tree's number, key, value."""
    return sha256(b"\x00" + tree.to_bytes(1, "big") + key + value)


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class SortedTree:
    """The tree of a mint that keeps all entries. Keys must differ."""

    def __init__(self, number: int, entries: Iterable[Entry]) -> None:
        self._number = number
        self._entries = sorted(entries, key=lambda entry: entry.key)
        self._keys = [entry.key for entry in self._entries]
        level = [bytes(leaf_hash(number, e.key, e.value)) for e in self._entries]
        self._levels = [level]
        while len(level) > 1:
            above = [_node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            level = above + level[2 * len(above) :]  # an odd last one goes up as it is
            self._levels.append(level)

    @property
    def root(self) -> Root:
        """The tree, in short; an empty one has the hash of nothing at its top."""
        return Root(len(self._entries), Hash(self._levels[-1][0]) if self._entries else sha256(b""))

    def place(self, index: int) -> Place:
        """Return the entry at an index with its path."""
        entry, path, at = self._entries[index], list[Hash](), index
        for level in self._levels[:-1]:
            if at ^ 1 < len(level):
                path.append(Hash(level[at ^ 1]))
            at //= 2
        return Place(index, Hash(entry.key), Hash(entry.value), tuple(path))

    def look_up(self, key: bytes) -> Place | Gap:
        """Return the entry of a key, or the gap that shows that there is none."""
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key:
            return self.place(at)
        return Gap(self.place(at - 1) if at else None, self.place(at) if at < len(self._keys) else None)


def stands(root: Root, tree: int, place: Place) -> bool:
    """Tell whether this entry stands at this index of the tree."""
    at, last = place.index, root.size - 1
    if at > last:
        return False
    top = bytes(leaf_hash(tree, place.key, place.value))
    for beside in place.path:
        if last == 0:
            return False
        if at & 1 or at == last:
            top = _node_hash(beside, top)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            top = _node_hash(top, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and top == root.top


def check_gap(root: Root, tree: int, key: bytes, gap: Gap) -> None:
    """Raise Malformed unless the gap shows that the key is not in the sorted tree."""
    left, right = gap.left, gap.right
    need(left is None or (stands(root, tree, left) and left.key < key), "the left neighbour does not stand before it")
    need(right is None or (stands(root, tree, right) and right.key > key), "the right neighbour is not behind it")
    first = 0 if left is None else left.index + 1
    behind = root.size if right is None else right.index
    need(first == behind, "something stands between the neighbours")
