"""A ring in which all but one party cheat together, and what they do in every plot (``plots``)."""

# pyright: reportPrivateUsage=false
from random import Random
from typing import Final

from nanobarter.core.ids import AgreementId
from nanobarter.core.keys import Signed
from nanobarter.core.units import HOUR, SECOND, Instant, Quantity, Span, after
from nanobarter.mint import rows
from nanobarter.sim.check import agreements_of
from nanobarter.sim.coalition import Coalition
from nanobarter.sim.luck import Luck
from nanobarter.sim.node import Node
from nanobarter.sim.rings import Ring
from nanobarter.sim.seat import Seat
from nanobarter.sim.world import World
from nanobarter.swap.orders import Order, Release
from nanobarter.swap.positions import agreement_in
from nanobarter.swap.states import Locking, State
from nanobarter.swap.terms import Agreement

LUCK: Final = Luck(delay=(20, 150), disk=(1, 5), proposals_max=1)


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
        less = got.terms.quantity < self.ring.quantity
        return less or any(getattr(got.terms, name) != getattr(wanted, name) for name in same)
