"""One node of the simulated economy: what it holds, what it saw, and the daemon's own decisions on that."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nanobarter.bots import dealing
from nanobarter.bots.keeper import Policy, choose, of_use
from nanobarter.bots.pinger import FOLLOWED_FOR
from nanobarter.bots.pinger import choose as watched
from nanobarter.core.ids import NodeId
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, LeaseKind, Quantity, Span
from nanobarter.matching.book import Book
from nanobarter.sim.economy.kinds import DAYS, KIND, Further
from nanobarter.sim.economy.lots import without
from nanobarter.sim.economy.nature import Nature
from nanobarter.sim.economy.regimes import DEALERS, Manner
from nanobarter.storage.geometry import Geometry, for_peers
from nanobarter.translator.asked import NO_ASKS, Asks
from nanobarter.translator.orders import BARGAINS_MAX, PROBES_MAX, Order
from nanobarter.translator.plan import Held, Plan, make_plan
from nanobarter.translator.pricing import MARKUP_FIRST, Terms, is_pressing, is_scarce, next_markup, own_value
from nanobarter.translator.reliability import VETTED_AGE
from nanobarter.translator.vetting import BLIND_TRUST, NO_CAPS, Trust, caps

RENEW_PART: Final = 3  # a third of the term before its end a lease is lengthened, if there are notes
ORDER_PART: Final = 2  # half of the term before the end the notes for it are ordered
NOTE_DAYS: Final = 35
GRACE_DAYS: Final = 3  # a holder silent for so long counts as lost
ARBITRAGE_DAYS: Final = 3  # a dealer looks through the book so often; it costs more than all else that it does
WATCHED: Final = 128  # the daemon would watch 256
RESERVE_PART: Final = 2  # of the capacity, as the daemon has it
FILLED_PART: Final = 10  # a day on which a tenth of what was missing came in is one on which orders were filled


@dataclass
class Person:
    """See the module. Quantities are MiB; ``leases`` are (end, quantity) per issuer, ``notes`` (end, quantity)."""

    nature: Nature
    manner: Manner
    capacity: int
    folder_bytes: int
    notes: dict[NodeId, list[tuple[int, int]]] = field(default_factory=dict[NodeId, list[tuple[int, int]]])
    leases: dict[NodeId, list[tuple[int, int]]] = field(default_factory=dict[NodeId, list[tuple[int, int]]])
    silent: frozenset[NodeId] = frozenset()
    """Who has not answered for ``GRACE_DAYS``: no holder any more."""
    audited: Mapping[NodeId, int] = field(default_factory=dict[NodeId, int])
    """In how many windows others proved their audits since they last failed one."""
    owed: int = 0  # own notes and leases out
    clean: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    markup: float = MARKUP_FIRST
    lost: int = 0
    plan: Plan | None = None
    trust: Trust = BLIND_TRUST
    own: float = 1.0
    """What its notes are worth by what it sees of itself."""
    followed: Mapping[NodeId, None] = field(default_factory=dict[NodeId, None])
    """Whom it pings, those of yesterday first."""
    turn: int = 0
    need: int = 0
    """How much is missing for the plan today."""
    me: NodeId = field(init=False)
    slots: int = 0
    """At how many new issuers today's orders may be filled."""
    kind: LeaseKind = KIND
    """Under which the folder is kept, and with which it is paid for."""
    further: Further = field(default_factory=Further)
    place: Callable[[NodeId], str] | None = None
    """Where others are seen, where some are together: no second share of a pack goes there."""
    term: int = field(init=False)

    def __post_init__(self) -> None:
        self.me, self.term = self.nature.node, DAYS[self.kind]

    @property
    def free(self) -> int:
        """How much of its own space of its first kind is not promised."""
        return self.capacity - self.owed

    def stock(self, quality: Quality) -> int:
        """Return how much of a quality it can give."""
        if quality.issuer != self.me:
            return self.in_notes(quality.issuer)
        return self.free if quality.kind == self.kind else self.further.free(quality.kind)

    def offers(self, kind: LeaseKind) -> bool:
        """Tell whether it has bids that give its own space of a kind."""
        return kind == self.kind or self.further.free(kind) > 0

    def owe(self, kind: LeaseKind, quantity: int) -> None:
        """Promise so much of its own space of a kind, or be done with it."""
        if kind == self.kind:
            self.owed += quantity
        else:
            self.further.out[kind] = self.further.out.get(kind, 0) + quantity

    def in_notes(self, issuer: NodeId) -> int:
        """Return the notes held of an issuer."""
        lots = self.notes.get(issuer)
        return 0 if lots is None else lots[0][1] if len(lots) == 1 else sum([quantity for _, quantity in lots])

    def in_leases(self, issuer: NodeId) -> int:
        """Return the leases held at an issuer."""
        lots = self.leases.get(issuer)
        return 0 if lots is None else lots[0][1] if len(lots) == 1 else sum([quantity for _, quantity in lots])

    # -- seeing

    def watch(self, offering: Sequence[NodeId], here: Collection[NodeId], day: int) -> Collection[NodeId]:
        """Return whom it pings of those who are ``here``: the daemon's choice."""
        good = (node for node in self.followed if node in here and not self.trust.is_bad(node))
        before = sorted(good, key=lambda node: node not in self.trust.vetted)
        found = watched(
            [*self.leases, *self.notes], before, [*before, *offering], self.me, WATCHED, day * DAY // FOLLOWED_FOR
        )
        self.followed = dict.fromkeys(found)
        return found

    def learn(self, r: Mapping[NodeId, float], vetted: frozenset[NodeId], judged: frozenset[NodeId]) -> None:
        """Take in what it believes of others today: r, who is vetted, of whom enough was seen to call it bad."""
        self.trust = Trust(r, vetted, NO_CAPS, judged, r.get(self.me))
        self.own = own_value(self.trust.own)

    # -- deciding

    def held(self, day: int) -> dict[NodeId, Held]:
        """Return what counts for the plan; holders that are silent for days do not."""
        found, room = dict[NodeId, Held](), Quantity(0)
        for issuer in dict.fromkeys([*self.leases, *self.notes]):
            if issuer not in self.silent:
                used = due = 0
                for end, quantity in self.leases.get(issuer, ()):
                    used += quantity
                    due += quantity if end - day <= self.term // ORDER_PART else 0
                found[issuer] = Held(issuer, Quantity(self.in_notes(issuer)), room, Quantity(used), Quantity(due))
        return found

    def orders(self, offering: Sequence[NodeId], book: Book | None, day: int, asks: Asks = NO_ASKS) -> list[Order]:
        """Return what it bids today, by the ``book`` and the ``asks`` of the day before."""
        held = self.held(day)
        code = self._code(len({*held, *offering}))
        self.plan, useful = make_plan(self.folder_bytes, self.kind, code), held
        if self.place is not None:
            offering, useful = of_use(offering, held, code.n, self.plan.per_issuer, self.place, self.trust)
        if self.manner.learns:
            capacity, share, clean = Quantity(self.capacity), self.plan.per_issuer, self.audited
            here = list(dict.fromkeys([*offering, *held]))
            bounds = caps(
                here, self.trust.vetted, self.clean, needed=code.n, capacity=capacity, share=share, clean=clean
            )
            is_new = day - self.nature.born < VETTED_AGE // DAY
            self.trust = replace(self.trust, caps=bounds, asks=asks, is_new=is_new)
        reserve, room = Quantity(self.capacity // RESERVE_PART), Quantity(max(0, self.free))
        policy = Policy(self.kind, reserve, (), Span(0), Span(0), room=room)
        terms = Terms(mode=self.manner.mode, markup=self.markup, own=self.own if self.manner.learns else 1.0)
        orders = choose(self.plan, useful, offering, policy, self.trust, terms)
        self._count_missing(self.plan, held)
        if self.manner.deals:
            self.turn = day
            desk, limits = self.desk(), self.limits()
            orders += dealing.quotes(desk, limits)
            if book is not None and day % ARBITRAGE_DAYS == self.nature.number // DEALERS % ARBITRAGE_DAYS:
                orders += dealing.opportunities(desk, book, limits)
        return orders + self.further.orders(self.me, self.kind)

    def _count_missing(self, plan: Plan, held: Mapping[NodeId, Held]) -> None:
        """Work out how many issuers, and how much space, the plan lacks today."""
        n, per = plan.geometry.n, plan.per_issuer
        usable = [node for node in self.trust.good(list(held), n) if node not in self.trust.caps.lots]
        stocked = sum(2 * held[node].total >= per for node in usable)
        self.slots = n - len(usable) if len(usable) < n else max(0, n + BARGAINS_MAX - stocked)
        have = sorted((held[node].total for node in usable), reverse=True)[:n]
        self.need = sum(max(0, per - each) for each in have) + (n - len(have)) * per

    def _code(self, peers: int) -> Geometry:
        before = self.plan.geometry if self.plan is not None else None
        found = for_peers(max(peers, 1))
        return found if before is None or found.n > before.n else before

    def desk(self) -> dealing.Desk:
        """Return what the dealer stands on."""
        held = {node: self.in_notes(node) for node in self.notes}
        per = self.plan.per_issuer if self.plan is not None else 0
        needed = {node: per for node in held if node in self.leases or node in self.trust.vetted}
        return dealing.Desk(
            self.me, self.kind, held, needed, self.trust.reliability, self.trust.vetted, max(self.free, 0), self.lost,
            own=self.own / self.markup, judged=self.trust.judged - {self.me}, turn=self.turn,
        )  # fmt: skip

    def limits(self) -> dealing.Limits:
        """Return the dealer's limits."""
        return dealing.Limits.of_capacity(Quantity(self.capacity))

    # -- moving

    def receive(self, quality: Quality, quantity: int, day: int) -> None:
        """Take notes in; own ones are done with."""
        if quality.issuer == self.me:
            self.owe(quality.kind, -quantity)
        elif quality.kind == self.kind:
            self.notes.setdefault(quality.issuer, []).append((day + NOTE_DAYS, quantity))
        else:
            self.further.hand.setdefault(quality, []).append((day + NOTE_DAYS, quantity))

    def pay(self, quality: Quality, quantity: int) -> None:
        """Give notes, its own or others'."""
        if quality.issuer == self.me:
            self.owe(quality.kind, quantity)
        else:
            self.give(quality.issuer, quantity)

    def give(self, issuer: NodeId, quantity: int) -> None:
        """Give notes of others away, those that end first."""
        self._put(self.notes, issuer, without(self.notes.get(issuer, ()), quantity))

    def settle(self, day: int, holders: Mapping[NodeId, "Person"]) -> None:
        """End what ran out, lengthen leases, and turn notes into the leases of the plan."""
        for issuer in list(self.notes):
            if min(self.notes[issuer])[0] <= day:
                holders[issuer].owe(self.kind, -sum(q for end, q in self.notes[issuer] if end <= day))
                self._put(self.notes, issuer, [(end, q) for end, q in self.notes[issuer] if end > day])
        for quality, quantity in self.further.ended(day):
            holders[quality.issuer].owe(quality.kind, -quantity)
        for issuer in [n for n, lots in self.leases.items() if min(lots)[0] - day <= self.term // RENEW_PART]:
            self._renew(issuer, day, holders[issuer])
        if self.plan is None:
            return
        lots, per, most = self.trust.caps.lots, self.plan.per_issuer, self.plan.geometry.n
        counted = {n for n in self.leases if n not in self.silent and not self.trust.is_bad(n)}
        on_trial = sum(n in lots for n in counted)
        whole = sum(n not in lots and self.in_leases(n) >= per for n in counted)
        open_ones = [n for n in self.notes if self.in_leases(n) < per]
        for issuer in sorted(open_ones, key=lambda n: (n not in self.trust.vetted, -self.in_leases(n), n)):
            mine = issuer in self.leases
            full = on_trial >= PROBES_MAX and not mine if issuer in lots else whole >= most
            full = full or (self.place is not None and self.place(issuer) in map(self.place, counted - {issuer}))
            if full or (not mine and (issuer in self.silent or self.trust.is_bad(issuer))):
                continue
            quantity = min(per - self.in_leases(issuer), self.in_notes(issuer))
            if quantity > 0 and holders[issuer].nature.alive(day):
                self.give(issuer, quantity)
                self.leases.setdefault(issuer, []).append((day + self.term, quantity))
                on_trial += issuer in lots and issuer not in counted
                whole += issuer not in lots and self.in_leases(issuer) >= per
                counted.add(issuer)

    def _renew(self, issuer: NodeId, day: int, holder: "Person") -> None:
        kept = list[tuple[int, int]]()
        wanted = holder.nature.alive(day) and not self.trust.is_bad(issuer)
        payable = self.in_notes(issuer) >= min(quantity for _, quantity in self.leases[issuer])
        wanted = wanted and payable and not self._is_surplus(issuer, day)
        for end, quantity in sorted(self.leases[issuer]):
            due = end - day <= self.term // RENEW_PART
            if due and wanted and self.in_notes(issuer) >= quantity:
                self.give(issuer, quantity)
                holder.owe(self.kind, -quantity)  # the notes are spent; the lease goes on
                kept.append((end + self.term, quantity))
            elif end > day:
                kept.append((end, quantity))
            else:
                holder.owe(self.kind, -quantity)
                self.clean[issuer] = self.clean.get(issuer, 0) + 1
        self._put(self.leases, issuer, kept)

    def _is_surplus(self, issuer: NodeId, day: int) -> bool:
        """Tell whether all shares are whole for a term without this one: a lease that holds none ends by itself."""
        if self.plan is None or issuer in self.trust.caps.lots or len(self.leases) <= self.plan.geometry.n:
            return False
        per, safe = self.plan.per_issuer, 0
        for node in self.leases:
            if node != issuer and not (node in self.silent or node in self.trust.caps.lots or self.trust.is_bad(node)):
                lasting = sum([q for end, q in self.leases[node] if end - day > self.term // RENEW_PART])
                safe += lasting + self.in_notes(node) >= per
        return safe >= self.plan.geometry.n

    def _put(self, where: dict[NodeId, list[tuple[int, int]]], issuer: NodeId, lots: list[tuple[int, int]]) -> None:
        if lots:
            where[issuer] = lots
        else:
            where.pop(issuer, None)

    def learn_price(self, gotten: int) -> None:
        """Move the markup by what today's orders brought of what was missing."""
        if self.plan is not None:
            lacking = is_pressing(self.need, self.plan.lent) and FILLED_PART * gotten < self.need
            stored = self.plan.restores(self.in_leases(n) + self.in_notes(n) for n in {*self.leases, *self.notes})
            lacking = lacking and not (is_scarce(self.free, self.plan.lent) or (self.trust.is_new and stored))
            self.markup = next_markup(self.markup, filled=not lacking)

    def holders(self) -> list[NodeId]:
        """Return who keeps a whole share, as far as the plan needs them."""
        if self.plan is None:
            return []
        per = self.plan.per_issuer
        full = [node for node in self.leases if self.in_leases(node) >= per]
        return sorted(full, key=lambda node: (-self.in_leases(node), node))[: self.plan.geometry.n]
