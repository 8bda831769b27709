"""How far a proposer is trusted with our bids, from what we ourselves saw of it. Others' words on it can be bought.

A draft holds a bid and a quantity of ours, for seconds if all goes well and for hours if the ring breaks after it was
agreed. So of each node two sums are kept: rings with it that came to their end, and drafts of its that broke, each
weighed by how long it held us up. Both fade, halving each day. The score is the mean of Beta(2 + kept, 1 + broken): a
newcomer has 2/3, one broken draft takes it to 1/2, more shut it out until they fade or it has kept as many.

Before an agreement only time is lost, and a draft that is cancelled at once costs next to nothing. Afterwards our lock
stands: a CANCEL then costs half a draft however soon it comes, and who could have released the lock, and let it stay
until its deadline, half a draft more; not where we had voted, since it may be as stuck as we are. A party that refuses
what it had approved pays as the proposer would for its CANCEL, who shows its signed word and pays a quarter.

Who has settled some rings with us over some weeks is vetted. What whoever is not may have of our stock is for
``caution``. Everything here is pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import DAY, Instant, Span, after, span_between
from nanobarter.swap.messages import open_draft
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.states import (
    Aborted,
    AgreementReceived,
    Approved,
    CancelReceived,
    Collecting,
    Doomed,
    Ended,
    Given,
    LegSeen,
    LockFailed,
    Locking,
    Opened,
    RefusalReceived,
    Restarted,
    State,
    Voted,
)
from nanobarter.swap.terms import agreement_of

HALVED_IN: Final = Span(DAY)
SCORE_MIN: Final = 0.5
LEFT: Final = 0.5
"""Of a broken draft: what a cancelled agreement costs at least, and a lock of ours that was left until its deadline."""
CHOSE: Final = 0.25
"""Of what a refusal costs: the part of the proposer, who chose the party, and could have a new one refuse each time."""
MUTE: Final = 0.25
"""Of a broken draft: a lock that was missing at another's mint, which may be mute, and nobody can show that."""


@dataclass(frozen=True)
class Standing:
    """What was seen of one node: ``kept`` and ``broken`` as of ``at``, rings that settled, and the first of them."""

    kept: float = 0.0
    broken: float = 0.0
    at: Instant = Instant(0)
    settled: int = 0
    since: Instant = Instant(0)


NEWCOMER: Final = Standing()

Rank = Literal["newcomer", "known", "vetted"]
"""Nothing has settled with it yet; something has; enough has, for long enough."""


@dataclass(frozen=True)
class Lesson:
    """What one end of a draft teaches about a node."""

    node: NodeId
    kept: int = 0
    broken: float = 0.0


def score(standing: Standing, now: Instant) -> float:
    """Return how likely a draft of this node comes to its end, 0 to 1."""
    fading = _fading(standing, now)
    kept, broken = standing.kept * fading, standing.broken * fading
    return (2 + kept) / (3 + kept + broken)


def learned(standing: Standing, lesson: Lesson, now: Instant) -> Standing:
    """Return the standing after one more lesson."""
    fading = _fading(standing, now)
    first = lesson.kept and not standing.settled
    return Standing(
        standing.kept * fading + lesson.kept,
        standing.broken * fading + lesson.broken,
        max(standing.at, now),
        standing.settled + lesson.kept,
        now if first else standing.since,
    )


def is_vetted(standing: Standing, limits: Limits, now: Instant) -> bool:
    """Tell whether a node has settled enough rings with us, for long enough, and keeps doing so."""
    old = standing.settled and now >= after(standing.since, limits.swap_vetted_after)
    return bool(old) and standing.settled >= limits.swap_vetted_rings and score(standing, now) >= SCORE_MIN


def rank_of(standing: Standing, *, vetted: bool) -> Rank:
    """Return how well a node is known. Those of one rank share what there is for it, and take nothing of the others."""
    if vetted:
        return "vetted"
    return "known" if standing.settled else "newcomer"


def lessons(before: State | None, state: State, given: Given | None, now: Instant) -> Iterator[Lesson]:
    """Yield what a step of a draft teaches about others. What we ourselves broke off or slept through: nothing."""
    if before is None:
        return
    if isinstance(before, Aborted) and isinstance(state, Aborted | Ended) and isinstance(given, LegSeen):
        yield from _of_receiver(before, given, now)
    if type(before) is type(state):
        return
    agreement, own = agreement_in(before), mine_in(before).index
    if agreement is not None and isinstance(before, Opened) and isinstance(state, Ended):
        if state.outcome == "settled":
            yield from (Lesson(node, kept=1) for i, node in enumerate(agreement.nodes) if i != own)
        return
    if isinstance(given, Restarted | LockFailed):
        return
    is_late = agreement is not None and now >= agreement.vote_by
    if isinstance(before, Locking | Collecting) and isinstance(state, Aborted) and is_late:
        yield from _absent(before)
    elif isinstance(before, Doomed) and isinstance(state, Aborted) and before.refusal is not None:
        yield from _shared(before, before.refusal.signer, 1.0)
    elif isinstance(given, RefusalReceived):
        yield from _of_refuser(before, state, given, now)
    elif own:
        yield from _of_proposer(before, state, given, now)


def _absent(before: Locking | Collecting) -> Iterator[Lesson]:
    """Blame those whose locks were missing at T_vote: the proposer could not help it, nor could who waited for us.

    Only the proposer knows who did not vote, and may blame for it where nobody had to wait for a lock.
    """
    agreement, own = agreement_of(before.deal.agreed), before.deal.mine.index
    nodes = agreement.nodes
    words = before.receipts
    if isinstance(before, Collecting) and None not in words:
        words = before.votes
    for j, word in enumerate(words):
        if word is None and j != own:
            is_its_own = agreement.is_fresh(j) or words is not before.receipts
            yield Lesson(nodes[j], broken=1.0 if is_its_own else MUTE)


def _of_refuser(before: State, state: State, given: RefusalReceived, now: Instant) -> Iterator[Lesson]:
    """Blame who refused what it had approved, and its proposer for a part."""
    match before, state:
        case Approved(), Ended():
            if state.outcome != "cancelled":
                yield from _of_proposer(before, state, given, now)  # it had expired before
                return
            draft = open_draft(before.draft)
            cost = _part(draft.time, now, draft.pace.approve + draft.pace.lock)
        case Locking() | Collecting(), Aborted():
            agreement = agreement_of(before.deal.agreed)
            part = _part(agreement.start, now, agreement.pace.vote)
            is_locked = before.receipts[before.deal.mine.index] is not None
            cost = max(part, LEFT) if is_locked else part
        case _:
            return
    yield from _shared(before, given.signed.signer, cost)


def _shared(before: State, refuser: NodeId, cost: float) -> Iterator[Lesson]:
    yield Lesson(refuser, broken=cost)
    if mine_in(before).index:
        agreement = agreement_in(before)
        proposer = (
            before.draft.signer if isinstance(before, Approved) else None if agreement is None else agreement.nodes[0]
        )
        if proposer is not None:
            yield Lesson(proposer, broken=CHOSE * cost)


def _of_receiver(before: Aborted, given: LegSeen, now: Instant) -> Iterator[Lesson]:
    """Blame whom our lock should have paid for as much as went by, after T_vote, of the time that it can stay.

    Who released it did what it could; when, only the issuer says, which may be another's friend and date it late.
    """
    agreement, own = agreement_of(before.deal.agreed), before.deal.mine.index
    if given.index != own or given.leg != "returned" or before.outgoing != "pending" or given.released:
        return
    stays = span_between(agreement.vote_by, agreement.deadline(own))
    part = _part(agreement.vote_by, min(given.at, now), stays)
    if part > 0:
        yield Lesson(agreement.nodes[(own + 1) % agreement.size], broken=LEFT * part)


def _of_proposer(before: State, state: State, given: Given | None, now: Instant) -> Iterator[Lesson]:
    """Blame the proposer for as much as went by of the time that a draft may hold us up before the vote."""
    match before, state:
        case Approved(), Ended():
            draft = open_draft(before.draft)
            if isinstance(given, AgreementReceived) and state.outcome == "refused":
                return  # other terms than we looked at: those of who pays us, which nobody else can know to be odd
            cancelled = isinstance(given, CancelReceived)
            span = draft.pace.approve + draft.pace.lock
            yield Lesson(before.draft.signer, broken=_part(draft.time, now, span) if cancelled else 1.0)
        case Locking(), Aborted():
            agreement = agreement_of(before.deal.agreed)
            part = _part(agreement.start, now, agreement.pace.vote)
            is_locked = before.receipts[before.deal.mine.index] is not None
            cost = max(part, LEFT) if is_locked and isinstance(given, CancelReceived) else part
            yield Lesson(agreement.nodes[0], broken=cost)
        case Voted(), Aborted():  # a vote was withheld, or all of them: who it was only the proposer can know
            yield Lesson(agreement_of(before.deal.agreed).nodes[0], broken=1.0)
        case _:
            return


def _part(start: Instant, now: Instant, whole: int) -> float:
    return min(1.0, max(0.0, span_between(start, now) / whole))


def _fading(standing: Standing, now: Instant) -> float:
    return 0.5 ** (max(0, span_between(standing.at, now)) / HALVED_IN)
