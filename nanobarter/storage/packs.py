"""Packs: many chunks under one random key, padded to a few fixed sizes, readable with the vault key alone.

The body of a pack, in order (docs/spec/storage-packs.md):

    80 bytes   the pack key, sealed by HPKE to the vault's public key (RFC 9180, base mode)
    20 bytes   the length of the index, sealed under the pack key
    index      who is where: id, length and method of each chunk, sealed
    chunks     each sealed by itself, in the order of their ids, which mixes those of several files
    padding    up to k shares of one of the four sizes; key stream, so that it looks like the rest

Seals are AES-256-GCM with a counter as nonce; the key is fresh per pack, so no nonce repeats. All of it is
random bytes to whoever lacks the key. The pack id, a hash of the body, covers the padding too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import VaultId
from nanobarter.core.ports import Entropy
from nanobarter.core.units import MIB
from nanobarter.storage import chunks
from nanobarter.storage.chunks import CHUNK_MAX, ChunkId, ChunkIds
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.ports import SHARE_SIZES, Pack, PackKind, pack_id_of

SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
SEALED_KEY_BYTES: Final = 80  # 32 encapsulated + 32 key + 16 tag
TAG_BYTES: Final = 16
_COUNT_BYTES: Final = 4
_PREFIX_BYTES: Final = SEALED_KEY_BYTES + _COUNT_BYTES + TAG_BYTES
ENTRY_BYTES_MAX: Final = 47  # id 34, two lengths of 5, and 1 each for the array, role and method
_INDEX_HEAD_MAX: Final = 48
ENTRIES_MAX: Final = 32 * 1024  # bounds the index to 1.5 MiB
BODY_TARGET: Final = 16 * MIB  # a full pack has at most so many bytes before expansion
_PADDING_NONCE: Final = b"\xff" * 12

Role = Literal[0, 1, 2]
DATA: Final = 0
TREE: Final = 1
SNAPSHOT: Final = 2


class IndexEntry(Record, frozen=True):
    """One chunk of a pack. ``stored`` is its length before the tag of the seal."""

    chunk_id: ChunkId
    role: Role
    method: Literal[0, 1]
    length: Annotated[int, Meta(ge=0, le=CHUNK_MAX)]
    stored: Annotated[int, Meta(ge=0, le=CHUNK_MAX)]


class PackIndex(Record, frozen=True):
    """The table of contents of a pack, in the order of its chunks."""

    version: Literal[1]
    vault: VaultId
    entries: Annotated[tuple[IndexEntry, ...], Meta(max_length=ENTRIES_MAX)]


@dataclass(frozen=True)
class Piece:
    """A chunk on its way into a pack: compressed, not yet sealed."""

    chunk_id: ChunkId
    role: Role
    method: Literal[0, 1]
    length: int
    packed: bytes = field(repr=False)

    @property
    def cost(self) -> int:
        """The most bytes that it takes in a body."""
        return len(self.packed) + TAG_BYTES + ENTRY_BYTES_MAX

    @property
    def entry(self) -> IndexEntry:
        """Its line in the index."""
        return IndexEntry(self.chunk_id, self.role, self.method, self.length, len(self.packed))


def make_piece(chunk_id: ChunkId, role: Role, raw: bytes) -> Piece:
    """Return a chunk, compressed if that gains something."""
    method, packed = chunks.compress(raw)
    return Piece(chunk_id, role, chunks.ZSTD if method else chunks.RAW, len(raw), packed)


def share_size_full(k: int) -> int:
    """Return the share size of full packs: the largest that keeps a body within 16 MiB."""
    return max(size for size in SHARE_SIZES if size * k <= BODY_TARGET or size == SHARE_SIZES[0])


def room(k: int, share_size: int) -> int:
    """Return how much ``Piece.cost`` fits a body of k shares."""
    return k * share_size - _PREFIX_BYTES - TAG_BYTES - _INDEX_HEAD_MAX


def fits(pieces: Sequence[Piece], k: int) -> int | None:
    """Return the smallest share size whose body holds the pieces, or None when there is no such size."""
    cost = sum(piece.cost for piece in pieces)
    full = share_size_full(k)
    return next((size for size in SHARE_SIZES if size <= full and cost <= room(k, size)), None)


@dataclass(frozen=True)
class Sealer:
    """Makes packs for a vault; it needs no secret but the randomness."""

    public: X25519PublicKey
    vault: VaultId
    entropy: Entropy

    def seal(self, pieces: Sequence[Piece], kind: PackKind, *, share_size: int, k: int, n: int) -> Pack:
        """Return the pack of these pieces. CPU-heavy: for a worker thread. They must fit (``room``)."""
        key = self.entropy.token(32)
        sealed_key = SUITE.encrypt(key, self.public, pack_info(self.vault))
        body = b"".join((sealed_key, seal_rest(key, self.vault, pieces, k * share_size)))
        return Pack(pack_id_of(body), kind, body, share_size, k, n)


def pack_info(vault: VaultId) -> bytes:
    """Return HPKE's ``info``: binds a pack key to its vault."""
    return b"nanobarter/pack/1\x00" + vault


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")


def seal_rest(key: bytes, vault: VaultId, pieces: Sequence[Piece], size: int) -> bytearray:
    """Return all of a body of ``size`` bytes but its first 80, a function of the key and the pieces."""
    ordered = sorted(pieces, key=lambda piece: piece.chunk_id)
    index = encode(PackIndex(1, vault, tuple(piece.entry for piece in ordered)))
    seal = AESGCM(key)
    head = len(index).to_bytes(_COUNT_BYTES, "big")
    stored = [head, index, *(piece.packed for piece in ordered)]
    left = size - SEALED_KEY_BYTES - sum(len(one) + TAG_BYTES for one in stored)
    if left < 0:
        raise ValueError(f"the pieces exceed a body of {size} bytes by {-left}")
    rest, at = bytearray(size - SEALED_KEY_BYTES), 0  # sealed where they stay: a body is up to 16 MiB
    with memoryview(rest) as view:
        for number, one in enumerate(stored):
            end = at + len(one) + TAG_BYTES
            seal.encrypt_into(_nonce(number), one, None, view[at:end])
            at = end
        view[at:] = seal.encrypt(_PADDING_NONCE, bytes(left), None)[:left]
    return rest


@dataclass(frozen=True)
class OpenPack:
    """A pack whose index was read; chunks are opened one by one."""

    seal: AESGCM = field(repr=False)
    body: bytes = field(repr=False)
    index: PackIndex
    places: dict[ChunkId, tuple[int, int]] = field(repr=False)

    def entry(self, chunk_id: ChunkId) -> IndexEntry:
        """Return the line of a chunk. Raises Malformed when it is not here."""
        return self.index.entries[self._place(chunk_id)[0]]

    def stored(self, chunk_id: ChunkId) -> bytes:
        """Return a chunk as it was stored. Raises Malformed when it is not here or was tampered with."""
        number, offset = self._place(chunk_id)
        entry = self.index.entries[number]
        sealed = self.body[offset : offset + entry.stored + TAG_BYTES]
        return _opened(self.seal, _nonce(2 + number), sealed)

    def chunk(self, chunk_id: ChunkId) -> bytes:
        """Return a chunk. Raises Malformed when it is not here or was tampered with; its id is not checked."""
        entry = self.entry(chunk_id)
        return chunks.decompress(entry.method, self.stored(chunk_id), entry.length)

    def _place(self, chunk_id: ChunkId) -> tuple[int, int]:
        place = self.places.get(chunk_id)
        if place is None:
            raise Malformed(f"chunk {chunk_id.hex()[:16]} is not in this pack")
        return place


def piece_of(pack: OpenPack, chunk_id: ChunkId, ids: ChunkIds) -> Piece:
    """Return a chunk of a pack as a piece for another one, checked against its id and not compressed again.

    Raises Malformed when it is not here, was tampered with, or is not what its id says.
    """
    entry = pack.entry(chunk_id)
    raw = pack.chunk(chunk_id)
    if (ids.data(raw) if entry.role == DATA else ids.meta(raw)) != chunk_id:
        raise Malformed(f"chunk {chunk_id.hex()[:16]} is not what its id says")
    return Piece(chunk_id, entry.role, entry.method, entry.length, pack.stored(chunk_id))


def _opened(seal: AESGCM, nonce: bytes, sealed: bytes) -> bytes:
    try:
        return seal.decrypt(nonce, sealed, None)
    except (InvalidTag, ValueError):
        raise Malformed("a seal in the pack does not open") from None


def _open_front(body: bytes, keys: VaultKeys) -> tuple[AESGCM, int]:
    """Return the pack's key and where its index ends. Raises Malformed."""
    if len(body) < _PREFIX_BYTES:
        raise Malformed(f"a pack of {len(body)} bytes is too short")
    try:
        key = SUITE.decrypt(body[:SEALED_KEY_BYTES], keys.hpke_private, pack_info(keys.vault_id))
        seal = AESGCM(key)
    except (InvalidTag, ValueError):
        raise Malformed("the pack is not sealed to this vault, or damaged") from None
    size = int.from_bytes(_opened(seal, _nonce(0), body[SEALED_KEY_BYTES:_PREFIX_BYTES]), "big")
    return seal, _PREFIX_BYTES + size + TAG_BYTES


def _open_index(seal: AESGCM, body: bytes, end: int, keys: VaultKeys) -> PackIndex:
    index = decode(_opened(seal, _nonce(1), body[_PREFIX_BYTES:end]), PackIndex, size_max=end)
    if index.vault != keys.vault_id:
        raise Malformed("the pack is of another vault")
    return index


def peek_index(front: bytes, keys: VaultKeys) -> PackIndex | int:
    """Return the index of a pack from its first bytes, or how many of them it takes. Raises Malformed."""
    seal, end = _open_front(front, keys)
    return end if end > len(front) else _open_index(seal, front, end, keys)


def open_pack(body: bytes, keys: VaultKeys) -> OpenPack:
    """Return the pack behind a body. Raises Malformed for any other bytes; check the pack id yourself."""
    seal, end = _open_front(body, keys)
    index = _open_index(seal, body, end, keys)
    places = dict[ChunkId, tuple[int, int]]()
    for number, entry in enumerate(index.entries):
        places[entry.chunk_id] = (number, end)
        end += entry.stored + TAG_BYTES
    if end > len(body) or len(places) != len(index.entries):
        raise Malformed("the index of the pack does not fit its body")
    return OpenPack(seal, body, index, places)
