"""Games played for space: passing on what one should keep, many names on one disk, barter with oneself.

The players do what pays in them, from day 0 (who passes on) or day 30 on, when the others know each other. What all
of them come to is counted in one way: the space that a node really has at others, less what others really have at it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import Quantity
from nanobarter.sim.economy.exchange import Trade
from nanobarter.sim.economy.nature import Nature, Shock, name_of
from nanobarter.sim.economy.person import DEALERS, KIND, Person
from nanobarter.translator.orders import Order

Game = Literal["through", "disk", "wash"]
GAMES: Final[tuple[Game, ...]] = ("through", "disk", "wash")
GAME_DAY: Final = 30
NAMES: Final = 5  # on one disk
SELDOM: Final = 0.6  # who is on for less of the time is no measure for others
STEADY: Final = 0.93  # players are on most of the time: who is not could not play long
WASHED: Final = 8  # so many notes of the one are said to go for one of the other's
WASHED_LOT: Final = 128
MIB_PER_GB: Final = 10**9 / 2**20

Floats = npt.NDArray[np.float64]


def enlist(natures: list[Nature], shocks: Sequence[Shock], seed: int) -> list[Nature]:
    """Name the players, one in twenty nodes for each game, and return all nodes, the names on a disk too."""
    group = max(1, len(natures) // 20)
    able = [n for n in natures if n.up > STEADY and not n.cheat and n.number % DEALERS]
    if "through" in shocks:
        for node in able[:group]:
            node.cheat = "passes on"
    if "wash" in shocks:
        for node in able[group : 2 * group + group % 2]:
            node.cheat = "barters with itself"
    if "disk" in shocks:
        first = len(natures)
        for number in range(first, first + NAMES * group):
            disk = (number - first) // NAMES
            name = Nature(name_of(seed, number), number, 0.99, born=GAME_DAY, cheat="one disk", mute=True, disk=disk)
            natures.append(name)
    return natures


@dataclass
class Games:
    """What the players do each day, and what everybody has of it. Rows and columns are numbers of nodes."""

    natures: Sequence[Nature]
    capacity: int
    own_bytes: int
    kept: dict[int, dict[tuple[int, int], float]] = field(default_factory=dict[int, dict[tuple[int, int], float]])
    """What is on each disk: of whose lease, at which name, how much."""
    washed: list[Trade] = field(default_factory=list[Trade])
    _sums: dict[str, Floats] = field(default_factory=dict[str, Floats])

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
            if nature.cheat == "passes on":
                found[:, nature.number] = self._passed_on(people[nature.node], leased, alive)
        for disk in {n.disk for n in self.natures if n.disk is not None}:
            self._fill(disk, leased, found)
        self._note(leased, found * alive, day)
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
        """Keep on a disk what came first, as long as it fits; what comes later is taken and dropped."""
        names = [n for n in self.natures if n.disk == disk]
        before, kept = self.kept.get(disk, {}), dict[tuple[int, int], float]()
        columns = [n.number for n in names]
        now = {(row, col): float(leased[row, col]) for col in columns for row in np.nonzero(leased[:, col])[0].tolist()}
        left = float(self.capacity)
        for pair in sorted(now, key=lambda pair: (pair not in before, pair)):
            if now[pair] <= left:
                kept[pair] = now[pair]
                left -= now[pair]
            found[pair] = float(pair in kept)
        self.kept[disk] = kept
        for nature in names:
            all_, mine = leased[:, nature.number].sum(), sum(q for (_, col), q in kept.items() if col == nature.number)
            nature.keeps = mine / float(all_) if all_ else 1.0

    def _note(self, leased: Floats, found: Floats, day: int) -> None:
        """Add up what each sort of node has at others, lends, and really keeps, in MiB for a day of one node."""
        real = leased * found
        for nature in self.natures:
            if nature.alive(day) and day >= GAME_DAY:
                me, sort = nature.number, nature.cheat or ("honest" if nature.up >= SELDOM else "honest, seldom on")
                row = np.array([1.0, real[me].sum(), leased[:, me].sum(), real[:, me].sum()])
                self._sums[sort] = self._sums.get(sort, np.zeros(4)) + row

    def space(self) -> dict[str, dict[str, float]]:
        """Return for each sort the GB that one of them has, lends and keeps, and its gain per GB lent honestly."""
        if "honest" not in self._sums:
            return {}
        days, _, lent, _ = self._sums["honest"].tolist()
        found = dict[str, dict[str, float]]()
        for sort, sums in sorted(self._sums.items()):
            has, lends, keeps = (value / sums[0] / MIB_PER_GB for value in sums[1:].tolist())
            gain = (has - keeps) / max(lent / days / MIB_PER_GB, 1e-9)
            found[sort] = {"has": has, "lends": lends, "keeps": keeps, "gain": gain}
        return found

    # -- barter with oneself

    def quotes(self, person: Person, day: int) -> list[Order]:
        """Return the bids in public by which a player says that the next one's notes are dear."""
        other = self._partner(person.nature)
        if other is None or day < GAME_DAY:
            return []
        self.washed.append(Trade(day, person.me, person.me, WASHED * WASHED_LOT, other, WASHED_LOT, 2))
        gives, key = Quality(person.me, KIND), sha256(b"wash" + person.me)[:16]
        quantity = Quantity(WASHED * WASHED_LOT)
        return [Order(KIND, other, quantity, patient=True, key=key, gives=gives, omega=(WASHED, 1))]

    def _partner(self, nature: Nature) -> NodeId | None:
        """Return whose notes a player praises: every second one praises the one before, and gets nothing for it."""
        if nature.cheat != "barters with itself":
            return None
        ring = [n.node for n in self.natures if n.cheat == "barters with itself"]
        place = ring.index(nature.node)
        return ring[place - 1] if place % 2 else None


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
