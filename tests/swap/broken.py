"""One line of the daemon's ``step`` broken at a time, and the plot or forced schedule in which that robs somebody."""

# pyright: reportPrivateUsage=false
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.keys import Signed
from nanobarter.core.units import Instant
from nanobarter.mint.messages import LockTerms
from nanobarter.swap import approving, machine, orders, terms, voting
from nanobarter.swap.ending import Moved, aborted
from nanobarter.swap.messages import Vote
from nanobarter.swap.orders import Open, Order, Refund, Release, Send
from nanobarter.swap.states import (
    Aborted,
    AgreementReceived,
    Approved,
    Collecting,
    Committing,
    Deal,
    Locking,
    Opened,
    Restarted,
    State,
    Voted,
)
from nanobarter.swap.terms import Agreement, SwapTimes, agreement_of
from tests.swap.knocking import KnockOut, swapped
from tests.swap.laws import LOCKED_LAW
from tests.swap.plots import FALSE


def not_compared(field: str) -> Callable[[], Any]:
    """Compare LOCKED and AGREED in all fields but one."""

    def first_difference(wanted: LockTerms, got: LockTerms) -> str | None:
        names = (name for name in LockTerms.__struct_fields__ if name != field)
        return next((n for n in names if encode(getattr(wanted, n)) != encode(getattr(got, n))), None)

    return lambda: swapped(terms, "first_difference", first_difference)


def any_signer() -> Any:
    """Take a LOCKED whoever signed it."""

    def objection(agreement: Agreement, signed: Signed) -> str | None:
        locked = terms.open_locked(signed)
        wrong = locked.terms.index >= agreement.size
        return "no such arc" if wrong else terms.first_difference(agreement.terms[locked.terms.index], locked.terms)

    return swapped(voting, "locked_objection", objection)


def locked_at_any_time() -> Any:
    """Vote on a LOCKED however far its issuer's clock is off."""
    real = voting._receipt

    def receipt(deal: Deal, have: Any, given: Any, times: SwapTimes, _now: Instant) -> Any:
        return real(deal, have, given, times, terms.open_locked(given.signed).locked_at)

    return swapped(voting, "_receipt", receipt)


def one_receipt_missing() -> Any:
    """Vote when all LOCKED but one are there."""
    real = voting.locking

    def locking(state: Locking, *rest: Any) -> Moved:
        moved, blames = real(state, *rest)
        if isinstance(moved, Locking) and moved.receipts.count(None) == 1:
            own = moved.receipts[moved.deal.mine.index]
            return (moved if own is None else Voted(moved.deal, own)), blames
        return moved, blames

    return swapped(machine, "locking", locking)


def deaf_to(objection: str) -> Callable[[], Any]:
    """Join an AGREED in spite of one objection."""
    real = approving.agreed_objection

    def objects(*given: Any) -> str | None:
        found = real(*given)
        return None if found == objection else found

    return lambda: swapped(approving, "agreed_objection", objects)


def last_agreement() -> Any:
    """Let a later AGREED on the same draft take the place of the one that was joined."""
    real = machine.locking

    def locking(state: Locking, given: Any, *rest: Any) -> Moved:
        if isinstance(given, AgreementReceived) and given.signed != state.deal.agreed:
            return Locking(Deal(given.signed, state.deal.mine), (None,) * len(state.receipts)), ()
        return real(state, given, *rest)

    return swapped(machine, "locking", locking)


@contextmanager
def _ordered(change: Callable[[State, tuple[Order, ...], Instant], tuple[Order, ...]]) -> Generator[None]:
    real = orders.orders

    def more(state: State, now: Instant) -> tuple[Order, ...]:
        return change(state, real(state, now), now)

    with swapped(machine, "orders", more):
        yield


def aborted_votes() -> Any:
    """Vote also after giving up."""

    def change(state: State, wanted: tuple[Order, ...], _now: Instant) -> tuple[Order, ...]:
        if not isinstance(state, Aborted) or not state.deal.mine.index:
            return wanted
        agreement, mine = agreement_of(state.deal.agreed), state.deal.mine
        vote = Vote(agreement.agreement_id, mine.index, mine.secret)
        return (*wanted, Send(agreement.nodes[0], vote, "swap.vote", agreement.deadline(0)))

    return _ordered(change)


def voter_releases() -> Any:
    """Give up the arc that pays us at T_vote although we have voted."""

    def change(state: State, wanted: tuple[Order, ...], now: Instant) -> tuple[Order, ...]:
        if not isinstance(state, Voted) or not state.deal.mine.index:
            return wanted
        agreement = agreement_of(state.deal.agreed)
        paying = agreement.incoming(state.deal.mine.index)
        return wanted if now < agreement.vote_by else (*wanted, Release(paying, agreement.terms[paying]))

    return _ordered(change)


def voter_gives_up() -> Any:
    """Give up at T_vote although we have voted."""
    real = machine._aged

    def aged(state: State, now: Instant) -> State:
        if isinstance(state, Voted) and state.deal.mine.index and now >= agreement_of(state.deal.agreed).vote_by:
            return aborted(state.deal, Reason.TOO_LATE, "", now)
        return real(state, now)

    return swapped(machine, "_aged", aged)


def opens_own_arc_first() -> Any:
    """The proposer shows all secrets to the issuer of the arc that it pays, not to that of the one that pays it."""

    def change(state: State, wanted: tuple[Order, ...], _now: Instant) -> tuple[Order, ...]:
        if not isinstance(state, Committing):
            return wanted
        own = agreement_of(state.deal.agreed).terms[0]
        return tuple(_of_arc(o, own) if isinstance(o, Open) else o for o in wanted)

    return _ordered(change)


def _of_arc(order: Open, other: LockTerms) -> Open:
    """Return an open of another arc."""
    return Open(other.index, other, order.preimages, order.proof)


def restarted_is_paid() -> Any:
    """Take it for granted, after a restart, that the arc that pays us was opened: publish the secrets."""
    real = machine.voted

    def voted(state: Voted | Committing, given: Any, now: Instant) -> Moved:
        if isinstance(state, Committing) and isinstance(given, Restarted):
            blank = (None,) * len(state.preimages)
            return Opened(state.deal, state.preimages, blank, incoming="opened"), ()
        return real(state, given, now)

    return swapped(machine, "voted", voted)


def proposer_waits_on() -> Any:
    """Let the proposer count votes that come after T_vote."""
    real = machine._aged

    def aged(state: State, now: Instant) -> State:
        return state if isinstance(state, Collecting) else real(state, now)

    return swapped(machine, "_aged", aged)


OTHER_ARCS: Final = "AGREED has another arc than the draft"
OTHER_PACE: Final = "AGREED runs at another pace than the draft"

BROKEN: Final = {
    **{
        f"field-{name}": KnockOut(f"{name} of a LOCKED is compared", (f"false {name}",), not_compared(name))
        for name in FALSE
    },
    "signer": KnockOut("a LOCKED is signed by the arc's issuer", ("forged lock",), any_signer),
    "locked-at": KnockOut("a LOCKED is of now", ("slow clock",), locked_at_any_time),
    "n-1": KnockOut("the last of n receipts before voting", ("no lock",), one_receipt_missing),
    "aborted-votes": KnockOut("who gave up never votes", ("no lock",), aborted_votes),
    "pace": KnockOut("AGREED runs at the draft's pace", ("false pace",), deaf_to(OTHER_PACE)),
    "other-arcs": KnockOut("AGREED has the arcs of the draft", ("less agreed",), deaf_to(OTHER_ARCS)),
    "second": KnockOut("one AGREED for each draft", ("two agreements",), last_agreement),
    "voter-stays": KnockOut("a voter gives nothing up before D", ("late commit",), voter_releases),
    "voter-waits": KnockOut("a voter waits for its arc's end", ("late commit",), voter_gives_up),
    "own-last": KnockOut("the proposer's own arc is not opened first", ("cut off",), opens_own_arc_first),
    "restart": KnockOut("a restart publishes nothing", ("cut off, restart",), restarted_is_paid),
    "late-vote": KnockOut("no vote counts after T_vote", ("late vote",), proposer_waits_on),
}


def voter_refunds() -> Any:
    """Ask for the refund of the own arc as soon as T_vote has passed; an honest issuer says no until D."""

    def refund(agreement: Agreement, index: int, _now: Instant, unless: LockTerms | None = None) -> tuple[Order, ...]:
        return (Refund(index, agreement.terms[index], unless),)

    return swapped(orders, "_refund", refund)


def agreed_before_its_time() -> Any:
    """Join an AGREED however long ago it was."""
    real = machine.approved

    def approved(state: Approved, given: Any, now: Instant, times: SwapTimes) -> Moved:
        late = isinstance(given, AgreementReceived) and agreement_of(given.signed).start < now
        return real(state, given, agreement_of(given.signed).start if late else now, times)

    return swapped(machine, "approved", approved)


UNSEEN: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    **{f"field-{name}": (not_compared(name), LOCKED_LAW) for name in ("agreement", "lock_id", "issuer")},
    "refund_key": (not_compared("refund_key"), LOCKED_LAW),
    "late-vote": (proposer_waits_on, "no vote counts after T_vote"),
    "voter-refunds": (voter_refunds, "a refund is asked for after D"),
    "too-late": (agreed_before_its_time, "AGREED starts now"),
    "too-early": (deaf_to("AGREED starts at another time than now"), "AGREED starts now"),
    "void": (deaf_to("AGREED starts at another time than now"), "T_lock is not after the end of an approval"),
}
"""Lines behind which another line or an honest issuer stands, and the law (``laws``) that a step without one breaks."""
