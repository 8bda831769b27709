"""Where the vault's head is, in a few hundred bytes for the hash table: a machine with only the phrase asks there.

    value = signed under the salt "head" by a key that only the phrase makes
    body  = always 768 bytes, sealed: addresses of nodes that keep the head

The key has nothing to do with the other keys of the vault, the length is always the same, and what is inside is sealed
with AES-256-GCM. So a stranger who keeps it learns that somebody wrote it, and when; the head itself is had from those
it names, and believed for its own signature.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import SigningKey, derive
from nanobarter.core.ports import Entropy
from nanobarter.storage.head import NodeAddress
from nanobarter.storage.keys import VaultKeys

SALT: Final = b"head"
BODY_BYTES: Final = 768
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_PLAIN_BYTES: Final = BODY_BYTES - _NONCE_BYTES - _TAG_BYTES
_LENGTH_BYTES: Final = 2
_HOLDERS_MAX: Final = 16


class Pointer(Record, frozen=True):
    """Who keeps the head of a vault."""

    holders: Annotated[tuple[NodeAddress, ...], Meta(max_length=_HOLDERS_MAX)]


def pointer_key(keys: VaultKeys) -> SigningKey:
    """Return the key that signs the pointer of a vault, and by which it is found."""
    return SigningKey(derive(keys.seal_key, "storage/pointer-key"))


def seal_pointer(keys: VaultKeys, holders: Iterable[NodeAddress], entropy: Entropy) -> bytes:
    """Return the body that names these holders, or as many of the first as fit: about a dozen."""
    chosen = list(holders)[:_HOLDERS_MAX]
    while len(plain := encode(Pointer(tuple(chosen)))) > _PLAIN_BYTES - _LENGTH_BYTES:
        chosen.pop()
    padded = (len(plain).to_bytes(_LENGTH_BYTES, "big") + plain).ljust(_PLAIN_BYTES, b"\x00")
    nonce = entropy.token(_NONCE_BYTES)
    return nonce + AESGCM(derive(keys.seal_key, "storage/pointer")).encrypt(nonce, padded, SALT)


def open_pointer(keys: VaultKeys, body: bytes) -> tuple[NodeAddress, ...]:
    """Return the holders that a body names. Raises Malformed when these keys did not seal it."""
    if len(body) != BODY_BYTES:
        raise Malformed(f"a pointer of {len(body)} bytes")
    try:
        key = derive(keys.seal_key, "storage/pointer")
        padded = AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], SALT)
    except InvalidTag:
        raise Malformed("this pointer was not sealed by the vault's key") from None
    size = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    return decode(padded[_LENGTH_BYTES : _LENGTH_BYTES + size], Pointer, size_max=_PLAIN_BYTES).holders
