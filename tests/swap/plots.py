"""All but one party cheat together, each plot in the one way that a single check of the victim's ``step`` stops.

The issuers and their tables are honest, so the victim is protected: it must never pay without being paid. The plotters
share their secrets and hear the victim's vote; they open the victim's arc in the last moment, fetch the one that
should pay it back as soon as they may, and give up nothing.
"""

# pyright: reportPrivateUsage=false
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from nanobarter.core.ids import AgreementId, sha256
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.core.units import HOUR, SECOND, Instant, LeaseKind, Quantity, Span, after
from nanobarter.mint import pledge, rows
from nanobarter.mint.messages import DOMAIN_LOCKED, LockAnswer, Locked, LockTerms
from nanobarter.sim.check import agreements_of
from nanobarter.sim.coalition import Coalition
from nanobarter.sim.luck import Luck
from nanobarter.sim.node import Node
from nanobarter.sim.people import KIND, PLEDGED, TERMS, Person, key_of
from nanobarter.sim.purse import lock_case
from nanobarter.sim.rings import Ring
from nanobarter.sim.seat import Seat
from nanobarter.sim.world import World
from nanobarter.swap.making import make_agreed, seal_message
from nanobarter.swap.messages import Agreed, open_approve
from nanobarter.swap.orders import Agree, Lock, Order, Release, Send
from nanobarter.swap.positions import agreement_in
from nanobarter.swap.receipts import open_answer
from nanobarter.swap.states import Gathering, Locking, Mine, State
from nanobarter.swap.terms import Agreement, agreement_of

LUCK: Final = Luck(delay=(20, 150), disk=(1, 5), proposals_max=1)
OTHER_KIND: Final = LeaseKind("7d")


class Plotters(Coalition):
    """They hold their secrets back and pay nobody; what they do beside that the plot says."""

    def __init__(self, world: World, names: list[str], random: Random) -> None:
        super().__init__(world, names, random, {"greedy": 1.0, "hold": 1.0})

    def plan(self, agreement: Agreement) -> None:
        """Leave all to the plot."""
        self._plans[agreement.agreement_id] = agreement


class Plot(World):
    """See the module. ``own``: everybody gives notes of its own; else the issuers are no parties."""

    def __init__(self, seed: int, *, own: bool = False, first: int = 1, looks: bool = True) -> None:
        self.drawn = Random(f"plot/{seed}")
        size, issuer = self.drawn.randint(first + 1, 5), "party" if own else "issuer"
        super().__init__(Ring(tuple(f"{issuer} {i}" for i in range(size)), Quantity(96)), seed, LUCK, looks=looks)
        self.place = self.drawn.randint(first, size - 1)
        self.victim, self.payer = self.by_name[f"party {self.place}"], self.by_name[f"party {self.place - 1}"]
        names = [name for name in self.ring.parties if name != self.victim.name]
        self.friends = Plotters(self, names, self.drawn)
        self.early = SECOND
        self._acted = set[AgreementId]()
        for name in names:
            self.parties[self.by_name[name].node].prepare = self._bend

    def _bend(self, seat: Seat) -> None:
        self.friends._bend(seat)
        usual = seat.refuses
        seat.refuses = lambda order: isinstance(order, Release) or self.departs(seat, order) or usual(order)

    def departs(self, seat: Seat, order: Order) -> bool:
        """Do something else than a plotter's order; tell whether it is not to be carried out."""
        return False

    def moved(self, node: Node, state: State) -> None:
        """Begin as soon as the victim has joined an agreement."""
        super().moved(node, state)
        agreement = agreement_in(state)
        if node is not self.victim or not isinstance(state, Locking) or agreement is None:
            return
        if agreement.agreement_id not in self._acted:
            self._acted.add(agreement.agreement_id)
            self.act(agreement)

    def act(self, agreement: Agreement) -> None:
        """Open the victim's arc at last, and want the one that pays it back from its deadline on."""
        v, before, friends, at = self.place, self.place - 1, self.friends, self.scheduler.at

        def open_it() -> None:
            self.share(agreement)
            friends._open(agreement, v)

        friends.plan(agreement)
        at(after(agreement.vote_by, Span(-2_000)), lambda: self.share(agreement))
        at(after(self.end(agreement, v), Span(-self.early)), open_it)
        for late in (1, 400, 2_000, 20_000, 25 * HOUR):
            at(after(self.end(agreement, before), Span(late)), lambda: friends._refund(agreement, before))

    def end(self, agreement: Agreement, index: int) -> Instant:
        """When an arc ends, as the plotters have it."""
        return agreement.deadline(index)

    def share(self, agreement: Agreement) -> None:
        """Gather the secrets: of whatever agreement on the draft they are, they are the same."""
        for plan in list(self.friends._plans.values()):
            known = self.friends.secrets(plan)
            if known is not None and plan.draft_id == agreement.draft_id:
                self.friends.let_out(agreement.agreement_id, known)

    def say_to_all(self, seat: Seat, method: str, signed: Signed) -> None:
        """Tell all parties a little later, when they have their agreement."""
        for name in self.ring.parties:
            to = self.by_name[name].node
            self.scheduler.later(3_000, lambda to=to: self.friends._say(seat.node, to, method, signed))

    @property
    def robbed(self) -> bool:
        """Tell whether the victim paid, and what was agreed is neither in its hands nor worth what was agreed."""
        return any(self._robbed(agreement) for agreement in agreements_of(self))

    def _robbed(self, agreement: Agreement) -> bool:
        wanted = agreement.terms[self.place - 1]
        gave, got = (
            rows.find_lock(self.post.nodes[t.issuer].db, t.lock_id) for t in (agreement.terms[self.place], wanted)
        )
        if gave is None or gave.outcome != "opened":
            return False
        if got is None or (got.outcome, got.ended) != ("opened", "taken"):
            return True
        same = ("kind", "terms_hash", "to_key", "quantity")
        return any(getattr(got.terms, name) != getattr(wanted, name) for name in same)


class NoLock(Plot):
    """Who should pay the victim locks nothing; with ``forged`` it signs the LOCKED itself."""

    def __init__(self, seed: int, *, forged: bool = False) -> None:
        super().__init__(seed)
        self.forged = forged

    def departs(self, seat: Seat, order: Order) -> bool:
        if seat.node is not self.payer or not isinstance(order, Lock):
            return False
        if self.forged:
            self.say_to_all(
                seat, "swap.locked", seal_signed(seat.node.key, DOMAIN_LOCKED, Locked(order.terms, seat.node.now))
            )
        return True


class FalseLock(Plot):
    """The lock that should pay the victim stands, but one field of it is not what was agreed."""

    def __init__(self, seed: int, field: str) -> None:
        super().__init__(seed, own=field == "kind", first=2 if field == "previous_issuer" else 1)
        self.field = field
        if field == "kind":
            pledge.set_pledges(self.payer.db, {KIND: PLEDGED, OTHER_KIND: PLEDGED})
        if field == "terms_hash":
            party = self.parties[self.payer.node]
            party.mine = self._promises(party.mine)

    def _promises(self, real: Callable[..., Mine]) -> Callable[..., Mine]:
        """Let the payer approve under other terms than its issuer has."""

        def mine(signed: Signed, index: int, issuer: Person) -> Mine:
            true = real(signed, index, issuer)
            better = replace(open_approve(true.approval), terms_hash=sha256(b"better terms"))
            return replace(true, approval=seal_message(self.payer.key, better))

        return mine

    def departs(self, seat: Seat, order: Order) -> bool:
        agreement = agreement_in(seat.state)
        if seat.node is not self.payer or not isinstance(order, Lock) or agreement is None or not self.field:
            return False
        false = FALSE[self.field](agreement, order.terms)
        case = lock_case(
            seat.node, self.people[order.terms.issuer], replace(order.terms, **{self.field: false}), order.until
        )

        def answered(signed: Signed) -> None:
            answer = open_answer(signed)
            if isinstance(answer, LockAnswer):
                self.say_to_all(seat, "swap.locked", answer.locked)

        self.post.ask(
            seat.node, order.terms.issuer, lambda other, give: self.mint(other, case, give), answered, lambda: None
        )
        return True

    def end(self, agreement: Agreement, index: int) -> Instant:
        false = self.field == "deadline" and index == self.place - 1
        return after(agreement.vote_by, Span(2_000)) if false else super().end(agreement, index)

    def act(self, agreement: Agreement) -> None:
        super().act(agreement)
        last, delta = agreement.deadline(self.place), agreement.pace.delta
        if self.field == "take_until":  # the victim sleeps, as it may for a month
            self.scheduler.at(after(last, Span(-950)), lambda: self.outage(self.victim, 2 * delta))
        if self.field in ("delta", "previous_issuer", ""):  # the payer's issuer is away, for less than delta
            issuer = self.post.nodes[agreement.issuers[self.place - 1]]
            self.scheduler.at(after(last, Span(-2_000)), lambda: self.outage(issuer, delta - SECOND))


FALSE: Final[Mapping[str, Callable[[Agreement, LockTerms], Any]]] = {
    "kind": lambda _agreement, _terms: OTHER_KIND,
    "terms_hash": lambda _agreement, _terms: TERMS,
    "quantity": lambda _agreement, _terms: Quantity(32),
    "hashes": lambda _agreement, terms: terms.hashes[::-1],
    "to_key": lambda _agreement, terms: terms.refund_key,
    "refund_key": lambda _agreement, _terms: key_of("a friend").public,
    "deadline": lambda agreement, _terms: after(agreement.vote_by, Span(2_000)),
    "delta": lambda _agreement, _terms: Span(1),
    "take_until": lambda _agreement, terms: after(terms.deadline, Span(1)),
    "previous_issuer": lambda _agreement, _terms: key_of("a friend").public,
}
"""What the payer locks instead. The other fields are the issuer's own: no honest one signs a lock with a false one."""


class SlowClock(Plot):
    """The clock of the victim's own issuer is behind by more than delta, so its arc ends after the one that pays it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, looks=False)  # a look at that issuer would end it sooner
        node = self.by_name[self.ring.issuers[self.place]]
        node.close()
        node.db.execute("BEGIN")
        node.skew = self.behind = -self.times.delta - 60 * SECOND
        node._beat()

    def end(self, agreement: Agreement, index: int) -> Instant:
        end = super().end(agreement, index)
        return after(end, Span(-self.behind)) if index == self.place else end


class FalseAgreed(Plot):
    """AGREED runs at another delta than the draft: nobody has time to collect after its own arc was paid."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.early = 8

    def departs(self, seat: Seat, order: Order) -> bool:
        if not isinstance(order, Agree) or not isinstance(seat.state, Gathering):
            return False
        true = agreement_of(make_agreed(seat.node.key, seat.state, seat.node.now))
        pace = replace(true.pace, delta=Span(1))
        agreed = seal_message(seat.node.key, Agreed(true.draft_id, true.signed_approvals, true.start, pace))
        for name in self.ring.people:
            self.friends._say(seat.node, self.by_name[name].node, "swap.agreed", agreed)
        return True

    def act(self, agreement: Agreement) -> None:
        super().act(agreement)
        receiver = agreement.nodes[(self.place + 1) % agreement.size]
        self.post.slow[receiver, agreement.issuers[self.place]] = 1
        self.post.slow[self.payer.node, agreement.issuers[self.place - 1]] = 1


class TwoAgreed(Plot):
    """The victim alone is shown a first AGREED, in which only it locks, then the one in which all do."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, own=True)

    def departs(self, seat: Seat, order: Order) -> bool:
        if isinstance(order, Send) and order.method == "swap.agreed":
            return True
        if not isinstance(order, Agree) or not isinstance(seat.state, Gathering):
            return False
        first, second = (make_agreed(seat.node.key, seat.state, after(seat.node.now, Span(i))) for i in range(2))
        self.friends._say(seat.node, self.victim.node, "swap.agreed", first)
        for name in self.ring.parties:
            to = self.by_name[name].node
            self.scheduler.later(2_000, lambda to=to: self.friends._say(seat.node, to, "swap.agreed", second))
        return True


PLOTS: Final[dict[str, Callable[[int], Plot]]] = {
    "no lock": NoLock,
    "forged lock": lambda seed: NoLock(seed, forged=True),
    "issuer away": lambda seed: FalseLock(seed, ""),
    **{f"false {field}": lambda seed, field=field: FalseLock(seed, field) for field in FALSE},
    "slow clock": SlowClock,
    "false pace": FalseAgreed,
    "two agreements": TwoAgreed,
}
