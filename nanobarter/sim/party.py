"""A node as a party: takes messages as swap.service does, keeps its seats, and takes them up again after a crash."""

from collections.abc import Callable

from nanobarter.core.errors import Malformed, Refused
from nanobarter.core.ids import AgreementId, DraftId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import Instant, Quantity, Span, after
from nanobarter.mint.answer_messages import LockState
from nanobarter.sim.home import Home
from nanobarter.sim.node import Node
from nanobarter.sim.people import TERMS, Person
from nanobarter.sim.purse import lock_key
from nanobarter.sim.seat import Seat
from nanobarter.swap import tables
from nanobarter.swap.caution import hangs, promised_in, shortage
from nanobarter.swap.ended import is_over, settled_quantity
from nanobarter.swap.making import make_approve
from nanobarter.swap.messages import Draft, draft_id_of, open_approve, open_cancel, open_draft, open_refuse, open_vote
from nanobarter.swap.objections import draft_objection
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.questions import body_of
from nanobarter.swap.receipts import open_answer
from nanobarter.swap.states import (
    AgreementReceived,
    ApprovalReceived,
    Approved,
    CancelReceived,
    Ended,
    Gathering,
    Given,
    LockedReceived,
    Mine,
    RefusalReceived,
    Restarted,
    State,
    TimePassed,
    VoteReceived,
)
from nanobarter.swap.terms import Agreement, agreement_of, open_locked

Ack = Callable[[bool], None]


class Party:
    """See the module."""

    def __init__(self, node: Node, home: Home, watch: Callable[[Agreement, Callable[[], None]], None]) -> None:
        self.node, self.home, self.watch = node, home, watch
        self.seats = dict[DraftId, Seat]()
        self._considering = set[DraftId]()
        self._held = dict[AgreementId, list[Callable[[], None]]]()
        self.prepare: Callable[[Seat], None] = lambda _: None  # a cheat's chance to bend a new seat
        node.forget.append(self._forget)
        node.resume.append(self._resume)

    # -- life

    def _forget(self) -> None:
        self.seats.clear()
        self._considering.clear()
        self._held.clear()

    def _resume(self) -> None:
        """Take up what the disk remembers; when only the clock was set, look at it anew."""
        fresh = not self.seats
        for draft, state in tables.live_states(self.node.db).items():
            if draft not in self.seats:
                self._sit(draft, state)
        for seat in list(self.seats.values()):
            seat.give(Restarted() if fresh else TimePassed())

    def _sit(self, draft: DraftId, state: State) -> Seat:
        seat = self.seats[draft] = Seat(self.node, self.home, draft, state)
        self.prepare(seat)
        return seat

    def adopt(self, draft: DraftId, state: State) -> None:
        """Record a new draft and let its orders begin."""
        now = self.node.now

        def sit(_: None) -> None:
            self._considering.discard(draft)
            self.home.trace(self.node, f"takes a seat: {type(state).__name__}")
            self._sit(draft, state).give(TimePassed())

        self.node.write(lambda db: tables.put_state(db, draft, None, state, now), sit)

    def state(self, draft: DraftId) -> State | None:
        """Return the state of a draft as the disk has it, ended or not."""
        seat = self.seats.get(draft)
        return seat.state if seat else tables.find_state(self.node.db, draft)

    # -- drafts

    def mine(self, signed: Signed, index: int, issuer: Person) -> Mine:
        """Return our position in a draft, with a fresh r_i."""
        draft_id = draft_id_of(signed)
        return make_approve(
            self.node.key,
            signed,
            index,
            nonce=self.node.random.randbytes(32),
            to_key=lock_key(self.node.key.secret, draft_id, index, "to").public,
            refund_key=lock_key(self.node.key.secret, draft_id, index, "refund").public,
            issuer=issuer.key.public,
            terms_hash=TERMS,
        )

    def propose(self, signed: Signed) -> None:
        """Take the first position of a draft of ours, once both its issuers answer."""
        self._considering.add(draft_id_of(signed))
        self._look(signed, 0)

    def _look(self, signed: Signed, index: int) -> None:
        """Ask both issuers whether they are there, and then take the seat."""
        arcs = open_draft(signed).arcs
        missing = {arcs[index].quality.issuer, arcs[index - 1].quality.issuer} - {self.node.node}

        def there(issuer: NodeId) -> None:
            missing.discard(issuer)
            if not missing:
                self._take_seat(signed, index)

        if not missing or not self.home.looks:
            missing.clear()
            self._take_seat(signed, index)
            return
        for issuer in sorted(missing):
            self._ask_after(issuer, signed, there)

    def _ask_after(self, issuer: NodeId, signed: Signed, there: Callable[[NodeId], None]) -> None:
        draft = open_draft(signed)

        def answered(theirs: Instant) -> None:
            if self._near(theirs):
                there(issuer)
            else:
                self._considering.discard(draft_id_of(signed))

        def silent() -> None:
            if self.node.now < after(draft.time, Span(draft.pace.approve + draft.pace.lock)):
                self._ask_after(issuer, signed, there)
            else:
                self._considering.discard(draft_id_of(signed))

        self.home.post.ask(self.node, issuer, lambda other, give: give(other.now), answered, silent)

    def _near(self, theirs: Instant) -> bool:
        return self.home.times.near(theirs, self.node.now)

    def _take_seat(self, signed: Signed, index: int) -> None:
        draft, draft_id = open_draft(signed), draft_id_of(signed)
        if draft_id not in self._considering or self.state(draft_id) is not None:
            return
        if draft_objection(draft, index, self.home.times, self.node.now) or self._shortage(draft, index):
            self._considering.discard(draft_id)
            return
        mine = self.mine(signed, index, self.home.people[draft.arcs[index].quality.issuer])
        blank = (None,) * (len(draft.arcs) - 1)
        self.adopt(draft_id, Approved(signed, mine) if index else Gathering(signed, mine, (mine.approval, *blank)))

    def _shortage(self, draft: Draft, index: int) -> Refused | None:
        """Return why our bid has too little left, as swap.joining does."""
        bid, body = draft.arcs[index].bid, body_of(draft.bids[index])
        left = (body.quantity if body else 0) - settled_quantity(self.node.db, bid)
        held = [promised_in(s.state) for s in self.seats.values() if mine_in(s.state).bid == bid]
        return shortage(draft, index, Quantity(left), held)

    def hanging(self) -> bool:
        """Tell whether a ring of ours is past its vote and goes on."""
        return any(hangs(state, self.node.now) for state in self._live())

    def _live(self) -> list[State]:
        return [seat.state for seat in self.seats.values() if not isinstance(seat.state, Ended)]

    def agreed(self) -> bool:
        """Tell whether a draft became an agreement in which we are, or were: the disk knows, after a crash too."""
        rows = self.node.db.execute("SELECT 1 FROM swap_drafts WHERE agreement IS NOT NULL LIMIT 1")
        return rows.fetchone() is not None

    def busy(self) -> bool:
        """Tell whether a draft holds our bid: one at a time up to its vote."""
        return bool(self._considering) or any(not hangs(state, self.node.now) for state in self._live())

    # -- messages

    def hear(self, method: str, signed: Signed, ack: Ack) -> None:
        """Take a message; acknowledge what is recorded or of no use. What is malformed gets no answer."""
        try:
            getattr(self, "_on_" + method.removeprefix("swap."))(signed, ack)
        except Malformed as error:
            self.home.trace(self.node, f"does not take {method}: {error}")

    def _on_draft(self, signed: Signed, ack: Ack) -> None:
        draft, draft_id = open_draft(signed), draft_id_of(signed)
        index = next((i for i, arc in enumerate(draft.arcs) if arc.giver == self.node.node), 0)
        if index and self.state(draft_id) is None and not self.busy() and not self.node.restored:
            self._considering.add(draft_id)
            self._look(signed, index)
        ack(True)

    def _on_approve(self, signed: Signed, ack: Ack) -> None:
        approve = open_approve(signed)
        fresh = tables.all_fresh(self.node.db, [approve.hash], approve.draft)
        self._apply(approve.draft, ApprovalReceived(signed, fresh), ack)

    def _on_refuse(self, signed: Signed, ack: Ack) -> None:
        self._apply(open_refuse(signed).draft, RefusalReceived(signed), ack)

    def _on_agreed(self, signed: Signed, ack: Ack) -> None:
        agreement = agreement_of(signed)

        def apply() -> None:
            if self.node.node in agreement.nodes:
                hashes = [a.hash for a in agreement.approvals]
                fresh = tables.all_fresh(self.node.db, hashes, agreement.draft_id)
                self._apply(agreement.draft_id, AgreementReceived(signed, fresh), ack)
            else:
                ack(True)

        if self.node.node in agreement.issuers and self._near(agreement.start):
            self.watch(agreement, apply)
        else:
            apply()

    def _on_cancel(self, signed: Signed, ack: Ack) -> None:
        draft = open_cancel(signed).draft
        known = draft not in self._considering
        self._apply(draft, CancelReceived(signed), lambda _: ack(known))

    def _on_locked(self, signed: Signed, ack: Ack) -> None:
        self.home.saw(self.node, signed)
        agreement = open_locked(signed).terms.agreement
        seat = self._under(agreement)
        if seat is not None:
            seat.give(LockedReceived(signed), lambda: ack(True))
        elif any(isinstance(s.state, Approved) for s in self.seats.values()):
            self._hold(agreement, signed, ack)
        else:
            ack(is_over(self.node.db, agreement))

    def _hold(self, agreement: AgreementId, signed: Signed, ack: Ack) -> None:
        """Keep a LOCKED for a moment that came before its AGREED was recorded."""
        held = [True]

        def again() -> None:
            if held:
                held.clear()
                seat = self._under(agreement)
                if seat is None:
                    ack(is_over(self.node.db, agreement))
                else:
                    seat.give(LockedReceived(signed), lambda: ack(True))

        self._held.setdefault(agreement, []).append(again)
        self.node.later(LIMITS.swap_overtaken, again)

    def moved(self, state: State) -> None:
        """Take what was held for an agreement that is recorded now."""
        agreement = agreement_in(state)
        if agreement is not None:
            for again in self._held.pop(agreement.agreement_id, ()):
                again()

    def _on_vote(self, signed: Signed, ack: Ack) -> None:
        seat = self._under(open_vote(signed).agreement)
        if seat is None:
            ack(True)
            return
        seat.give(VoteReceived(signed), lambda: ack(True))

    def _on_opened(self, signed: Signed, ack: Ack) -> None:
        self.home.saw(self.node, signed)
        answer = open_answer(signed)
        if not isinstance(answer, LockState):
            raise Malformed("not the receipt of one lock")
        seat = self._under(answer.agreement)
        if seat is None:
            ack(True)
            return
        seat.learn(signed, None, lambda: ack(True))

    def _under(self, agreement: AgreementId) -> Seat | None:
        for seat in self.seats.values():
            held = agreement_in(seat.state)
            if held is not None and held.agreement_id == agreement:
                return seat
        return None

    def _apply(self, draft: DraftId, given: Given, ack: Ack) -> None:
        seat = self.seats.get(draft)
        if seat is None:
            ack(True)
        else:
            seat.give(given, lambda: ack(True))
