"""Node records: what a node says of itself, signed, so that others can pass it on. And the exchange of them.

A record is an item of topic ``node`` with an empty key; a higher sequence replaces it. Only the node itself can
say where it listens, so a peer that hands records on can withhold them but not invent them.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.item import ITEM_BODY_MAX, Item, check_item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import Instant
from nanobarter.net.address import Address

_ADDRESSES_MAX = 8
WANTED_MAX = 16
RECORDS_MAX = 256
PEERS_METHOD = "net.peers"


class NodeRecord(Record, frozen=True):
    """Where a node can be dialled. ``extensions`` is for what later versions say."""

    addresses: Annotated[tuple[Address, ...], Meta(max_length=_ADDRESSES_MAX)]
    extensions: Annotated[dict[str, bytes], Meta(max_length=16)]


class PeersRequest(Record, frozen=True):
    """Asks for records: of these nodes if any are named, else of nodes worth knowing. Brings the asker's own."""

    own: Item | None
    wanted: Annotated[tuple[NodeId, ...], Meta(max_length=WANTED_MAX)]
    count: Annotated[int, Meta(ge=0, le=RECORDS_MAX)]


class PeersAnswer(Record, frozen=True):
    """Records that the answerer holds."""

    records: Annotated[tuple[Item, ...], Meta(max_length=RECORDS_MAX)]


def make_record(key: SigningKey, addresses: Sequence[Address], *, sequence: int, expires: Instant) -> Item:
    """Return this node's signed record."""
    body = encode(NodeRecord(tuple(addresses[:_ADDRESSES_MAX]), {}))
    return make_item(key, "node", b"", sequence=sequence, expires=expires, body=body)


def open_record(item: Item) -> NodeRecord:
    """Return what a signed record says. Raises Malformed; expiry and sequence are the caller's questions."""
    if item.topic != "node" or item.key:
        raise Malformed("not the record of a node")
    check_item(item)
    record = decode(item.body, NodeRecord, size_max=ITEM_BODY_MAX)
    if any(address.port == 0 or address.is_wildcard for address in record.addresses):
        raise Malformed("a node record with an address that nobody can dial")
    return record
