"""One share: what a peer keeps, how it describes itself, and how a peer proves that it still has it.

    share = header (256 bytes: magic, length, canonical ShareHeader, zeros) | data

``data`` is one erasure share under a mask: AES-256-CTR with a key of this pack and index alone. The pack was
encrypted before; the mask makes the shares of a 1-of-n pack, which are plain copies, different at every peer, so that
one peer cannot answer for another with the same bytes (a "Sybil" replica in Filecoin's proof-of-replication report).

A share's name is its root: a binary BLAKE3 Merkle tree over the blocks of 4 KiB of the whole share, an odd node
moving up unchanged, leaves and nodes told apart by a first byte (RFC 6962, section 2.1), and its length in the last
hash. So allocating under a name fixes the content, and a proof is one block and the hashes beside its way up.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, PackId, VaultId
from nanobarter.core.keys import derive
from nanobarter.storage.ports import SHARE_SIZES

MAGIC: Final = b"nbshare1"
HEADER_BYTES: Final = 256
BLOCK_BYTES: Final = 4096
SHARE_BYTES_MAX: Final = HEADER_BYTES + max(SHARE_SIZES)
PATH_MAX: Final = 10  # 2 MiB and a header are 513 blocks

_CIPHER_BYTES: Final = 15  # beyond the end, which the cipher's interface wants though a stream needs none

Bytes = bytes | bytearray | memoryview

Index = Annotated[int, Meta(ge=0, le=254)]
Count = Annotated[int, Meta(ge=1, le=255)]
ShareBytes = Annotated[int, Meta(ge=1, le=SHARE_BYTES_MAX)]
Path = Annotated[tuple[Hash, ...], Meta(max_length=PATH_MAX)]


class ShareHeader(Record, frozen=True):
    """What a share says of itself: enough to put a vault together from shares alone. ``digest`` is over ``data``."""

    vault: VaultId
    pack: PackId
    index: Index
    k: Count
    n: Count
    size: ShareBytes
    digest: Hash


@dataclass(frozen=True)
class Share:
    """A share as it travels and rests, with its name."""

    header: ShareHeader
    view: memoryview
    root: Hash

    @property
    def raw(self) -> bytes:
        """The bytes, copied."""
        return bytes(self.view)


def make_share(vault: VaultId, pack: PackId, index: int, geometry: tuple[int, int], data: Bytes, mask: bytes) -> Share:
    """Return the share of one erasure share's bytes. ``mask`` is the secret from which the masks grow."""
    end = HEADER_BYTES + len(data)
    buffer = memoryview(bytearray(end + _CIPHER_BYTES))  # masked where it stays: it is up to 2 MiB
    _masker(mask, pack, index).update_into(data, buffer[HEADER_BYTES:])
    header = ShareHeader(vault, pack, index, *geometry, len(data), Hash(blake3(buffer[HEADER_BYTES:end]).digest()))
    body = encode(header)
    front = MAGIC + len(body).to_bytes(2, "big") + body
    buffer[: len(front)] = front
    view = buffer[:end].toreadonly()
    return Share(header, view, Tree(view).root)


def open_share(raw: bytes, mask: bytes) -> tuple[ShareHeader, bytes]:
    """Return the header and the unmasked erasure share. Raises Malformed when any byte is not as it was made."""
    header = read_header(raw)
    masked = raw[HEADER_BYTES:]
    if len(masked) != header.size or blake3(masked).digest() != header.digest:
        raise Malformed("the share's data is not what its header says")
    return header, apply_mask(mask, header.pack, header.index, masked)


def read_header(raw: bytes) -> ShareHeader:
    """Return the header at the front of these bytes. Raises Malformed."""
    if len(raw) < HEADER_BYTES or raw[: len(MAGIC)] != MAGIC:
        raise Malformed("not a share")
    start = len(MAGIC) + 2
    end = start + int.from_bytes(raw[len(MAGIC) : start], "big")
    if end > HEADER_BYTES or any(raw[end:HEADER_BYTES]):
        raise Malformed("the share's header is not padded with zeros")
    header = decode(raw[start:end], ShareHeader, size_max=HEADER_BYTES)
    if not (header.k <= header.n and header.index < header.n):
        raise Malformed(f"share {header.index} of {header.k}-of-{header.n} cannot be")
    return header


def apply_mask(mask: bytes, pack: PackId, index: int, data: bytes) -> bytes:
    """Return the data under the mask of this pack and index; applying it twice gives the data back.

    The key serves one share only, so the counter starts at zero (NIST SP 800-38A, appendix B.2).
    """
    return _masker(mask, pack, index).update(data)  # a stream: nothing is left to finalize


def _masker(mask: bytes, pack: PackId, index: int) -> CipherContext:
    key = derive(mask, "storage/share-mask", pack, bytes([index]))
    return Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()


# -- the tree


def _leaf(block: bytes | memoryview) -> Hash:
    return Hash(blake3(b"\x00" + block).digest())


def _node(left: Hash, right: Hash) -> Hash:
    return Hash(blake3(b"\x01" + left + right).digest())


def _root(size: int, top: Hash) -> Hash:
    return Hash(blake3(b"\x02" + size.to_bytes(8, "big") + top).digest())


class Tree:
    """The Merkle tree over a share's bytes (at least one)."""

    def __init__(self, raw: bytes | memoryview) -> None:
        # ``_leaf`` and ``_node`` written out: a thousand calls for each share of 2 MiB are a third of its tree's time.
        level = [blake3(b"\x00" + raw[at : at + BLOCK_BYTES]).digest() for at in range(0, len(raw), BLOCK_BYTES)]
        levels = [level]
        while len(level) > 1:
            above = [
                blake3(b"\x01" + one + other).digest() for one, other in zip(level[::2], level[1::2], strict=False)
            ]
            level = above + level[len(above) * 2 :]
            levels.append(level)
        self._levels = levels
        self.root = _root(len(raw), Hash(level[0]))

    def holds(self, block_index: int, block: bytes) -> bool:
        """Tell whether this is the block at this place."""
        return _leaf(block) == self._levels[0][block_index]

    def path(self, block_index: int) -> tuple[Hash, ...]:
        """Return the hashes beside the way from a block to the top, the lowest first."""
        path, at = list[Hash](), block_index
        for level in self._levels[:-1]:
            if at ^ 1 < len(level):
                path.append(Hash(level[at ^ 1]))
            at //= 2
        return tuple(path)


def block_count(size: int) -> int:
    """Return how many blocks a share of so many bytes has."""
    return -(-size // BLOCK_BYTES)


def verify_block(root: Hash, size: int, block_index: int, block: bytes, path: tuple[Hash, ...]) -> bool:
    """Tell whether this is the block at this place of the share that has this root and length."""
    width, at, rest = block_count(size), block_index, list(path)
    if not 0 <= at < width or len(block) != min(BLOCK_BYTES, size - at * BLOCK_BYTES):
        return False
    top = _leaf(block)
    while width > 1:
        if at ^ 1 < width:
            if not rest:
                return False
            beside = rest.pop(0)
            top = _node(beside, top) if at & 1 else _node(top, beside)
        at, width = at // 2, (width + 1) // 2
    return not rest and _root(size, top) == root
