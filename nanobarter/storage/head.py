"""The vault's head: the one small record from which an empty home finds everything else.

    head  = Signed(HeadBody) by the vault's head key, under "storage/head"
    body  = sequence, time, and a sealed HeadPlain, padded to whole 4 KiB
    plain = where the packs of the catalog are, and addresses of nodes

It is kept at every holder of a lease under the SHA-256 of the head's public key. Anyone may fetch it, and learns its
length and sequence. A reader believes the highest sequence with a good signature. Sealed with AES-256-GCM under a
key of the vault, a fresh nonce, and the sequence as associated data.
"""

import zlib
from typing import Annotated, Final, Literal

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, LeaseId, NodeId, PackId, sha256
from nanobarter.core.keys import Signed, derive, open_signed, seal_signed
from nanobarter.core.ports import Entropy
from nanobarter.core.units import Instant
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.share import Count, Index, ShareBytes
from nanobarter.storage.vault_messages import DOMAIN_HEAD

PAD_BYTES: Final = 4096
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
PART_OVERHEAD: Final = _NONCE_BYTES + _TAG_BYTES + 4
POLICIES_BYTES_MAX: Final = 256 * 1024  # as long as a config may be
CATALOG_TEXT_MAX: Final = 4 * 1024 * 1024 * 1024
_PLAIN_MAX: Final = 4 * 1024 * 1024


class HeadBody(Record, frozen=True):
    """What all may see of a head."""

    sequence: Annotated[int, Meta(ge=1, le=2**62)]
    at: Instant
    sealed: bytes


class PlacedShare(Record, frozen=True):
    """One share of a pack: who has it, under which lease, by which name."""

    index: Index
    node: NodeId
    lease: LeaseId
    root: Hash


class PlacedPack(Record, frozen=True):
    """One pack and where its shares are. Its body is k * share_size bytes."""

    pack: PackId
    kind: Literal["data", "meta", "catalog"]
    k: Count
    n: Count
    share_size: ShareBytes
    shares: Annotated[tuple[PlacedShare, ...], Meta(max_length=255)]


class NodeAddress(Record, frozen=True):
    """Where a node was last reached."""

    node: NodeId
    host: Annotated[str, Meta(max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65535)]


class HeadPlain(Record, frozen=True):
    """The packs of the catalog, in order, and how long their joined bodies are.

    ``level`` 0: they hold the catalog. Above: they hold a canonical HeadPlain of the level below, which was too
    long for a head.
    """

    level: Annotated[int, Meta(ge=0, le=8)]
    size: Annotated[int, Meta(ge=0)]
    packs: tuple[PlacedPack, ...]
    addresses: tuple[NodeAddress, ...]


class CatalogFile(Record, frozen=True):
    """What the catalog packs hold, joined: the engine's catalog, where all other packs are, and the policies.

    ``policies`` is the text of config.toml: what the person wanted to be kept, how safe, for how long.
    """

    catalog: bytes
    packs: tuple[PlacedPack, ...]
    leases: tuple[Signed, ...]
    policies: Annotated[bytes, Meta(max_length=POLICIES_BYTES_MAX)] = b""


class _CatalogWithoutPolicies(Record, frozen=True):
    """The same as nodes published it before policies went with it."""

    catalog: bytes
    packs: tuple[PlacedPack, ...]
    leases: tuple[Signed, ...]


def read_catalog_file(text: bytes) -> CatalogFile:
    """Return what the joined catalog packs say, in the present form or the one before. Raises Malformed."""
    try:
        return decode(text, CatalogFile, size_max=CATALOG_TEXT_MAX)
    except Malformed:
        old = decode(text, _CatalogWithoutPolicies, size_max=CATALOG_TEXT_MAX)
        return CatalogFile(old.catalog, old.packs, old.leases)


def head_id_of(keys: VaultKeys) -> Hash:
    """Return the name under which peers keep the head of these keys."""
    return sha256(keys.head.public)


def seal(key: bytes, label: str, plain: bytes, entropy: Entropy, bound_to: bytes = b"") -> bytes:
    """Return the bytes, compressed, padded to whole 4 KiB and encrypted, under a key of this label."""
    packed = zlib.compress(plain, 6)
    framed = len(packed).to_bytes(8, "big") + packed
    padded = framed.ljust(-(-len(framed) // PAD_BYTES) * PAD_BYTES, b"\x00")
    nonce = entropy.token(_NONCE_BYTES)
    return nonce + AESGCM(derive(key, label)).encrypt(nonce, padded, bound_to)


def unseal(key: bytes, label: str, sealed: bytes, size_max: int, bound_to: bytes = b"") -> bytes:
    """Return what was sealed. Raises Malformed for a wrong key, changed bytes, or more than ``size_max`` of plain."""
    try:
        padded = AESGCM(derive(key, label)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        raise Malformed("this was not sealed by the vault's key") from None
    size = int.from_bytes(padded[:8], "big")
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(padded[8 : 8 + size], size_max)
    except zlib.error as error:
        raise Malformed(f"what was sealed does not decompress: {error}") from None
    if not machine.eof:
        raise Malformed(f"what was sealed is longer than {size_max} bytes, or cut")
    return plain


def make_head(keys: VaultKeys, sequence: int, at: Instant, plain: HeadPlain, entropy: Entropy) -> Signed:
    """Return the signed head. ``sequence`` must exceed that of every head before."""
    sealed = seal(keys.seal_key, "storage/head", encode(plain), entropy, sequence.to_bytes(8, "big"))
    return seal_signed(keys.head, DOMAIN_HEAD, HeadBody(sequence, at, sealed))


def read_head(head: Signed, size_max: int) -> HeadBody:
    """Return what all may see of a head. Raises Malformed unless its own key signed it."""
    return open_signed(head, DOMAIN_HEAD, HeadBody, size_max=size_max)


def open_head(keys: VaultKeys, head: Signed, size_max: int) -> tuple[HeadBody, HeadPlain]:
    """Return the whole head of these keys. Raises Malformed when it is not theirs or not whole."""
    if head.key != keys.head.public:
        raise Malformed("this is the head of another vault")
    body = read_head(head, size_max)
    plain = unseal(keys.seal_key, "storage/head", body.sealed, _PLAIN_MAX, body.sequence.to_bytes(8, "big"))
    return body, decode(plain, HeadPlain, size_max=_PLAIN_MAX)


# -- the catalog's packs: one plain text in parts, each as long as a pack's body


def part_bytes(body_size: int) -> int:
    """Return how much of the text a body of this size takes."""
    return body_size - PART_OVERHEAD


def seal_part(keys: VaultKeys, part: bytes, body_size: int) -> bytes:
    """Return a pack body: the part, padded and encrypted.

    The nonce is a keyed hash of the padded part, so equal parts become equal packs and are stored once; a nonce is
    used again only for the same text (the idea of synthetic nonces, RFC 8452).
    """
    key = derive(keys.seal_key, "storage/catalog")
    padded = (len(part).to_bytes(4, "big") + part).ljust(body_size - _NONCE_BYTES - _TAG_BYTES, b"\x00")
    nonce = blake3(padded, key=derive(keys.seal_key, "storage/catalog-nonce")).digest(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, padded, b"")


def unseal_part(keys: VaultKeys, body: bytes) -> bytes:
    """Return the part inside a pack body. Raises Malformed when it was not sealed by these keys."""
    try:
        key = derive(keys.seal_key, "storage/catalog")
        padded = AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], b"")
    except (InvalidTag, ValueError):
        raise Malformed("this pack of the catalog was not sealed by the vault's key") from None
    size = int.from_bytes(padded[:4], "big")
    if size > len(padded) - 4:
        raise Malformed(f"a part of {size} bytes in a pack of {len(padded)}")
    return padded[4 : 4 + size]
