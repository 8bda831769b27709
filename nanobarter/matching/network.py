"""The matcher as the network uses it: bids out of gossip items, matches for a swap to draft."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from math import log
from typing import cast

from msgspec.structs import replace

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import ITEM_BODY_MAX, Item
from nanobarter.core.quality import Quality
from nanobarter.core.units import LEASE_KINDS_DEFAULT, LeaseKind, Quantity
from nanobarter.matching.bids import Bid, Name, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.cycle import Cycle, cycle_of, quantities_of
from nanobarter.matching.rules import Rules
from nanobarter.matching.wire import BidBody, Want, bid_id_of

_BID_ID_BYTES = 16
_KINDS = frozenset(LEASE_KINDS_DEFAULT)  # of others nobody can have a lease: they would only fill the book
PERTURBED_MAX = 16  # so many of the best cycles compete when the choice is perturbed; the rest are far behind


@dataclass(frozen=True, slots=True)
class Arc:
    """One transfer: under its bid, the giver hands so much of a quality to the receiver."""

    bid: BidId
    giver: NodeId
    receiver: NodeId
    quality: Quality
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Match:
    """A cycle that can be executed. The arcs are in ring order, the first is the own bid's."""

    arcs: tuple[Arc, ...]
    omega: Fraction
    cut: bool = False
    """A bound kept the search from seeing every cycle, so a better one may exist."""


def text_of(quality: Quality) -> str:
    """Return the matcher's text for a quality, ``90d:`` and the issuer in hex."""
    return f"{quality.kind}:{quality.issuer.hex()}"


def quality_of(text: str) -> Quality:
    """Return the quality of a matcher's text."""
    kind, _, issuer = text.partition(":")
    return Quality(NodeId(bytes.fromhex(issuer)), LeaseKind(kind))


def pattern_of(want: Want) -> Pattern:
    """Return the matcher's pattern for a want."""
    return Pattern(
        text=f"{want.kind}:" + ("" if want.issuer is None else want.issuer.hex()),
        any_issuer=want.issuer is None,
        refused=frozenset(issuer.hex() for issuer in want.refused),
        discounts=tuple(sorted({issuer.hex(): ratio for issuer, ratio in want.discounts}.items())),
    )


def bid_from_item(item: Item) -> Bid | None:
    """Return the bid that a gossip item carries.

    None when it carries none: another topic, a withdrawal, nothing left, a kind that no lease has, or a body that
    breaks the format. The signature is the caller's to check, and expiry is judged by the book.
    """
    if item.topic != "bid" or not item.body or len(item.key) != _BID_ID_BYTES:
        return None
    try:
        body = decode(item.body, BidBody, size_max=ITEM_BODY_MAX)
    except Malformed:
        return None
    if body.quantity <= 0 or not {body.gives.kind, body.wants.kind} <= _KINDS:
        return None
    return Bid(
        id=bid_id_of(item),
        owner=item.node,
        limit=body.type == "limit",
        gives=text_of(body.gives),
        wants=pattern_of(body.wants),
        provided=body.omega[0],
        required=body.omega[1],
        quantity=body.quantity,
        age=item.sequence,
        floor=body.floor,
        expires=item.expires,
    )


def find(
    book: Book,
    own_bid_id: BidId,
    *,
    partners_max: int = 8,
    perturb: Callable[[BidId], float] | None = None,
    avoid: Collection[frozenset[BidId]] = (),
) -> Match | None:
    """Return the best match for a bid of the book, or None when there is none or the bid is not there.

    Drop expired bids first (``Book.expire``). ``perturb`` gives each bid of others a number that is added to the
    natural logarithm of its omega when choosing among the best cycles, so that not all nodes propose the same one;
    it changes the choice only, never a price. A cycle that holds all bids of a set in ``avoid`` is not considered.
    """
    rests = [together - {own_bid_id} for together in avoid]
    barred = {bid for rest in rests if len(rest) == 1 for bid in rest}  # else all rings through them would be tried
    own = book.get(own_bid_id)
    if own is None:
        return None
    with book.without(own_bid_id, *barred):
        return _found(book, own, partners_max, perturb, [rest for rest in rests if not rest & barred])


def _found(
    book: Book,
    own: Bid,
    partners_max: int,
    perturb: Callable[[BidId], float] | None,
    avoid: Collection[frozenset[BidId]],
) -> Match | None:
    from nanobarter.matching.search import Search  # noqa: PLC0415 - numpy loads at the first search

    search = Search(book, own, Rules(partners_max=partners_max))
    possible = _possible(search.cycles(), avoid)
    if perturb is None:
        chosen = next(possible, None)
    else:
        noise = perturb

        def score(candidate: tuple[Cycle, tuple[int, ...]]) -> float:
            others = (cast("BidId", bid.id) for bid in candidate[0].bids[:-1])
            omega = candidate[0].omega
            return log(omega.numerator) - log(omega.denominator) + sum(map(noise, others))

        chosen = max(islice(possible, PERTURBED_MAX), key=score, default=None)
    return None if chosen is None else _match(*chosen, cut=search.cut)


def reduced(items: Sequence[Item], caps: Sequence[int]) -> tuple[Quantity, ...] | None:
    """Return what each bid of a ring gives when none gives more than its cap; None when no whole quantities do.

    The items are in ring order, each giving to the next, as the arcs of a draft.
    """
    bids = [bid_from_item(item) for item in items]
    ring = [replace(b, quantity=min(b.quantity, cap)) for b, cap in zip(bids, caps, strict=True) if b is not None]
    if len(ring) < len(items):
        return None
    try:
        cycle = cycle_of([*ring[1:], ring[0]])  # the own bid is the last of a cycle
    except ValueError:
        return None  # a bid has changed and no longer takes what the one before it gives
    given = quantities_of(cycle)
    return None if given is None else (Quantity(given[-1]), *map(Quantity, given[:-1]))


def _possible(cycles: Iterable[Cycle], avoid: Collection[frozenset[BidId]]) -> Iterator[tuple[Cycle, tuple[int, ...]]]:
    for cycle in cycles:
        ids = {bid.id for bid in cycle.bids}
        if any(together <= ids for together in avoid):
            continue
        if (given := quantities_of(cycle)) is not None:
            yield cycle, given


def _match(cycle: Cycle, given: tuple[int, ...], *, cut: bool) -> Match:
    ring = [*cycle.bids[-1:], *cycle.bids]  # from the own bid round to itself
    quantities = (given[-1], *given[:-1])
    arcs = tuple(
        Arc(
            cast("BidId", giver.id),
            _node(giver.owner),
            _node(receiver.owner),
            quality_of(giver.gives),
            Quantity(quantity),
        )
        for (giver, receiver), quantity in zip(pairwise(ring), quantities, strict=True)
    )
    return Match(arcs, cycle.omega, cut)


def _node(owner: Name) -> NodeId:
    return cast("NodeId", owner)
