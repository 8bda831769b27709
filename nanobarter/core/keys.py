"""Ed25519 keys, what they sign, and how every secret grows out of the recovery phrase.

A signature always covers a domain tag, so that bytes signed for one purpose mean nothing for another.
Derivation is HMAC-SHA512 of the seed over a label and length-prefixed context (RFC 2104), cut to 32 bytes.
"""

import hmac
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, PublicKey, Signature, node_id_of

T = TypeVar("T")


def derive(seed: bytes, label: str, *context: bytes) -> bytes:
    """Return 32 secret bytes for one use: the label names the use, the context the instance."""
    message = b"".join(len(part).to_bytes(4, "big") + part for part in (b"nanobarter", label.encode(), *context))
    return hmac.digest(seed, message, "sha512")[:32]


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 secret (32 bytes) with its public half. Never printed: the repr hides the secret."""

    secret: bytes = field(repr=False)
    public: PublicKey = field(init=False)
    _private: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        private = Ed25519PrivateKey.from_private_bytes(self.secret)
        object.__setattr__(self, "_private", private)  # loading it costs as much as a signature
        object.__setattr__(self, "public", PublicKey(private.public_key().public_bytes_raw()))

    @property
    def node_id(self) -> NodeId:
        """The id of the node that this key identifies."""
        return node_id_of(self.public)

    def sign(self, domain: str, body: bytes) -> Signature:
        """Return the deterministic signature over the domain tag and the body (RFC 8032)."""
        return Signature(self._private.sign(_tagged(domain, body)))


def identity_of(seed: bytes) -> SigningKey:
    """Return the node key that grows out of a person's seed: its public half names the node."""
    return SigningKey(derive(seed, "identity"))


def _tagged(domain: str, body: bytes) -> bytes:
    return b"nanobarter/" + domain.encode() + b"\x00" + body


def verify(key: PublicKey, domain: str, body: bytes, signature: Signature) -> bool:
    """Tell whether this key signed this body under this domain."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _tagged(domain, body))
    except (InvalidSignature, ValueError):
        return False
    return True


class Signed(Record, frozen=True):
    """Canonical bytes of a record with the key that signed them; read it with ``open_signed``."""

    body: bytes
    key: PublicKey
    signature: Signature

    @property
    def signer(self) -> NodeId:
        """The id of the signer, were it a node."""
        return node_id_of(self.key)


def seal_signed(key: SigningKey, domain: str, value: Record) -> Signed:
    """Return the record, encoded and signed under a domain."""
    body = encode(value)
    return Signed(body, key.public, key.sign(domain, body))


def open_signed(signed: Signed, domain: str, kind: type[T], *, size_max: int) -> T:
    """Return the record inside, after the signature was checked.

    Raises Malformed when the signature is not of ``signed.key`` under this domain or the body is not a
    canonical ``kind``. Whether that key may say so is the caller's question.
    """
    if not verify(signed.key, domain, signed.body, signed.signature):
        raise Malformed(f"the signature under {domain!r} does not verify")
    return decode(signed.body, kind, size_max=size_max)
