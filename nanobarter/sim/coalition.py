"""Parties that cheat together: they share what they know, and act against all others at the worst moments.

A cheat runs the production step like everybody, and departs from it by its tricks: it does not carry orders that cost
it something, and the coalition acts beside it. It knows the secrets of its members, the votes that reach them, and
what any issuer shows or lets out; it opens what pays its members and nothing else, as late as it can, and fetches
back what its members should pay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import AgreementId, NodeId, RequestId
from nanobarter.core.keys import Signed
from nanobarter.core.units import SECOND, Instant
from nanobarter.mint.answer_messages import LockState, States
from nanobarter.mint.messages import OpenBody, Preimage
from nanobarter.mint.outcomes import Case
from nanobarter.sim.clock import Act
from nanobarter.sim.node import Node
from nanobarter.sim.purse import case_of, lock_key, refund_case, release_case, valid_until
from nanobarter.sim.seat import Seat
from nanobarter.sim.world import World
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import Agreed, Vote, open_vote
from nanobarter.swap.orders import Lock, Open, Order, Send
from nanobarter.swap.positions import agreement_in, mine_in
from nanobarter.swap.receipts import open_answer
from nanobarter.swap.states import Ended, Gathering, Restarted, State
from nanobarter.swap.terms import Agreement, agreement_of

MIXED: Final = {
    "greedy": 0.6,  # does not open its own arc, and wants it back as soon as its deadline is over
    "hold": 0.6,  # as proposer: keeps the secrets until the last moments
    "late vote": 0.15,  # votes around T_vote
    "late locked": 0.1,  # shows the lock that it made only after T_vote
    "no vote": 0.03,
    "no lock": 0.05,
    "release": 0.1,  # gives up what pays it, at some time
    "mute": 0.05,  # falls silent at some time
    "old backup": 0.2,  # goes back to what it was before, and on from there
    "two agreements": 0.1,  # as proposer: signs another AGREED, and shows it to some
    "replay": 0.5,  # says again what was said, to anybody
}
"""The tricks, and how likely each member has each of them when they do not agree on one."""

STYLES: Final = {
    "last moment": {"greedy": 1.0, "hold": 1.0, "sharp": 1.0, "replay": 0.2, "old backup": 0.1},
    "no lock": {"greedy": 0.7, "hold": 0.5, "no lock": 0.6, "sharp": 0.5},
    "too late": {"greedy": 0.7, "hold": 0.7, "late vote": 0.5, "late locked": 0.5, "replay": 0.5},
    "mixed": MIXED,
}
"""Coalitions with one plan do more harm than members with a trick each. Sharp ones try once, at the last moment."""


HEARD_MAX: Final = 400


@dataclass
class Member:
    """A cheat and its tricks."""

    node: Node
    tricks: frozenset[str]


class Coalition:
    """See the module. ``own`` are the requests that it made itself, by which rogue issuers know their friends."""

    def __init__(self, world: World, names: Sequence[str], random: Random, tricks: dict[str, float] = MIXED) -> None:
        self.world, self.random = world, random
        self.members = dict[NodeId, Member]()
        self.own = set[RequestId]()
        self._secrets = dict[AgreementId, dict[int, Preimage]]()
        self._proofs = dict[tuple[AgreementId, int], Signed]()
        self._plans = dict[AgreementId, Agreement]()
        self._heard = list[tuple[str, Signed]]()
        for name in names:
            node = world.by_name[name]
            node.honest = False
            chosen = frozenset(trick for trick, chance in tricks.items() if random.random() < chance)
            self.members[node.node] = Member(node, chosen)
            party = world.parties[node.node]
            party.prepare = self._bend
            world.trace(node, f"cheats: {', '.join(sorted(chosen)) or 'helps the others'}")
        world.overhear = self._overhear
        world.read = self._read
        for _ in range(4):
            world.scheduler.later(random.randint(0, 3 * world.times.delta), self._replay)

    # -- what it knows

    def _overhear(self, node: Node, method: str, signed: Signed) -> None:
        if node.node not in self.members:
            return
        if len(self._heard) < HEARD_MAX:
            self._heard.append((method, signed))
        try:
            if method == "swap.agreed":
                self.plan(agreement_of(signed))
            elif method == "swap.vote":
                vote = open_vote(signed)
                self._learn(vote.agreement, vote.index, vote.secret)
        except Malformed:
            return

    def _read(self, node: Node, signed: Signed) -> None:
        if node.node in self.members:
            self.see(signed)

    def see(self, signed: Signed) -> None:
        """Learn from an issuer's answer."""
        try:
            answer = open_answer(signed)
        except Malformed:
            return  # a LOCKED
        states = answer.locks if isinstance(answer, States) else (answer,) if isinstance(answer, LockState) else ()
        for state in states:
            self.let_out(state.agreement, state.preimages)
            agreement = self._plans.get(state.agreement)
            if agreement is not None and isinstance(answer, LockState) and state.state in ("opened", "returned"):
                index = next((t.index for t in agreement.terms if t.lock_id == state.lock_id), 0)
                self._proofs[state.agreement, index] = signed

    def let_out(self, agreement: AgreementId, preimages: tuple[Preimage, ...]) -> None:
        """Learn all secrets of a ring."""
        for index, secret in enumerate(preimages):
            self._learn(agreement, index, secret)

    def _learn(self, agreement: AgreementId, index: int, secret: Preimage) -> None:
        self._secrets.setdefault(agreement, {})[index] = secret

    def secrets(self, agreement: Agreement) -> tuple[Preimage, ...] | None:
        """Return all n secrets, once the coalition has them."""
        known = self._secrets.setdefault(agreement.agreement_id, {})
        for node in self.members:
            for seat in self.world.parties[node].seats.values():
                held = agreement_in(seat.state)
                if held is not None and held.agreement_id == agreement.agreement_id:
                    mine = mine_in(seat.state)
                    known.setdefault(mine.index, mine.secret)
        if len(known) < agreement.size:
            return None
        return tuple(known[i] for i in range(agreement.size))

    # -- members' seats

    def _bend(self, seat: Seat) -> None:  # noqa: C901 - one line per kind of order
        member, random = self.members[seat.node.node], self.random
        tricks = member.tricks

        def refuses(order: Order) -> bool:
            own = mine_in(seat.state).index
            match order:
                case Lock():
                    return "no lock" in tricks
                case Open():
                    return ("greedy" in tricks and order.index == own) or "hold" in tricks
                case Send(method="swap.vote"):
                    if "late vote" in tricks and isinstance(order.message, Vote):
                        self._vote_late(member.node, seat, order)
                    return "no vote" in tricks or "late vote" in tricks
                case Send(method="swap.locked"):
                    if "late locked" in tricks and isinstance(order.message, Signed):
                        self._lock_late(member.node, seat, order.to, order.message)
                    return "late locked" in tricks
                case Send(method="swap.agreed"):
                    return "two agreements" in tricks and self._agree_again(member.node, seat, order)
                case _:
                    return False

        seat.refuses = refuses
        if "mute" in tricks:
            self.world.scheduler.later(random.randint(0, 6 * SECOND), lambda: setattr(seat, "silent", True))
        if "old backup" in tricks:
            early = seat.state
            when = random.choice((random.randint(0, 8 * SECOND), random.randint(0, 4 * self.world.times.delta)))
            self.world.scheduler.later(when, lambda: self._go_back(seat, early))

    def _vote_late(self, node: Node, seat: Seat, order: Send) -> None:
        agreement = agreement_in(seat.state)
        if agreement is None:
            return
        signed = seal_message(node.key, order.message)
        for moment in (-self.random.randint(0, 900), self.random.randint(0, 900), self.random.randint(0, 400 * SECOND)):
            self._at(node, Instant(agreement.vote_by + moment), lambda: self._say(node, order.to, "swap.vote", signed))

    def _lock_late(self, node: Node, seat: Seat, to: NodeId, locked: Signed) -> None:
        agreement = agreement_in(seat.state)
        if agreement is not None:
            moment = self.random.choice((self.random.randint(0, 900), self.random.randint(0, 2 * agreement.pace.delta)))
            self._at(node, Instant(agreement.vote_by + moment), lambda: self._say(node, to, "swap.locked", locked))

    def _agree_again(self, node: Node, seat: Seat, order: Send) -> bool:
        """Show some of the parties another AGREED for the same draft, which starts a moment later."""
        if isinstance(seat.state, Gathering | Ended) or not isinstance(order.message, Signed):
            return False
        if order.message.key != node.key.public:
            return False  # only the proposer can
        first = agreement_of(order.message)
        if order.to[0] % 2:
            return False
        agreed = Agreed(first.draft_id, first.signed_approvals, Instant(first.start + 1), first.pace)
        other = seal_message(node.key, agreed)
        self.plan(agreement_of(other))
        self._say(node, order.to, "swap.agreed", other)
        return self.random.random() < 0.5  # noqa: PLR2004 - half of them see both

    def _go_back(self, seat: Seat, early: State) -> None:
        if not isinstance(seat.state, Ended):
            seat.stand([])
            seat.state = early
            self.world.trace(seat.node, f"goes back to an old backup: {type(early).__name__}")
            seat.give(Restarted())

    # -- beside the seats

    def plan(self, agreement: Agreement) -> None:
        """Prepare for the deadlines of a ring."""
        if agreement.agreement_id in self._plans:
            return
        self._plans[agreement.agreement_id] = agreement
        random = self.random
        for j, terms in enumerate(agreement.terms):
            giver, receiver = agreement.nodes[j], agreement.nodes[(j + 1) % agreement.size]
            if receiver in self.members:
                member = self.members[receiver]
                for moment in self._moments(member, agreement.pace.delta):
                    self._at(member.node, Instant(terms.deadline + moment), lambda a=agreement, j=j: self._open(a, j))
                if "release" in member.tricks:
                    span = random.choice((random.randint(0, 5 * SECOND), terms.deadline - agreement.start))
                    self._at(member.node, Instant(agreement.start + span), lambda a=agreement, j=j: self._release(a, j))
            if giver in self.members and "greedy" in self.members[giver].tricks:
                delta, day = agreement.pace.delta, 25 * 3600 * SECOND
                often = range(20 * SECOND, 3 * delta, 20 * SECOND) if "sharp" in self.members[giver].tricks else ()
                for moment in (-delta, 1, 400, 2_000, *often, day, day + delta):
                    when = Instant(terms.deadline + moment)
                    self._at(self.members[giver].node, when, lambda a=agreement, j=j: self._refund(a, j))

    def _moments(self, member: Member, delta: int) -> tuple[int, ...]:
        """Draw when a member opens what pays it, seen from the deadline."""
        random = self.random
        if "sharp" in member.tricks:
            return (-random.randint(50, 350),)
        last = random.choice((random.randint(0, 500), random.randint(0, 2_000), random.randint(0, 60 * SECOND)))
        return (-last, random.randint(0, 2 * delta))

    def _at(self, node: Node, instant: Instant, act: Act) -> None:
        """Act when a member's own clock shows an instant, a message's time too early or not at all too soon."""
        self.world.scheduler.at(Instant(instant - node.skew - self.random.randint(0, 200)), act)

    def _open(self, agreement: Agreement, index: int) -> None:
        preimages, terms = self.secrets(agreement), agreement.terms[index]
        if preimages is None:
            return
        node = self.members[agreement.nodes[(index + 1) % agreement.size]].node
        proof = self._proofs.get((agreement.agreement_id, agreement.incoming(index)))
        body = OpenBody(terms.issuer, valid_until(node), terms.lock_id, preimages, proof)
        self._put(node, agreement, index, case_of(body), "opens")

    def _release(self, agreement: Agreement, index: int) -> None:
        receiver = (index + 1) % agreement.size
        node, terms = self.members[agreement.nodes[receiver]].node, agreement.terms[index]
        key = lock_key(node.key.secret, agreement.draft_id, receiver, "to")
        self._put(node, agreement, index, release_case(node, terms, key), "releases")

    def _refund(self, agreement: Agreement, index: int) -> None:
        node, terms = self.members[agreement.nodes[index]].node, agreement.terms[index]
        key = lock_key(node.key.secret, agreement.draft_id, index, "refund")
        self._put(node, agreement, index, refund_case(node, terms, key), "wants back")

    def _put(self, node: Node, agreement: Agreement, index: int, case: Case, what: str) -> None:
        self.own.add(case.request)
        self.world.trace(node, f"{what} arc {index}")
        issuer = agreement.issuers[index]
        self.world.post.ask(node, issuer, lambda other, give: self.world.mint(other, case, give), self.see)

    def _say(self, node: Node, to: NodeId, method: str, signed: Signed) -> None:
        self.world.post.ask(node, to, lambda other, give: self.world.tell(other, method, signed, give), lambda _: None)

    def _replay(self) -> None:
        repeaters = [m.node for m in self.members.values() if "replay" in m.tricks]
        honest = [node for node in self.world.nodes if node.honest]
        if not (repeaters and honest and self._heard):
            return
        for _ in range(5):
            method, signed = self.random.choice(self._heard)
            self._say(self.random.choice(repeaters), self.random.choice(honest).node, method, signed)
