"""How much of our stock others may hold at a time: in drafts of theirs, and in locks that they left behind.

A ring that breaks after it was agreed leaves our lock until its deadline, unless whom it pays releases it. Whoever
breaks rings on purpose pays nothing for that, so what is held in this way is counted against what may be taken next:

- A proposer who is not vetted holds a tenth of a bid at most, in all its rings together, and all such proposers a
  share of it between them. That holds once enough nodes are vetted (docs/decisions/0009-newcomers-propose.md).
- Always: whoever has left a lock of ours behind, as its proposer or as the one whom it pays, and is not vetted, gets
  no more than a part of the bid until it is back, and has a bounded number of rings with us.

Everything here is pure (docs/decisions/0010-what-strangers-hold.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, Quantity, after
from nanobarter.swap.messages import Draft, open_approve, open_draft
from nanobarter.swap.objections import Short
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.questions import body_of
from nanobarter.swap.standing import NEWCOMER, SCORE_MIN, Rank, Standing, rank_of, score
from nanobarter.swap.states import (
    Aborted,
    Approved,
    Collecting,
    Committing,
    Ended,
    Gathering,
    Locking,
    Opened,
    State,
    Voted,
)
from nanobarter.swap.terms import Agreement, agreement_of


@dataclass(frozen=True)
class Circle:
    """What we know of some nodes. ``vetted`` are those of them who are."""

    standings: Mapping[NodeId, Standing]
    vetted: frozenset[NodeId]
    is_young: bool
    """Too few nodes are vetted to keep stock for them."""

    def rank(self, node: NodeId) -> Rank:
        """Return how well a node is known."""
        return rank_of(self.standings.get(node, NEWCOMER), vetted=node in self.vetted)


@dataclass(frozen=True)
class Held:
    """What one ring has of a bid of ours: reserved, locked, or locked and ``left`` behind when the ring broke.

    ``proposer`` is None when that is us. ``receiver`` is whom our arc pays, who alone can release it.
    """

    proposer: NodeId | None
    receiver: NodeId
    bid: BidId
    quantity: Quantity
    left: bool

    @property
    def by(self) -> frozenset[NodeId]:
        """Who brought it about, or could end it."""
        return frozenset((self.receiver,) if self.proposer is None else (self.proposer, self.receiver))


def held_in(state: State, now: Instant) -> Held | None:
    """Return what a ring has of ours; None when our arc is paid or back, or was never promised.

    And when nobody but our own mint keeps it: from its deadline on we give our own space back to ourselves, except
    that a mint which was put back waits until such a lock lapses. For that nobody else gets less for weeks.
    """
    mine, agreement = mine_in(state), agreement_in(state)
    if agreement is not None and _is_kept_by_us(agreement, mine.index, now):
        return None
    match state:
        case Approved() | Gathering():
            nodes, left = tuple(arc.giver for arc in open_draft(state.draft).arcs), False
        case Locking() | Collecting() | Committing():
            nodes, left = agreement_of(state.deal.agreed).nodes, False
        case Voted():
            agreement = agreement_of(state.deal.agreed)
            nodes, left = agreement.nodes, now >= agreement.vote_by
        case Opened() | Aborted():
            if state.outgoing != "pending":
                return None
            nodes, left = agreement_of(state.deal.agreed).nodes, isinstance(state, Aborted)
        case Ended():
            return None
        case _:
            assert_never(state)
    receiver = nodes[(mine.index + 1) % len(nodes)]
    return Held(nodes[0] if mine.index else None, receiver, mine.bid, open_approve(mine.approval).quantity, left)


def _is_kept_by_us(agreement: Agreement, own: int, now: Instant) -> bool:
    return agreement.is_fresh(own) and now > after(agreement.deadline(own), agreement.pace.delta)


def hangs(state: State, now: Instant) -> bool:
    """Tell whether a ring is past its vote: only issuers and deadlines end it, which may take hours.

    It leaves the rest of its bid to others: none of us can hurry it, and whoever proposes it may not want to.
    """
    match state:
        case Aborted():
            return True
        case Voted() | Committing() | Opened():
            return now >= agreement_of(state.deal.agreed).vote_by
        case Approved() | Gathering() | Locking() | Collecting() | Ended():
            return False
        case _:
            assert_never(state)


def promised_in(state: State) -> Quantity:
    """Return how much of its bid a ring has used up, or still may: nothing when it can pay nobody any more.

    When it settles, the owner takes as much off the bid, in the same moment in which the ring ends.
    """
    quantity = open_approve(mine_in(state).approval).quantity
    match state:
        case Approved() | Gathering() | Locking() | Collecting() | Committing() | Voted():
            return quantity
        case Opened():  # paid though our arc came back, we make good
            is_back = state.outgoing in ("returned", "absent") and state.incoming != "opened"
            return Quantity(0) if is_back else quantity
        case Aborted() | Ended():
            return Quantity(0)
        case _:
            assert_never(state)


def shortage(draft: Draft, index: int, stock: Quantity | None, promised: Iterable[Quantity]) -> Refused | None:
    """Return why a bid has not as much as a draft takes of it, beside what other rings have been promised.

    ``stock`` is what its owner says that it has now, where that is less than what the draft shows of it.
    """
    offered = _stock(draft, index)
    free = Quantity(max(0, (offered if stock is None else min(offered, stock)) - sum(promised)))
    if draft.arcs[index].quantity <= free:
        return None
    return Short(Reason.NO_STOCK, f"{free} MiB of the bid are left beside rings that have not ended", free)


def who_matters(draft: Draft, index: int, held: Iterable[Held]) -> frozenset[NodeId]:
    """Return of whom must be known whether they are vetted, to judge a draft."""
    proposers = (each.proposer for each in held)
    return frozenset((*_suspects(draft, index), *(node for node in proposers if node is not None)))


def objection(
    draft: Draft, index: int, held: Iterable[Held], circle: Circle, limits: Limits, now: Instant
) -> Refused | None:
    """Return why a draft is not taken, or not whole, by who is careful with its stock."""
    rings, bid = list(held), draft.arcs[index].bid
    of_bid = [each for each in rings if each.bid == bid]
    bound = whole = _stock(draft, index)
    if index and _left_by_its_like(draft.arcs[0].giver, rings, circle) >= limits.swap_left_max:
        return Refused(Reason.TOO_MANY, "too many locks of rings that broke have not come back")
    if index and (proposer := draft.arcs[0].giver) not in circle.vetted:
        if sum(each.proposer == proposer for each in rings) >= limits.swap_unvetted_rings_max:
            return Refused(Reason.TOO_MANY, "its proposer has many rings with us that have not ended")
        if not circle.is_young:
            if score(circle.standings[proposer], now) < SCORE_MIN:
                return Refused(Reason.POLICY, "too many of its drafts broke off; they are taken again after a while")
            bound = _for_a_stranger(proposer, rings, of_bid, whole, circle, limits)
    for node in _suspects(draft, index) - circle.vetted:
        left = sum(each.quantity for each in of_bid if each.left and node in each.by)
        if left:
            bound = min(bound, whole * limits.swap_left_percent // 100 - left)
    if draft.arcs[index].quantity <= bound:
        return None
    free = Quantity(max(0, bound))
    return Short(Reason.OVER_QUOTA, f"at most {free} MiB of this bid for who is not known yet", free)


def _left_by_its_like(proposer: NodeId, rings: list[Held], circle: Circle) -> int:
    """Count the rings left behind of all who are known as well as a proposer: strangers take no friend's place."""
    rank = circle.rank(proposer)
    return sum(r.left and r.proposer is not None and circle.rank(r.proposer) == rank for r in rings)


def _for_a_stranger(
    proposer: NodeId, rings: list[Held], of_bid: list[Held], whole: int, circle: Circle, limits: Limits
) -> int:
    strangers = [each for each in of_bid if each.proposer is not None and each.proposer not in circle.vetted]
    if (
        sum(r.proposer is not None and r.proposer not in circle.vetted for r in rings)
        >= limits.swap_strangers_rings_max
    ):
        return 0
    own = sum(each.quantity for each in strangers if each.proposer == proposer)
    tenth = max(limits.mint_lock_min, whole * limits.swap_unvetted_percent // 100)
    together = max(limits.mint_lock_min, whole * limits.swap_strangers_percent // 100)
    return min(tenth - own, together - sum(each.quantity for each in strangers))


def _stock(draft: Draft, index: int) -> int:
    """Return what our bid offers; some of it may be locked in rings that are not over."""
    body = body_of(draft.bids[index])
    return draft.arcs[index].quantity if body is None else body.quantity


def _suspects(draft: Draft, index: int) -> frozenset[NodeId]:
    """Return who could leave our lock behind: who proposes, if not we, and whom our arc pays."""
    receiver = draft.arcs[(index + 1) % len(draft.arcs)].giver
    return frozenset((receiver, draft.arcs[0].giver) if index else (receiver,))
