"""One datagram: ``pubkey (32) | signature (64) | canonical message``.

A request is padded to the length of the longest reply, so that nobody can use a node to send a victim more than he
sends himself. What is cheap is checked first: length, shape, then (in ``service``) the transaction and the source
address of a reply; the signature comes last.
"""

from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, PublicKey, Signature, node_id_of
from nanobarter.core.keys import SigningKey, verify
from nanobarter.net.dht.records import Value

DATAGRAM_MAX: Final = 1232  # what fits every IPv6 path (RFC 8200: 1280) with its headers
KEY_BYTES: Final = 20  # kademlia's key space
CONTACTS_MAX: Final = 8
TOKEN_BYTES: Final = 8
TXN_BYTES: Final = 8
_HEAD: Final = 32 + 64
_DOMAIN: Final = "dht"

Txn = Annotated[bytes, Meta(min_length=TXN_BYTES, max_length=TXN_BYTES)]
Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Token = Annotated[bytes, Meta(min_length=TOKEN_BYTES, max_length=TOKEN_BYTES)]


class Contact(Record, frozen=True):
    """Where a node takes datagrams: its id, its IPv4 or IPv6 address in network order, its UDP port."""

    node: NodeId
    host: Annotated[bytes, Meta(min_length=4, max_length=16)]
    port: Annotated[int, Meta(ge=1, le=65535)]


class Find(Record, frozen=True, tag="f"):
    """Asks for what is stored under a key and for the contacts nearest to it; ``to`` is whom, if that is known."""

    txn: Txn
    to: NodeId | None
    key: Key
    pad: Annotated[bytes, Meta(max_length=DATAGRAM_MAX)]


class Put(Record, frozen=True, tag="p"):
    """Asks to store a value. ``token`` came with an answer to this address: the sender is where it says."""

    txn: Txn
    to: NodeId
    token: Token
    value: Value
    pad: Annotated[bytes, Meta(max_length=DATAGRAM_MAX)]


class Found(Record, frozen=True, tag="r"):
    """Answers both: the value if there is one, as many near contacts as fit, and a token for a Put."""

    txn: Txn
    token: Token
    value: Value | None
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=CONTACTS_MAX)]


Message = Find | Put | Found


def seal(key: SigningKey, message: Message) -> bytes:
    """Return the datagram; a request is padded to the full length."""
    body = encode(message)
    if isinstance(message, Find | Put):
        room = DATAGRAM_MAX - _HEAD - len(body) - 2  # the pad's length takes up to two bytes more
        body = encode(replace(message, pad=bytes(max(room, 0))))
    return key.public + key.sign(_DOMAIN, body) + body


class Sealed:
    """A datagram whose shape is good. The signature is not checked before ``open`` asks."""

    def __init__(self, data: bytes) -> None:
        if not _HEAD < len(data) <= DATAGRAM_MAX:
            raise Malformed(f"a datagram of {len(data)} bytes")
        self.key, self._signature, self._body = PublicKey(data[:32]), Signature(data[32:_HEAD]), data[_HEAD:]
        self.message: Message = decode(self._body, Message, size_max=DATAGRAM_MAX)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue] - a union is a kind
        self.size = len(data)

    @property
    def node(self) -> NodeId:
        """Who claims to send it."""
        return node_id_of(self.key)

    def is_genuine(self) -> bool:
        """Tell whether that node signed it."""
        return verify(self.key, _DOMAIN, self._body, self._signature)


def fitting(found: Found) -> Found:
    """Return the answer with as many contacts as one datagram holds."""
    contacts = list(found.contacts)
    while contacts and _HEAD + len(encode(Found(found.txn, found.token, found.value, tuple(contacts)))) > DATAGRAM_MAX:
        contacts.pop()
    return Found(found.txn, found.token, found.value, tuple(contacts))
