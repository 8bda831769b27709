"""Names of things: fixed-length byte strings, each kind a type of its own."""

import hashlib
from typing import TYPE_CHECKING, Annotated, NewType

from msgspec import Meta

from nanobarter.core import bech32m
from nanobarter.core.errors import UsageError

if TYPE_CHECKING:
    NodeId = NewType("NodeId", bytes)
    PublicKey = NewType("PublicKey", bytes)
    Signature = NewType("Signature", bytes)
    Hash = NewType("Hash", bytes)
    KeysetId = NewType("KeysetId", bytes)
    NoteId = NewType("NoteId", bytes)
    RequestId = NewType("RequestId", bytes)
    LockId = NewType("LockId", bytes)
    LeaseId = NewType("LeaseId", bytes)
    DraftId = NewType("DraftId", bytes)
    AgreementId = NewType("AgreementId", bytes)
    BidId = NewType("BidId", bytes)
    PackId = NewType("PackId", bytes)
    VaultId = NewType("VaultId", bytes)
else:

    def _exactly(name: str, length: int) -> object:
        # The length rides on the type, so that every decoder holds it (core.canonical).
        return NewType(name, Annotated[bytes, Meta(min_length=length, max_length=length)])

    NodeId = _exactly("NodeId", 32)
    PublicKey = _exactly("PublicKey", 32)
    Signature = _exactly("Signature", 64)
    Hash = _exactly("Hash", 32)
    KeysetId = _exactly("KeysetId", 16)
    NoteId = _exactly("NoteId", 32)
    RequestId = _exactly("RequestId", 32)
    LockId = _exactly("LockId", 32)
    LeaseId = _exactly("LeaseId", 32)
    DraftId = _exactly("DraftId", 32)
    AgreementId = _exactly("AgreementId", 32)
    BidId = _exactly("BidId", 16)
    PackId = _exactly("PackId", 32)
    VaultId = _exactly("VaultId", 32)

NODE_PREFIX = "nb"


def sha256(data: bytes) -> Hash:
    """Return the SHA-256 of the bytes."""
    return Hash(hashlib.sha256(data).digest())


def node_id_of(key: PublicKey) -> NodeId:
    """Return a node's id: the SHA-256 of its raw Ed25519 public key (32 bytes)."""
    return NodeId(hashlib.sha256(key).digest())


def show_node(node: NodeId) -> str:
    """Return the text form of a node id, ``nb1...`` (bech32m, BIP 350)."""
    return bech32m.encode(NODE_PREFIX, node)


def short_node(node: NodeId) -> str:
    """Return the first ten characters of the text form, for people; never parse it."""
    return show_node(node)[:10]


def parse_node(text: str) -> NodeId:
    """Return the node id that this text names. Raises UsageError, naming what is wrong with the text."""
    try:
        data = bech32m.decode(NODE_PREFIX, text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a node id: {error}", hint="copy the whole nb1... text") from None
    if len(data) != 32:  # noqa: PLR2004 - a SHA-256
        raise UsageError(f"{text!r} is not a node id: it holds {len(data)} bytes instead of 32")
    return NodeId(data)
