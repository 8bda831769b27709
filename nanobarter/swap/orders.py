"""What a state wants done: standing orders, derived from the state alone, in place of all earlier ones of its draft.

Each is repeated until its answer changes the state or its time is over; one that was acknowledged is not repeated by
the same process. So a restart needs no list of what was under way: it asks the state again, and repeats calmly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from nanobarter.core.canonical import Record
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.units import HOUR, SECOND, Instant, Span, after
from nanobarter.mint.messages import LockTerms
from nanobarter.swap.messages import Cancel, Refuse, Vote, open_approve, open_draft
from nanobarter.swap.states import (
    Aborted,
    Approved,
    Collecting,
    Committing,
    Deal,
    Ended,
    Gathering,
    Locking,
    Mine,
    Notice,
    Opened,
    Preimages,
    Receipts,
    Spoilt,
    State,
    Voted,
)
from nanobarter.swap.terms import Agreement, agreement_of


@dataclass(frozen=True)
class Send:
    """Tell a node until it acknowledges or the time is over. What is not yet ``Signed`` we sign."""

    to: NodeId
    message: Record
    method: str
    until: Instant


@dataclass(frozen=True)
class Agree:
    """All approved: sign AGREED with the present time and give it back as AgreementReceived."""


@dataclass(frozen=True)
class Lock:
    """Have our own arc locked at its issuer; the request is void after ``until``."""

    terms: LockTerms
    until: Instant


@dataclass(frozen=True)
class Open:
    """Show the secrets to the issuer of an arc. ``proof`` is the receipt that makes a late one valid."""

    index: int
    terms: LockTerms
    preimages: Preimages
    proof: Signed | None


@dataclass(frozen=True)
class Ask:
    """Ask the issuer of an arc what became of its lock."""

    index: int
    terms: LockTerms


@dataclass(frozen=True)
class Release:
    """Give up the lock that pays us."""

    index: int
    terms: LockTerms


@dataclass(frozen=True)
class Refund:
    """Have our own lock returned, its deadline being over.

    ``unless``: not while the issuer of this lock, which pays us, is silent or says that it is opened.
    """

    index: int
    terms: LockTerms
    unless: LockTerms | None = None


@dataclass(frozen=True)
class Take:
    """Turn an ended lock of ours into notes, once."""

    index: int
    terms: LockTerms


@dataclass(frozen=True)
class WakeAt:
    """Look at the clock again at this instant."""

    at: Instant


@dataclass(frozen=True)
class Blame:
    """A node broke a rule: costs it score, changes nothing here."""

    node: NodeId
    what: str


Order = Send | Agree | Lock | Open | Ask | Release | Refund | Take | WakeAt
Effect = Order | Blame

_AFTER = Span(1)  # "after D" is one millisecond later than D itself
_WORD_WITHIN = Span(24 * HOUR)  # how long the own refund waits for the word of the issuer that pays us
_REFUND_AGAIN = Span(30 * SECOND)  # the issuer's clock may be behind ours: come back


def orders(state: State, now: Instant) -> tuple[Order, ...]:
    """Return what is to be done in a state."""
    match state:
        case Approved():
            draft = open_draft(state.draft)
            expires = open_approve(state.mine.approval).expires
            return (  # until it is void, not until the proposer's patience ends: its clock may be behind ours
                Send(draft.arcs[0].giver, state.mine.approval, "swap.approve", expires),
                WakeAt(after(expires, _AFTER)),
            )
        case Gathering():
            return _gather(state)
        case Locking():
            agreement = agreement_of(state.deal.agreed)
            return (*_lock(state.deal, state.receipts, now), WakeAt(agreement.vote_by))
        case Collecting():
            agreement = agreement_of(state.deal.agreed)
            others = _others(agreement, state.deal.mine)
            return (
                *_tell(others, state.deal.agreed, "swap.agreed", agreement.vote_by),
                *_lock(state.deal, state.receipts, now),
                WakeAt(agreement.vote_by),
            )
        case Voted():
            return _voted(state, now)
        case Committing():
            agreement = agreement_of(state.deal.agreed)
            paying = agreement.incoming(0)
            return (
                Open(paying, agreement.terms[paying], state.preimages, None),
                WakeAt(after(agreement.deadline(paying), _AFTER)),
            )
        case Opened():
            return _opened(state, now)
        case Aborted():
            return _aborted(state, now)
        case Ended():
            return _notices(state.notice, state.mine, now)
        case _:
            assert_never(state)


def _gather(state: Gathering) -> tuple[Order, ...]:
    if None not in state.approvals:
        return (Agree(),)
    draft = open_draft(state.draft)
    until = after(draft.time, draft.pace.approve)
    missing = [a.giver for a, have in zip(draft.arcs, state.approvals, strict=True) if have is None]
    return (*_tell(missing, state.draft, "swap.draft", until), WakeAt(until))


def _lock(deal: Deal, receipts: Receipts, now: Instant) -> Iterable[Order]:
    """Lock the own arc, whose issuer must know whom to tell, and spread the receipt as the issuer does too."""
    agreement, mine = agreement_of(deal.agreed), deal.mine
    issuer = agreement.issuers[mine.index]
    if issuer not in agreement.nodes:
        yield Send(issuer, deal.agreed, "swap.agreed", agreement.vote_by)
    own = receipts[mine.index]
    if own is None:
        if now < agreement.lock_by:
            yield Lock(agreement.terms[mine.index], agreement.lock_by)
    else:
        yield from _tell(_others(agreement, mine), own, "swap.locked", agreement.vote_by)


def _voted(state: Voted, now: Instant) -> tuple[Order, ...]:
    agreement, mine = agreement_of(state.deal.agreed), state.deal.mine
    if now < agreement.vote_by and mine.index:
        vote = Vote(agreement.agreement_id, mine.index, mine.secret)
        receipt = () if state.receipt is None else (state.receipt,)
        return (
            Send(agreement.nodes[0], vote, "swap.vote", agreement.vote_by),
            *(s for r in receipt for s in _tell(_others(agreement, mine), r, "swap.locked", agreement.vote_by)),
            WakeAt(agreement.vote_by),
        )
    asks = [Ask(j, agreement.terms[j]) for j in (mine.index, agreement.incoming(mine.index))]
    # The proposer showed the secrets to one issuer, which may have opened, and told nobody before it went down. Who
    # pays on would be robbed by our refund, so wait for its word, for as long as it may itself make others wait.
    shown = not mine.index and now < after(agreement.deadline(0), _WORD_WITHIN)
    payer = agreement.terms[agreement.incoming(0)] if shown else None
    return (*asks, *_refund(agreement, mine.index, now, payer))


def _refund(agreement: Agreement, index: int, now: Instant, unless: LockTerms | None = None) -> tuple[Order, ...]:
    free_at = after(agreement.deadline(index), _AFTER)
    if now < free_at:
        return (WakeAt(free_at),)
    return (Refund(index, agreement.terms[index], unless), WakeAt(after(now, _REFUND_AGAIN)))


def _unpaid(agreement: Agreement, index: int, now: Instant) -> tuple[Order, ...]:
    """Wait for the word of the issuer that pays us for as long as it may be away, and no longer.

    If it is mute, or denies what we are owed, our own arc would else stay locked until it lapses, weeks later.
    """
    given_up_at = after(agreement.deadline(0), _WORD_WITHIN)
    if now < given_up_at:
        return (WakeAt(given_up_at),)
    return (Ask(index, agreement.terms[index]), *_refund(agreement, index, now))


def _opened(state: Opened, now: Instant) -> tuple[Order, ...]:
    """Collect first, pay second: our own arc is opened by us only once the arc that pays us has ended."""
    agreement, own = agreement_of(state.deal.agreed), state.deal.mine.index
    paying = agreement.incoming(own)
    wanted = list[Order]()
    if state.incoming == "pending":
        proof = state.proofs[agreement.incoming(paying)]
        wanted.append(Open(paying, agreement.terms[paying], state.preimages, proof))
        if now > agreement.deadline(paying) and proof is None and paying:
            before = agreement.incoming(paying)
            wanted.append(Open(before, agreement.terms[before], state.preimages, None))  # or else its receipt
        if state.outgoing == "pending":
            wanted += _unpaid(agreement, own, now)
    elif state.incoming == "opened":
        if state.proofs[paying] is None and state.outgoing == "pending":
            wanted.append(Open(paying, agreement.terms[paying], state.preimages, None))  # repeated for its receipt
        if not state.taken:
            wanted.append(Take(paying, agreement.terms[paying]))
        if state.outgoing == "pending":
            wanted.append(Open(own, agreement.terms[own], state.preimages, state.proofs[paying]))
    elif state.outgoing == "pending":
        wanted += [Ask(own, agreement.terms[own]), *_refund(agreement, own, now)]
    if state.outgoing == "returned" and not state.taken_back and not agreement.is_fresh(own):
        wanted.append(Take(own, agreement.terms[own]))
    for instant in (agreement.deadline(paying), agreement.take_until):
        if now <= instant:
            wanted.append(WakeAt(after(instant, _AFTER)))
            break
    return tuple(wanted)


def _aborted(state: Aborted, now: Instant) -> tuple[Order, ...]:
    agreement, own = agreement_of(state.deal.agreed), state.deal.mine.index
    paying = agreement.incoming(own)
    wanted = list[Order](_notices(state.notice, state.deal.mine, now))
    if isinstance(state, Spoilt) and state.refusal is not None:  # shows whose fault it is, as a CANCEL does not
        wanted = [_handed_on(order, state.refusal) for order in wanted]
    if state.incoming == "pending":
        wanted.append(Release(paying, agreement.terms[paying]))
    if state.outgoing == "pending":
        wanted += [Ask(own, agreement.terms[own]), *_refund(agreement, own, now)]
    if state.outgoing == "returned" and not state.taken_back and not agreement.is_fresh(own):
        wanted.append(Take(own, agreement.terms[own]))
    return (*wanted, WakeAt(after(max(now, agreement.take_until), _AFTER)))


def _handed_on(order: Order, refusal: Signed) -> Order:
    if isinstance(order, Send) and order.to != refusal.signer:
        return Send(order.to, refusal, "swap.refuse", order.until)
    return order


def _notices(notice: Notice, mine: Mine, now: Instant) -> tuple[Order, ...]:
    if now >= notice.until:
        return ()
    approve = open_approve(mine.approval)
    if mine.index == 0:
        cancel = Cancel(approve.draft, notice.reason, notice.detail)
        return tuple(_tell(notice.to, cancel, "swap.cancel", notice.until))
    refuse = Refuse(approve.draft, mine.index, notice.reason, approve.quantity, notice.detail)
    return tuple(_tell(notice.to, refuse, "swap.refuse", notice.until))


def _tell(nodes: Iterable[NodeId], message: Record, method: str, until: Instant) -> Iterable[Send]:
    return (Send(node, message, method, until) for node in nodes)


def _others(agreement: Agreement, mine: Mine) -> list[NodeId]:
    return [node for i, node in enumerate(agreement.nodes) if i != mine.index]
