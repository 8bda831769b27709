"""What a party does at issuers: lock, refund, take, ask, in virtual time, as swap.carrier does it by tasks."""

from collections.abc import Callable

from nanobarter.core.errors import Reason
from nanobarter.core.ids import DraftId
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.mint.answer_messages import LockAnswer, Minted, Refusal
from nanobarter.mint.messages import LockTerms
from nanobarter.mint.outcomes import Case
from nanobarter.sim.home import Home
from nanobarter.sim.node import Node
from nanobarter.sim.purse import case_of, keep_take, kept_take, lock_case, lock_key, refund_case, state_case, take_body
from nanobarter.swap.messages import open_approve
from nanobarter.swap.orders import Lock, Refund, Take
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.receipts import legs_seen, open_answer
from nanobarter.swap.states import Given, LegTaken, LockedReceived, LockFailed, State


class Customer:
    """One position, seen from the issuers of its arcs. ``state`` is what the disk has."""

    def __init__(self, node: Node, home: Home, draft: DraftId, state: State) -> None:
        self.node, self.home, self.draft, self.state = node, home, draft, state

    def give(self, given: Given, then: Callable[[], None] = lambda: None) -> None:
        """Let a fact move the draft; ``then`` when what comes of it is on disk."""
        raise NotImplementedError

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
