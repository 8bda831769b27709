"""Games played for space: passing on what one should keep, many names on one disk, barter with oneself, and others.

What all of them come to is counted in one way: on how many of its days a node could have restored its folder, the
space that it really has at others, and what others really have at it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import Quantity
from nanobarter.sim.economy.exchange import Trade
from nanobarter.sim.economy.kinds import KIND
from nanobarter.sim.economy.nature import Nature
from nanobarter.sim.economy.person import Person
from nanobarter.sim.economy.players import PASSES, WASHES
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import make_plan

SELDOM: Final = 0.6  # who is on for less of the time is no measure for others
WASHED: Final = 8  # so many notes of the one are said to go for one of the other's
WASHED_LOT: Final = 128
MIB_PER_GB: Final = 10**9 / 2**20

Floats = npt.NDArray[np.float64]


@dataclass
class Account:
    """What one node has had so far: days, days with a backup that could be restored, and sums of MiB over its days."""

    days: int = 0
    safe: int = 0
    has: float = 0.0
    lends: float = 0.0
    keeps: float = 0.0
    out: float = 0.0
    """Its own notes that others hold and have not drawn yet."""
    hand: float = 0.0
    """Notes of others that it holds in the same way."""
    first_safe: int | None = None
    """How many days after it came it could be restored for the first time."""
    first_whole: int | None = None
    """How many days after it came its plan was stored whole."""


@dataclass
class Games:
    """What the players do each day, and what everybody has of it. Rows and columns are numbers of nodes."""

    natures: Sequence[Nature]
    capacity: int
    own_bytes: int
    kept: dict[int, dict[tuple[int, int], float]] = field(default_factory=dict[int, dict[tuple[int, int], float]])
    """What is on each disk: of whose lease, at which name, how much."""
    dropped: dict[int, set[tuple[int, int]]] = field(default_factory=dict[int, set[tuple[int, int]]])
    """What of it was dropped, as long as its lease runs: it does not come back when there is room again."""
    washed: list[Trade] = field(default_factory=list[Trade])
    accounts: dict[int, Account] = field(default_factory=dict[int, Account])

    def keeps(self, people: Mapping[NodeId, Person], day: int) -> Floats:
        """Return which part each (row) finds at each other (column) of what it stored there; note the day's space."""
        count, number = len(self.natures), {n.node: n.number for n in self.natures}
        leased = np.zeros((count, count))
        for person in people.values():
            if person.nature.alive(day):
                for issuer in person.leases:
                    leased[person.nature.number, number[issuer]] = person.in_leases(issuer)
        alive = np.array([n.alive(day) for n in self.natures], np.float64)
        found = np.tile(np.array([n.keeps for n in self.natures]), (count, 1))
        for nature in self.natures:
            if nature.cheat == PASSES:
                found[:, nature.number] = self._passed_on(people[nature.node], leased, alive)
        for disk in {n.disk for n in self.natures if n.disk is not None}:
            self._fill(disk, leased, found)
        self._note(people, leased, found * alive, day)
        return found

    def _passed_on(self, person: Person, leased: Floats, alive: Floats) -> float:
        """Return which part of what one took it has at others, who are asked for as much again beside its own need.

        What it took comes before its own folders, or the first audit would find it out. While a source is off it says
        nothing to an audit, which counts against nobody; so only what is nowhere is found missing.
        """
        me = person.nature.number
        ups = np.array([n.up for n in self.natures])
        sources, lent = leased[me] * alive, float(leased[:, me].sum())
        if person.plan is None or not lent or not sources.sum():
            return 1.0
        own = person.plan.lent * self.own_bytes / person.folder_bytes
        person.folder_bytes = int(self.own_bytes * (1 + min(lent, self.capacity) / own))
        backed = min(1.0, float(sources.sum()) / lent)
        person.nature.keeps = backed * float((sources * ups).sum() / sources.sum())
        return backed

    def _fill(self, disk: int, leased: Floats, found: Floats) -> None:
        """Keep on a disk what came first, as long as it fits; what comes later is taken and dropped for good."""
        names = [n for n in self.natures if n.disk == disk]
        before, kept = self.kept.get(disk, {}), dict[tuple[int, int], float]()
        columns = [n.number for n in names]
        now = {(row, col): float(leased[row, col]) for col in columns for row in np.nonzero(leased[:, col])[0].tolist()}
        left, dropped = float(self.capacity), self.dropped.setdefault(disk, set())
        dropped.intersection_update(now)
        for pair in sorted(now, key=lambda pair: (pair not in before, pair)):
            if now[pair] <= left and pair not in dropped:
                kept[pair] = now[pair]
                left -= now[pair]
            else:
                dropped.add(pair)
            found[pair] = float(pair in kept)
        self.kept[disk] = kept
        for nature in names:
            all_, mine = leased[:, nature.number].sum(), sum(q for (_, col), q in kept.items() if col == nature.number)
            nature.keeps = mine / float(all_) if all_ else 1.0

    def _note(self, people: Mapping[NodeId, Person], leased: Floats, found: Floats, day: int) -> None:
        """Add up what each node has at others, lends, and really keeps today, and whether it has a backup."""
        real = leased * found
        for nature in self.natures:
            if nature.alive(day):
                me, person = nature.number, people[nature.node]
                account = self.accounts.setdefault(me, Account())
                account.days += 1
                account.has += float(real[me].sum())
                account.lends += float(leased[:, me].sum())
                account.keeps += float(real[:, me].sum())
                account.out += person.owed - float(leased[:, me].sum())
                account.hand += sum(person.in_notes(issuer) for issuer in person.notes)
                if person.plan is None:
                    continue
                if self._is_safe(person.plan.geometry, nature, real):
                    account.safe += 1
                    account.first_safe = day - nature.born if account.first_safe is None else account.first_safe
                if account.first_whole is None and len(person.holders()) >= person.plan.geometry.n:
                    account.first_whole = day - nature.born

    def _is_safe(self, code: Geometry, nature: Nature, real: Floats) -> bool:
        """Tell whether k shares of all packs are really there, those on a part of the space counting as that part."""
        me, share = nature.number, make_plan(self.own_bytes, KIND, code).per_issuer
        if nature.cheat == PASSES:
            return float(real[me].sum() - real[:, me].sum()) >= code.k * share
        return float(np.minimum(real[me], share).sum()) >= code.k * share

    def space(self) -> dict[str, dict[str, float | None]]:
        """Return for each sort what one of its nodes comes to, in GB and as a part of what an honest one does."""
        sorts = dict[str, list[Account]]()
        for nature in self.natures:
            if nature.number in self.accounts:
                late = "newcomer" if nature.born else "honest" if nature.up >= SELDOM else "honest, seldom on"
                sorts.setdefault(nature.cheat or late, []).append(self.accounts[nature.number])
        if "honest" not in sorts:
            return {}
        has, lends, keeps, _ = _daily(sorts["honest"])
        found = dict[str, dict[str, float | None]]()
        for sort, accounts in sorted(sorts.items()):
            mine = _daily(accounts)
            found[sort] = {
                "names": len(accounts),
                "safe": sum(a.safe for a in accounts) / sum(a.days for a in accounts),
                "has": mine[0],
                "lends": mine[1],
                "keeps": mine[2],
                "has_part": mine[0] / max(has, 1e-9),
                "keeps_part": mine[2] / max(keeps, 1e-9),
                "gain": (mine[0] - mine[2]) / max(lends, 1e-9),
                "idle": mine[3],
                "days_to_backup": _middle([a.first_safe for a in accounts]),
                "days_to_whole": _middle([a.first_whole for a in accounts]),
            }
        return found

    # -- barter with oneself

    def quotes(self, person: Person, day: int) -> list[Order]:
        """Return the bids in public by which a player says that the next one's notes are dear."""
        other = self._partner(person.nature)
        if other is None or day < person.nature.born:
            return []
        self.washed.append(Trade(day, person.me, person.me, WASHED * WASHED_LOT, other, WASHED_LOT, 2))
        gives, key = Quality(person.me, KIND), sha256(b"wash" + person.me)[:16]
        quantity = Quantity(WASHED * WASHED_LOT)
        return [Order(KIND, other, quantity, patient=True, key=key, gives=gives, omega=(WASHED, 1))]

    def _partner(self, nature: Nature) -> NodeId | None:
        """Return whose notes a player praises: every second one praises the one before, and gets nothing for it."""
        if nature.cheat != WASHES:
            return None
        ring = [n.node for n in self.natures if n.cheat == WASHES]
        place = ring.index(nature.node)
        return ring[place - 1] if place % 2 else None


def _daily(accounts: Sequence[Account]) -> tuple[float, float, float, float]:
    """Return what a node has, lends and keeps on the mean of its days, and what of its notes lies idle, in GB.

    Idle are its notes that others hold in reserve, less those of others that it holds: what it gains in space by them
    lasts until they are drawn.
    """
    days = MIB_PER_GB * sum(a.days for a in accounts)
    return (
        sum(a.has for a in accounts) / days,
        sum(a.lends for a in accounts) / days,
        sum(a.keeps for a in accounts) / days,
        sum(a.out - a.hand for a in accounts) / days,
    )


def _middle(days: Sequence[int | None]) -> float | None:
    """Return the day by which half of them had it, None when they had not."""
    found = sorted(math.inf if day is None else day for day in days)[(len(days) - 1) // 2]
    return None if math.isinf(found) else found


def said(games: Games, trades: Sequence[Trade], prices: Any) -> dict[str, float]:
    """Return how much dearer (as a logarithm) players look to who believes all exchanges, and to who leaves theirs out.

    The figure is the mean difference that their exchanges with each other make to the price of the praised.
    """
    if not games.washed:
        return {}
    days = {t.day for t in trades}
    plain, moved = prices(trades), prices([*trades, *(t for t in games.washed if t.day in days)])
    praised = {t.got for t in games.washed}
    both = [node for node in praised if node in plain and node in moved]
    return {"moved": float(np.mean([moved[n] - plain[n] for n in both]))} if both else {}
