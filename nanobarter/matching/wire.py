"""A bid as it travels: the body of a gossip item of topic ``bid``.

The item brings the author (owner), the expiry and the sequence; its key is 16 bytes of the owner's choice, and the
BidId is derived from both (``bid_id_of``). A newer sequence replaces the bid (less quantity left, other price); an
empty body withdraws it.
"""

from typing import Annotated, Literal

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.ids import BidId, NodeId, sha256
from nanobarter.core.item import Item
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity

Ratio = tuple[Annotated[int, Meta(ge=1, le=2**62)], Annotated[int, Meta(ge=1, le=2**62)]]


class Want(Record, frozen=True):
    """A pattern over qualities: one kind, at one issuer or (``issuer`` None) at any but the refused ones."""

    kind: LeaseKind
    issuer: NodeId | None
    refused: Annotated[tuple[NodeId, ...], Meta(max_length=64)]
    discounts: Annotated[tuple[tuple[NodeId, Ratio], ...], Meta(max_length=64)]


class BidBody(Record, frozen=True):
    """Give up to ``quantity`` of ``gives`` for what fits ``wants``, at omega = provided / received.

    omega is the exact ratio ``omega[0] / omega[1]`` (qtt_prov / qtt_requ). ``floor`` bounds a best bid. Of a draft
    that takes more than ``asks`` the owner decides in person, which may take a day; None: the node decides at once.
    """

    type: Literal["limit", "best"]
    gives: Quality
    wants: Want
    omega: Ratio
    quantity: Quantity
    floor: Ratio | None
    asks: Quantity | None = None


def bid_id_for(owner: NodeId, key: bytes) -> BidId:
    """Return the id of the bid under this item key: bound to its owner, so that nobody can take another's."""
    return BidId(sha256(b"bid/" + owner + key)[:16])


def bid_id_of(item: Item) -> BidId:
    """Return the id of the bid that a gossip item carries."""
    return bid_id_for(item.node, item.key)
