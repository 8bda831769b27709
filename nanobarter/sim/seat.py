"""One position in one ring: the daemon's ``step`` on one draft, and its standing orders carried as swap.carrier does.

One fact at a time moves the draft, and what a new state wants is begun only when the state is on disk.
"""

from collections import deque
from collections.abc import Callable
from typing import assert_never

from nanobarter.core.ids import DraftId
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import MINUTE, Span, after
from nanobarter.mint.messages import OpenBody
from nanobarter.sim.customer import Customer
from nanobarter.sim.home import Home
from nanobarter.sim.node import Node
from nanobarter.sim.purse import case_of, release_case
from nanobarter.swap import machine, tables
from nanobarter.swap.making import make_agreed, seal_message
from nanobarter.swap.orders import Agree, Ask, Blame, Lock, Open, Order, Refund, Release, Send, Take, WakeAt
from nanobarter.swap.positions import agreement_in
from nanobarter.swap.states import Ended, Gathering, Given, State, TimePassed

POLL_MAX = MINUTE  # as swap_poll_max, up to the last deadline
POLL_LATE = 30 * MINUTE  # afterwards: who waits for a day is not asked for news every minute


class Seat(Customer):
    """See the module. ``state`` is what the disk has."""

    def __init__(self, node: Node, home: Home, draft: DraftId, state: State) -> None:
        super().__init__(node, home, draft, state)
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


def _name(state: State) -> str:
    return f"Ended({state.outcome})" if isinstance(state, Ended) else type(state).__name__
