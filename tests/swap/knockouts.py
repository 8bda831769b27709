"""Take one safety rule out of the swap at a time, and see in which campaigns the checker notices.

    python -m tests.swap.knockouts [--runs N] [--seed S] [NAME ...]

A rule whose absence nobody notices is either superfluous or not tested. Each knock-out replaces one function for the
time of the runs; production code knows nothing of it. The last line is one JSON object.
"""

import argparse
import json
import sys

# pyright: reportPrivateUsage=false
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from nanobarter.core.errors import Refused
from nanobarter.core.keys import Signed
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import Instant, Span, after
from nanobarter.mint import rows, rules
from nanobarter.mint.answer_messages import Refusal
from nanobarter.mint.messages import OpenBody
from nanobarter.mint.outcomes import Case
from nanobarter.sim import issuer, seat
from nanobarter.sim.memo import remembered_signatures
from nanobarter.sim.purse import case_of
from nanobarter.sim.tally import Tally, campaign
from nanobarter.swap import machine, orders, terms, voting
from nanobarter.swap.messages import Vote
from nanobarter.swap.orders import Open, Order, Send, WakeAt
from nanobarter.swap.receipts import open_answer
from nanobarter.swap.states import Collecting, Committing, Locking, State, Voted
from nanobarter.swap.terms import Agreement, agreement_of
from tests.swap.broken import BROKEN
from tests.swap.forced import SCHEDULES, schedule
from tests.swap.knocking import KnockOut, swapped


@contextmanager
def no_receipts() -> Generator[None]:
    """Vote as soon as the own lock stands; commit on votes alone."""

    def commit(state: Collecting) -> State:
        secrets = tuple(vote for vote in state.votes if vote is not None)
        return state if len(secrets) < len(state.votes) else Committing(state.deal, secrets)

    real = voting.locking

    def locking(state: Locking, *rest: Any) -> Any:
        moved, blames = real(state, *rest)
        own = state.deal.mine.index
        if isinstance(moved, Locking) and moved.receipts[own] is not None:
            return Voted(moved.deal, moved.receipts[own]), blames
        return moved, blames

    with swapped(voting, "_commit", commit), swapped(machine, "locking", locking):
        yield


@contextmanager
def votes_at_any_time() -> Generator[None]:
    """Nobody gives up at T_vote: locks and votes count whenever they come."""
    real_aged, real_orders = machine._aged, orders.orders

    def aged(state: State, now: Instant) -> State:
        return state if isinstance(state, Locking | Collecting) else real_aged(state, now)

    def more(state: State, now: Instant) -> tuple[Order, ...]:
        wanted = real_orders(state, now)
        if isinstance(state, Locking | Collecting | Voted):
            agreement = agreement_of(state.deal.agreed)
            wanted = tuple(o for o in wanted if not isinstance(o, WakeAt) or o.at > now)
            if isinstance(state, Voted) and now >= agreement.vote_by and state.deal.mine.index:
                vote = Vote(agreement.agreement_id, state.deal.mine.index, state.deal.mine.secret)
                return (*wanted, Send(agreement.nodes[0], vote, "swap.vote", agreement.take_until))
        return wanted

    with swapped(machine, "_aged", aged), swapped(machine, "orders", more):
        yield


@contextmanager
def one_deadline() -> Generator[None]:
    """All locks end at the same time."""

    def deadline(self: terms.Agreement, index: int) -> Instant:
        return after(self.vote_by, self.pace.delta)

    agreement_of.cache_clear()  # an agreement that was read before has its old deadlines
    with swapped(terms.Agreement, "deadline", deadline):
        yield
    agreement_of.cache_clear()


def no_late_open() -> Any:
    """Too late is too late, whatever receipt is shown."""

    def never(_terms: Any, _proof: Any) -> bool:
        return False

    return swapped(rules, "_proof_holds", never)


def no_refund_delay() -> Any:
    """Refunds are due at the deadline even if the issuer was away before it."""
    real = rules.may_refund

    def at_once(lock: rules.Lock, _: Sequence[rules.Outage], now: Instant) -> Refused | None:
        return real(lock, (), now)

    return swapped(rules, "may_refund", at_once)


@contextmanager
def no_push() -> Generator[None]:
    """Issuers tell nobody what happened to a lock; who wants to know must ask."""

    def silent(*_: Any) -> None:
        return

    with swapped(issuer.Issuer, "push", silent), swapped(issuer.Issuer, "open_others", silent):
        yield


@contextmanager
def speak_before_record() -> Generator[None]:
    """Carry the orders of a new state before it is on disk."""
    real = seat.Seat._record

    def record(self: seat.Seat, moved: State, given: Any, wanted: list[Order], then: Callable[[], None]) -> None:
        before, self.state = self.state, moved
        self.stand([order for order in wanted if isinstance(order, Send | Open)])  # the others read the state
        self.state = before
        real(self, moved, given, wanted, then)

    with swapped(seat.Seat, "_record", record):
        yield


@contextmanager
def open_everything() -> Generator[None]:
    """The proposer shows the secrets to all issuers at once, not to that of its own incoming arc first."""
    real = orders.orders

    def more(state: State, now: Instant) -> tuple[Order, ...]:
        wanted = real(state, now)
        if isinstance(state, Committing):
            return (*wanted, *(Open(t.index, t, state.preimages, None) for t in agreement_of(state.deal.agreed).terms))
        return wanted

    with swapped(machine, "orders", more):
        yield


@contextmanager
def after_rejected_opens(
    then: Callable[[issuer.Issuer, Agreement, OpenBody, int, Signed], None],
) -> Generator[None]:
    """Let an issuer do something with the secrets of an open that it has rejected, for its lock of this index."""
    real = issuer.Issuer.handle

    def handle(self: issuer.Issuer, case: Case, answer: Callable[[Signed], None]) -> None:
        def watch(signed: Signed) -> None:
            answer(signed)
            body = case.body
            if not isinstance(body, OpenBody) or not isinstance(open_answer(signed), Refusal):
                return
            lock = rows.find_lock(self.node.db, body.lock_id)
            agreement = None if lock is None else self.watched.get(lock.terms.agreement)
            if lock is not None and agreement is not None and lock.outcome != "opened":
                then(self, agreement, body, lock.terms.index, signed)

        real(self, case, watch)

    with swapped(issuer.Issuer, "handle", handle):
        yield


@contextmanager
def use_refused_secrets() -> Generator[None]:
    """An issuer that rejects an open as too late shows its secrets to the other issuers all the same."""

    def show(self: issuer.Issuer, agreement: Agreement, body: OpenBody, index: int, signed: Signed) -> None:
        self.open_others(agreement, index, body.preimages, signed)

    with after_rejected_opens(show):
        yield


@contextmanager
def use_refused_secrets_as_a_party() -> Generator[None]:
    """An issuer that rejects an open as too late shows its secrets to nobody but the issuer that pays itself."""

    def show(self: issuer.Issuer, agreement: Agreement, body: OpenBody, _index: int, _signed: Signed) -> None:
        if self.node.node not in agreement.nodes:
            return
        paying = agreement.terms[agreement.incoming(agreement.nodes.index(self.node.node))]
        valid = after(self.node.now, Span(LIMITS.request_valid_max // 2))
        ours = case_of(OpenBody(paying.issuer, valid, paying.lock_id, body.preimages, None))
        self._open(paying.issuer, ours, LIMITS.swap_push_tries, LIMITS.swap_retry_first)

    with after_rejected_opens(show):
        yield


@contextmanager
def nothing() -> Generator[None]:
    """Leave all rules in place."""
    yield


KNOCK_OUTS = {
    "none": KnockOut("(all rules in place)", ("byzantine", "issuers", "sleepers", "crashes", *SCHEDULES), nothing),
    "receipts": KnockOut("all n receipts before voting", ("byzantine",), no_receipts),
    "t-vote": KnockOut("no vote after T_vote", ("byzantine",), votes_at_any_time),
    "staggered": KnockOut("staggered deadlines", ("byzantine",), one_deadline),
    "late-open": KnockOut("a late open with the receipt of the arc before", ("issuers",), no_late_open),
    "refund-delay": KnockOut("refunds wait after an issuer's outage", ("issuers",), no_refund_delay),
    "push": KnockOut("issuers push", ("sleepers",), no_push),
    "record": KnockOut("record before send", ("torn vote",), speak_before_record),
    "own-first": KnockOut("the proposer opens its own incoming lock first", ("cut off",), open_everything),
    "forget-refused": KnockOut("a rejected open's secrets are not used", ("late open",), use_refused_secrets),
    "forget-as-party": KnockOut(
        "a rejected open's secrets are not used, not even as a party",
        ("late open, own",),
        use_refused_secrets_as_a_party,
    ),
    **BROKEN,
}


def show(name: str, runs: int, seed: int) -> list[Tally]:
    """Run the campaigns of one knock-out."""
    out = KNOCK_OUTS[name]
    with out.out(), remembered_signatures():
        return [
            schedule(which, runs, seed) if which in SCHEDULES else campaign(which, parties=(2, 8), runs=runs, seed=seed)
            for which in out.campaigns
        ]


def main(argv: Sequence[str] | None = None) -> None:
    """Show all knock-outs, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(KNOCK_OUTS))
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    found = dict[str, object]()
    for name in asked.names or KNOCK_OUTS:
        for tally in show(name, asked.runs, asked.seed):
            told = tally.as_json
            found[f"{name}/{tally.campaign}"] = {k: told[k] for k in ("runs", "honest_losses", "hole_losses", "stuck")}
            print(  # noqa: T201 - a command
                f"{KNOCK_OUTS[name].rule}: {tally.campaign}, {tally.runs} runs, {tally.honest_losses} honest losses "
                f"in {len(tally.failures)} runs, {tally.hole_losses} in the hole, {tally.stuck} stuck",
                file=sys.stderr,
            )
    print(json.dumps(found))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
