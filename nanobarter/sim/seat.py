"""One position in one ring: the daemon's ``step`` on one draft, and its standing orders carried as swap.carrier does.

One fact at a time moves the draft, and what a new state wants is begun only when the state is on disk.
"""

from collections import deque
from collections.abc import Callable
from typing import assert_never

from nanobarter.core.errors import Reason
from nanobarter.core.ids import DraftId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import MINUTE, Span, after
from nanobarter.mint.messages import LockAnswer, LockTerms, Minted, OpenBody, Refusal
from nanobarter.mint.outcomes import Case
from nanobarter.sim.home import Home
from nanobarter.sim.node import Node
from nanobarter.sim.purse import (
    case_of,
    keep_take,
    kept_take,
    lock_case,
    lock_key,
    refund_case,
    release_case,
    state_case,
    take_body,
)
from nanobarter.swap import machine, tables
from nanobarter.swap.making import make_agreed, seal_message
from nanobarter.swap.messages import open_approve
from nanobarter.swap.orders import Agree, Ask, Blame, Lock, Open, Order, Refund, Release, Send, Take, WakeAt
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.receipts import legs_seen, open_answer
from nanobarter.swap.states import (
    Ended,
    Gathering,
    Given,
    LegTaken,
    LockedReceived,
    LockFailed,
    State,
    TimePassed,
)

POLL_MAX = MINUTE  # as swap_poll_max, up to the last deadline
POLL_LATE = 30 * MINUTE  # afterwards: who waits for a day is not asked for news every minute


class Seat:
    """See the module. ``state`` is what the disk has."""

    def __init__(self, node: Node, home: Home, draft: DraftId, state: State) -> None:
        self.node, self.home, self.draft, self.state = node, home, draft, state
        self.blames = list[Blame]()
        self.silent = False  # a cheat: from now on it neither hears nor says anything in this ring
        self.refuses: Callable[[Order], bool] = lambda _: False  # a cheat: orders that it does not carry
        self._facts = deque[tuple[Given, Callable[[], None]]]()
        self._writing = False
        self._standing = dict[Order, object]()

    # -- facts

    def give(self, given: Given, then: Callable[[], None] = lambda: None) -> None:
        """Let a fact move the draft; ``then`` when what comes of it is on disk."""
        self._facts.append((given, then))
        self._pump()

    def _pump(self) -> None:
        while self._facts and not self._writing and not self.silent:
            given, then = self._facts.popleft()
            if isinstance(self.state, Ended):
                then()
                continue
            moved, effects = machine.step(self.state, given, self.node.now, self.home.times)
            orders = [e for e in effects if not isinstance(e, Blame)]
            self.blames += [e for e in effects if isinstance(e, Blame)]
            if moved == self.state:
                self.stand(orders)
                then()
                continue
            self._record(moved, given, orders, then)

    def _record(self, moved: State, given: Given, orders: list[Order], then: Callable[[], None]) -> None:
        self._writing = True

        def on_disk(_: None) -> None:
            self.home.trace(self.node, f"{_name(self.state)} -> {_name(moved)}, on {type(given).__name__}")
            self.state, self._writing = moved, False
            self.home.moved(self.node, moved)
            self.stand(orders)
            then()
            self._pump()

        agreement, now = agreement_in(moved), self.node.now
        self.node.write(lambda db: tables.put_state(db, self.draft, agreement, moved, now, given), on_disk)

    # -- orders

    def stand(self, wanted: list[Order]) -> None:
        """Replace the standing orders: stop what is no longer wanted, begin what is new."""
        old = self._standing
        self._standing = {order: old.get(order) or object() for order in wanted}
        for order, token in list(self._standing.items()):
            if order not in old:
                self.node.later(0, lambda order=order, token=token: self._carry(order, token, LIMITS.swap_retry_first))

    def _carry(self, order: Order, token: object, pause: int) -> None:
        if self._standing.get(order) is not token or self.silent or self.refuses(order):
            return
        if self.node.crashes(self.node):
            return
        if isinstance(order, WakeAt):
            self.node.later(order.at - self.node.now, lambda: self._wake(order, token))
            return
        asked = [True]

        def again() -> None:
            if asked and self.node.up:
                asked.clear()
                longest = self._longest(order)
                self.node.later(pause, lambda: self._carry(order, token, min(2 * pause, longest)))

        self._perform(order, again)

    def _longest(self, order: Order) -> int:
        if not isinstance(order, Ask | Refund | Release | Take | Open):
            return LIMITS.swap_retry_max
        agreement = agreement_in(self.state)
        late = agreement is not None and self.node.now > after(agreement.deadline(0), agreement.pace.delta)
        return POLL_LATE if late else POLL_MAX

    def _wake(self, order: WakeAt, token: object) -> None:
        if self._standing.get(order) is token:
            if self.node.now < order.at:  # the clock went back meanwhile
                self.node.later(order.at - self.node.now, lambda: self._wake(order, token))
            else:
                self.give(TimePassed())

    def _perform(self, order: Order, again: Callable[[], None]) -> None:  # noqa: C901 - one line per order
        match order:
            case Agree():
                if isinstance(self.state, Gathering):
                    agreed = make_agreed(self.node.key, self.state, self.node.now)
                    self.home.tell(self.node, "swap.agreed", agreed, lambda _: None)
            case Send():
                self._send(order, again)
            case Lock():
                self._lock(order, again)
            case Open():
                body = OpenBody(
                    order.terms.issuer,
                    after(self.node.now, Span(LIMITS.request_valid_max // 2)),
                    order.terms.lock_id,
                    order.preimages,
                    order.proof,
                )
                self._ask(order.terms, case_of(body), lambda s: self._looked(s, order.terms, again, asked=False), again)
            case Ask():
                self._state_of(order.terms, again)
            case Release():
                case = release_case(self.node, order.terms, self._key("to"))
                self._ask(order.terms, case, lambda s: self._looked(s, order.terms, again, asked=False), again)
            case Refund():
                self._refund(order, again)
            case Take():
                self._take(order, again)
            case WakeAt():
                pass
            case _:
                assert_never(order)

    def _lock(self, order: Lock, again: Callable[[], None]) -> None:
        """Have our arc locked, and take the receipt when its issuer also knows whom to tell."""
        agreement, issuer = agreement_in(self.state), order.terms.issuer
        if agreement is None:
            return
        missing, locked = {"locked", "told"}, list[Signed]()

        def done(what: str) -> None:
            missing.discard(what)
            if not missing:
                self._locked(locked[0])

        def take(signed: Signed) -> None:
            locked.append(signed)
            done("locked")

        def told(recorded: bool) -> None:  # noqa: FBT001 - an answer
            if recorded:
                done("told")
            else:
                again()

        case = lock_case(self.node, self.home.people[issuer], order.terms, order.until)
        self._ask(order.terms, case, take, again)
        if issuer in agreement.nodes:
            done("told")
        else:
            self.home.post.ask(
                self.node,
                issuer,
                lambda other, give: self.home.tell(other, "swap.agreed", agreement.signed, give),
                told,
                again,
            )

    def _refund(self, order: Refund, again: Callable[[], None]) -> None:
        def refund() -> None:
            case = refund_case(self.node, order.terms, self._key("refund"))
            self._ask(order.terms, case, lambda s: self._looked(s, order.terms, again, asked=False), again)

        payer = order.unless
        if payer is None:
            refund()
            return

        def told(signed: Signed) -> None:
            agreement = agreement_in(self.state)
            seen = [] if agreement is None else legs_seen(agreement, signed, payer.index)
            self.learn(signed, payer.index)
            if seen and all(leg.leg != "opened" for leg in seen):
                refund()
            else:
                again()

        self._ask(payer, state_case(self.node, payer), told, again)

    def _send(self, order: Send, again: Callable[[], None]) -> None:
        if self.node.now >= order.until:
            return
        signed = seal_message(self.node.key, order.message)

        def known(recorded: bool) -> None:  # noqa: FBT001 - an answer
            if not recorded:
                again()

        self.home.post.ask(
            self.node, order.to, lambda other, give: self.home.tell(other, order.method, signed, give), known, again
        )

    # -- issuers

    def _ask(self, terms: LockTerms, case: Case, answered: Callable[[Signed], None], again: Callable[[], None]) -> None:
        def read(signed: Signed) -> None:
            self.home.saw(self.node, signed, case.body)
            answered(signed)

        self.home.post.ask(self.node, terms.issuer, lambda other, give: self.home.mint(other, case, give), read, again)

    def _key(self, role: str) -> SigningKey:
        mine = mine_in(self.state)
        return lock_key(self.node.key.secret, open_approve(mine.approval).draft, mine.index, role)

    def _locked(self, signed: Signed) -> None:
        answer = open_answer(signed)
        if isinstance(answer, LockAnswer):
            self.home.saw(self.node, answer.locked)
            self.give(LockedReceived(answer.locked))
        elif isinstance(answer, Refusal):
            self.give(LockFailed(answer.reason, answer.detail))

    def _looked(self, signed: Signed, terms: LockTerms, again: Callable[[], None], *, asked: bool) -> None:
        if not self.learn(signed, terms.index if asked else None) and not asked:
            self._state_of(terms, again)
            return
        again()

    def _state_of(self, terms: LockTerms, again: Callable[[], None]) -> None:
        self._ask(terms, state_case(self.node, terms), lambda s: self._looked(s, terms, again, asked=True), again)

    def learn(self, signed: Signed, asked: int | None, then: Callable[[], None] = lambda: None) -> bool:
        """Take what an issuer signed about arcs of this ring; tell whether it said anything."""
        agreement = agreement_in(self.state)
        seen = [] if agreement is None else legs_seen(agreement, signed, asked)
        for leg in seen[:-1]:
            self.give(leg)
        if seen:
            self.give(seen[-1], then)
        else:
            then()
        return bool(seen)

    def _take(self, order: Take, again: Callable[[], None]) -> None:
        terms, issuer = order.terms, self.home.people[order.terms.issuer]
        kept = kept_take(self.node, terms.lock_id)
        body = kept or take_body(self.node, issuer, terms)
        mine = mine_in(self.state)
        key = self._key("refund" if order.index == mine.index else "to")

        def answered(signed: Signed) -> None:
            answer = open_answer(signed)
            if isinstance(answer, Minted):
                self.give(LegTaken(order.index))
                return
            if isinstance(answer, Refusal) and answer.reason is Reason.EXPIRED:
                self.node.write(lambda _: keep_take(self.node, take_body(self.node, issuer, terms)), lambda _: again())
                return
            self._state_of(terms, again)

        def ask(_: object = None) -> None:
            if not self.node.crashes(self.node):
                self._ask(terms, case_of(body, [key]), answered, again)

        if kept is None:
            self.node.write(lambda _: keep_take(self.node, body), ask)
        else:
            ask()


def _name(state: State) -> str:
    return f"Ended({state.outcome})" if isinstance(state, Ended) else type(state).__name__
