"""One node of the simulated economy: what it holds, what it saw, and the daemon's own decisions on that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nanobarter.bots import dealing
from nanobarter.bots.keeper import Policy, choose
from nanobarter.bots.pinger import choose as watched
from nanobarter.core.ids import NodeId
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity, Span, after
from nanobarter.matching.book import Book
from nanobarter.sim.clock import START
from nanobarter.sim.economy.nature import Nature
from nanobarter.storage.geometry import Geometry, for_peers
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import Held, Plan, make_plan
from nanobarter.translator.pricing import Mode, Terms, next_markup
from nanobarter.translator.reliability import (
    WINDOW,
    Observed,
    Survival,
    Window,
    closed,
    first_seen,
    fit,
    is_vetted,
    score,
)
from nanobarter.translator.vetting import BLIND_TRUST, Trust, caps

KIND: Final = LeaseKind("30d")
TERM: Final = 30
RENEW_DAYS: Final = 10  # before the end a lease is lengthened, if there are notes
ORDER_DAYS: Final = 15  # before the end the notes for it are ordered
NOTE_DAYS: Final = 35
GRACE_DAYS: Final = 3  # a holder silent for so long counts as lost
WATCHED: Final = 32
PINGS: Final = 24  # in a window
WINDOWS: Final = 4  # in a day
FIT_DAYS: Final = 7


@dataclass(frozen=True)
class Manner:
    """How a node barters: how it prices, whether it learns, whether it audits, whether it deals."""

    mode: Mode = "par"
    learns: bool = True
    audits: bool = True
    deals: bool = False


@dataclass
class Person:
    """See the module. Quantities are MiB; ``leases`` are (end, quantity) per issuer, ``notes`` (end, quantity)."""

    nature: Nature
    manner: Manner
    capacity: int
    folder_bytes: int
    notes: dict[NodeId, list[tuple[int, int]]] = field(default_factory=dict[NodeId, list[tuple[int, int]]])
    leases: dict[NodeId, list[tuple[int, int]]] = field(default_factory=dict[NodeId, list[tuple[int, int]]])
    seen: dict[NodeId, Observed] = field(default_factory=dict[NodeId, Observed])
    silent: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    owed: int = 0  # own notes and leases out
    clean: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    markup: float = 1.0
    lost: int = 0
    plan: Plan | None = None
    trust: Trust = BLIND_TRUST
    filled: bool = True
    _survival: Survival = field(default_factory=Survival)

    @property
    def me(self) -> NodeId:
        """Its id."""
        return self.nature.node

    @property
    def free(self) -> int:
        """How much of its own space is not promised."""
        return self.capacity - self.owed

    def in_notes(self, issuer: NodeId) -> int:
        """Return the notes held of an issuer."""
        return sum(quantity for _, quantity in self.notes.get(issuer, ()))

    def in_leases(self, issuer: NodeId) -> int:
        """Return the leases held at an issuer."""
        return sum(quantity for _, quantity in self.leases.get(issuer, ()))

    # -- seeing

    def watch(self, offering: Sequence[NodeId]) -> list[NodeId]:
        """Return whom it pings: the daemon's choice."""
        return watched([*self.leases, *self.notes], offering, self.me, WATCHED)

    def see(self, peers: Sequence[tuple[NodeId, float, float, bool]], day: int, dice: np.random.Generator) -> None:
        """Watch peers for a day: (id, availability, kept part, whether a lease can be audited there)."""
        if not self.manner.learns:
            for node, up, _, _ in peers:
                self.silent[node] = 0 if up > 0 else self.silent.get(node, 0) + 1
            return
        if not peers:
            return
        chances = np.array([up for _, up, _, _ in peers])
        answers = dice.binomial(PINGS, chances, size=(WINDOWS, len(peers)))
        caught = dice.random((WINDOWS, len(peers)))
        now = after(START, Span(day * DAY))
        for place, (node, _, keeps, leased) in enumerate(peers):
            observed = self.seen.get(node) or first_seen(now)
            for number in range(WINDOWS):
                start = after(now, Span(number * WINDOW))
                answered = int(answers[number, place])
                wrong = self.manner.audits and leased and answered > 0 and caught[number, place] > keeps
                audited = leased and answered > 0
                window = Window(start, PINGS, answered, int(audited and not wrong), int(wrong))
                observed = closed(observed, window, after(start, WINDOW), start if answered else None)
            self.seen[node] = observed
            self.silent[node] = 0 if answers[:, place].any() else self.silent.get(node, 0) + 1
        if day % FIT_DAYS == 0:
            self._survival = fit(self.seen.values())

    def reliability(self, now: Instant) -> dict[NodeId, float]:
        """Return r of each peer that was seen, by the daemon's score."""
        return {node: score(seen, self._survival, now, TERM).r for node, seen in self.seen.items()}

    # -- deciding

    def held(self, day: int) -> dict[NodeId, Held]:
        """Return what counts for the plan; holders that are silent for days do not."""
        found = dict[NodeId, Held]()
        for issuer in dict.fromkeys([*self.leases, *self.notes]):
            if self.silent.get(issuer, 0) > GRACE_DAYS:
                continue
            used = self.in_leases(issuer)
            due = sum(q for end, q in self.leases.get(issuer, ()) if end - day <= ORDER_DAYS)
            found[issuer] = Held(issuer, Quantity(self.in_notes(issuer)), Quantity(0), Quantity(used), Quantity(due))
        return found

    def orders(self, offering: Sequence[NodeId], book: Book | None, day: int) -> list[Order]:
        """Return what it bids today: the keeper's orders at its prices, and the dealers' when it has them."""
        held, now = self.held(day), after(START, Span(day * DAY))
        code = self._code(len({*held, *offering}))
        self.plan = make_plan(self.folder_bytes, KIND, code)
        if self.manner.learns:
            r = self.reliability(now)
            vetted = frozenset(node for node in r if is_vetted(self.seen[node]))
            bounds = caps(offering, vetted, self.clean, needed=code.n, capacity=Quantity(self.capacity))
            self.trust = Trust(r, vetted, bounds)
        policy = Policy(KIND, Quantity(self.capacity // 10), (), Span(0), Span(0))
        terms = Terms(mode=self.manner.mode, markup=self.markup)
        orders = choose(self.plan, held, offering, policy, self.trust, terms)
        if self.manner.deals:
            desk, limits = self.desk(), self.limits()
            orders += dealing.quotes(desk, limits)
            if book is not None:
                orders += dealing.opportunities(desk, book, limits)
        return orders

    def _code(self, peers: int) -> Geometry:
        before = self.plan.geometry if self.plan is not None else None
        found = for_peers(max(peers, 1))
        return found if before is None or found.n > before.n else before

    def desk(self) -> dealing.Desk:
        """Return what the dealer stands on."""
        held = {node: self.in_notes(node) for node in self.notes}
        per = self.plan.per_issuer if self.plan is not None else 0
        needed = dict.fromkeys(self.leases, per)
        return dealing.Desk(
            self.me, KIND, held, needed, self.trust.reliability, self.trust.vetted, max(self.free, 0), self.lost
        )

    def limits(self) -> dealing.Limits:
        """Return the dealer's limits."""
        return dealing.Limits.of_capacity(Quantity(self.capacity))

    # -- moving

    def receive(self, issuer: NodeId, quantity: int, day: int) -> None:
        """Take notes in."""
        self.notes.setdefault(issuer, []).append((day + NOTE_DAYS, quantity))

    def give(self, issuer: NodeId, quantity: int) -> None:
        """Give notes of others away, those that end first."""
        lots, left = sorted(self.notes.get(issuer, ())), quantity
        kept = list[tuple[int, int]]()
        for end, size in lots:
            taken = min(left, size)
            left -= taken
            if size > taken:
                kept.append((end, size - taken))
        self._put(self.notes, issuer, kept)

    def settle(self, day: int, holders: Mapping[NodeId, "Person"]) -> None:
        """End what ran out, lengthen leases, and turn notes into the leases of the plan."""
        for issuer in list(self.notes):
            gone = [q for end, q in self.notes[issuer] if end <= day]
            holders[issuer].owed -= sum(gone)
            self._put(self.notes, issuer, [(end, q) for end, q in self.notes[issuer] if end > day])
        for issuer in list(self.leases):
            self._renew(issuer, day, holders[issuer])
        if self.plan is None:
            return
        for issuer in list(self.notes):
            if len(self.leases) >= self.plan.geometry.n and issuer not in self.leases:
                continue
            wanted = self.plan.per_issuer - self.in_leases(issuer)
            quantity = min(wanted, self.in_notes(issuer))
            if quantity > 0 and holders[issuer].nature.alive(day):
                self.give(issuer, quantity)
                self.leases.setdefault(issuer, []).append((day + TERM, quantity))

    def _renew(self, issuer: NodeId, day: int, holder: "Person") -> None:
        kept = list[tuple[int, int]]()
        for end, quantity in sorted(self.leases[issuer]):
            due = end - day <= RENEW_DAYS
            if due and holder.nature.alive(day) and self.in_notes(issuer) >= quantity:
                self.give(issuer, quantity)
                holder.owed -= quantity  # the notes are spent; the lease goes on
                kept.append((end + TERM, quantity))
            elif end > day:
                kept.append((end, quantity))
            else:
                holder.owed -= quantity
                self.clean[issuer] = self.clean.get(issuer, 0) + 1
        self._put(self.leases, issuer, kept)

    def _put(self, where: dict[NodeId, list[tuple[int, int]]], issuer: NodeId, lots: list[tuple[int, int]]) -> None:
        if lots:
            where[issuer] = lots
        else:
            where.pop(issuer, None)

    def learn_price(self, *, wanted: bool, filled: bool) -> None:
        """Move the markup by what became of today's orders."""
        if wanted:
            self.markup = next_markup(self.markup, filled=filled)

    def holders(self) -> list[NodeId]:
        """Return who keeps a whole share, as far as the plan needs them."""
        if self.plan is None:
            return []
        per = self.plan.per_issuer
        full = [node for node in self.leases if self.in_leases(node) >= per]
        return sorted(full, key=lambda node: (-self.in_leases(node), node))[: self.plan.geometry.n]
