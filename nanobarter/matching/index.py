"""What a book looks up: vertices for qualities and families of them, the levels, and bounds for what can be reached."""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.chains import Chain, chain_over
from nanobarter.matching.ends import STEPS_MAX, Walk
from nanobarter.matching.levels import NONE, UNSURE, Level, Places, weight_above
from nanobarter.matching.rounds import CHANGES_MAX, Levels
from nanobarter.matching.table import Table

TABLES_MAX = 512  # 16 rounds of 1000 vertices take 128 KiB each
_SPARSE_FROM = 256  # vertices from which the last two rounds are made only where they are asked for


@dataclass(eq=False)
class Side:
    """The levels of some of the bids, with the tables made for them."""

    levels: Levels = field(default_factory=Levels)
    tables: OrderedDict[tuple[Pattern, int], Table] = field(default_factory=OrderedDict[tuple[Pattern, int], Table])


class Index:
    """Every live bid by what it accepts and gives: ``every`` bid, and again those that are ``unlimited`` (best)."""

    def __init__(self) -> None:
        self.every = Side()
        self.unlimited = Side()
        self.texts = list[str]()
        self._vertices = dict[tuple[bool, str], int]()
        self._members = dict[int, list[int]]()
        self._arrays = dict[int, Places]()
        self._hubs_of = list[tuple[int, ...]]()

    def insert(self, bid: Bid) -> None:
        """Put a bid in."""
        row, gives = self._row(bid.wants), self._quality(bid.gives)
        self.every.levels.insert(bid, row, gives)
        if not bid.limit:
            self.unlimited.levels.insert(bid, row, gives)

    def remove(self, bid: Bid) -> None:
        """Take a bid out. It must be there."""
        row, gives = self._row(bid.wants), self._quality(bid.gives)
        self.every.levels.remove(bid, row, gives)
        if not bid.limit:
            self.unlimited.levels.remove(bid, row, gives)

    def swap(self, old: Bid, new: Bid) -> None:
        """Put a bid in the place of one that differs in nothing but its quantity."""
        row, gives = self._row(old.wants), self._quality(old.gives)
        self.every.levels.swap(old, new, row, gives)
        if not old.limit:
            self.unlimited.levels.swap(old, new, row, gives)

    @property
    def vertices(self) -> int:
        """How many qualities and families there are."""
        return len(self.texts)

    def vertex(self, quality: str) -> int:
        """Return the vertex of a quality, a new one for a quality not seen before."""
        return self._quality(quality)

    def rows_for(self, vertex: int) -> tuple[int, ...]:
        """Return the rows whose bids may accept a quality: its own, and the hubs it belongs to."""
        return (vertex, *self._hubs_of[vertex])

    def table(self, side: Side, want: Pattern, steps: int, start: int) -> Table:
        """Return bounds of chains of up to so many bids from a vertex to a want.

        A table is kept until a top moves that may matter to it. Of its last two rounds only what can be reached
        from the start need be there.
        """
        if not want.any_issuer:
            self._quality(want.text)
        key = (want, steps)
        table = side.tables.get(key)
        if table is None or not self._holds(table, side.levels):
            table = side.tables[key] = self._made(side.levels, want, steps)
            side.tables.move_to_end(key)
            if len(side.tables) > TABLES_MAX:
                side.tables.popitem(last=False)
        self._complete(table, side.levels, steps, start)
        return table

    def best_chain(self, side: Side, table: Table, start: int) -> Chain | None:
        """Return the chain to which the bounds lead straight, or None where they do not tell.

        That two neighbours in it are of different owners is for the caller to see.
        """
        found = table.chains.get(start)
        if found is not None and found.stands:
            return found
        if found is not None or start not in table.chains:
            table.chains[start] = self._chain(side, table, start)
        return table.chains[start]

    def _chain(self, side: Side, table: Table, start: int) -> Chain | None:
        bounds = [float(values[start]) for values in table.values[1:]]
        top = max(bounds)
        after = bounds.index(top) + 1
        if top == NONE or max((*bounds[: after - 1], *bounds[after:], NONE)) >= top - UNSURE:
            return None
        levels, vertex = list[Level](), start
        for rest in range(after, 0, -1):
            key = (vertex, rest)
            if key not in table.hops:
                table.hops[key] = self._hop(side.levels, table, vertex, rest)
            hop = table.hops[key]
            if hop is None or hop[0] in levels:
                return None
            levels.append(hop[0])
            vertex = hop[1]
        return chain_over(levels, top)

    def walk(self, side: Side, want: Pattern, steps: int, start: int, least: float) -> Walk | None:
        """Return the best way from a vertex to a want without a table, where that is possible (``Ends.best``)."""
        if self._members or want.any_issuer or not want.plain or steps > STEPS_MAX:
            return None
        ends = side.levels.ends()
        return None if ends is None else ends.best(start, self._quality(want.text), steps, least)

    def chain_along(self, side: Side, walk: Walk, want: Pattern) -> Chain | None:
        """Return the chain over the tops of the levels along a walk; None when one is among them twice."""
        rows = side.levels.rows
        found = (rows[wanted].find(want, given) for wanted, given in pairwise(walk.vertices))
        return chain_over([level for level in found if level is not None], walk.weight)

    def _hop(self, levels: Levels, table: Table, vertex: int, after: int) -> tuple[Level, int] | None:
        if self._hubs_of[vertex]:
            return None
        ordered, weights, targets = levels.rows[vertex].in_order()
        if not ordered:
            return None
        bounds = weights + table.values[after - 1].take(targets)
        best = int(bounds.argmax())
        top = bounds[best]
        bounds[best] = NONE
        if top == NONE or bounds.max() >= top - UNSURE or not ordered[best].pattern.plain:
            return None
        return ordered[best], int(targets[best])

    def _made(self, levels: Levels, want: Pattern, steps: int) -> Table:
        vertices = len(self.texts)
        values = np.full(vertices, NONE)
        for vertex in self._fitting(want):
            discount = want.accepts(self.texts[vertex])
            if discount is not None:
                values[vertex] = weight_above(discount)
        table = Table([values], [values], seen=levels.forgotten + len(levels.changes))
        for step in range(1, steps + 1):
            if vertices >= _SPARSE_FROM and step > max(1, steps - 2):
                table.rows.append(np.full(vertices, NONE))
                table.values.append(table.rows[-1].copy() if self._members else table.rows[-1])
                table.made[step] = np.zeros(vertices, np.bool_)
                continue
            rows = values = levels.round(values)
            for hub in self._members:
                values = rows.copy() if values is rows else values
                members = self._array(hub)
                values[members] = np.maximum(values[members], rows[hub])
            for hub in self._members:
                values[hub] = NONE
            table.rows.append(rows)
            table.values.append(values)
        return table

    def _complete(self, table: Table, levels: Levels, steps: int, start: int) -> None:
        """Fill in what the last two rounds of a sparse table lack for a start."""
        if steps not in table.made or table.made[steps][start]:
            return
        onward = self.rows_for(start)
        if steps - 1 in table.made:
            targets = [levels.rows[row].in_order()[2] for row in onward]
            self._fill(table, levels, steps - 1, np.unique(np.concatenate((*targets, [start]))))
        rows, before = table.rows[steps], table.values[steps - 1]
        for row in onward:
            rows[row] = levels.round_of(row, before)
        table.values[steps][start] = rows.take(onward).max()
        table.made[steps][[*onward]] = True

    def _fill(self, table: Table, levels: Levels, step: int, lacking: Places) -> None:
        """Make one round of a table for some qualities only."""
        before, rows, values = table.values[step - 1], table.rows[step], table.values[step]
        rows[lacking] = values[lacking] = levels.round_at(lacking, before)
        for hub in self._members:
            rows[hub] = levels.round_of(hub, before)
            members = np.intersect1d(lacking, self._array(hub))
            values[members] = np.maximum(values[members], rows[hub])
        table.made[step][[*lacking, *self._members]] = True

    def _holds(self, table: Table, levels: Levels) -> bool:
        """Tell whether no change of a top since the table was made can have moved a bound or a hop of it."""
        missed = table.seen - levels.forgotten
        if missed == len(levels.changes) and len(table.values[0]) == len(self.texts):
            return True
        if missed < 0 or len(levels.changes) - missed > CHANGES_MAX or len(table.values[0]) != len(self.texts):
            return False
        if not all(table.withstands(*change) for change in levels.changes[missed:]):
            return False
        table.seen = levels.forgotten + len(levels.changes)
        return True

    def _fitting(self, want: Pattern) -> list[int]:
        if not want.any_issuer:
            return [self._quality(want.text)]
        hub = self._vertices.get((True, want.text))
        if hub is not None:
            return self._members[hub]
        return [v for v, text in enumerate(self.texts) if v not in self._members and text.startswith(want.text)]

    def _row(self, want: Pattern) -> int:
        if not want.any_issuer:
            return self._quality(want.text)
        found = self._vertices.get((True, want.text))
        return self._hub(want.text) if found is None else found

    def _new(self, *, hub: bool, text: str) -> int:
        vertex = len(self.texts)
        self._vertices[hub, text] = vertex
        self.texts.append(text)
        self._hubs_of.append(())
        self.every.levels.grow(vertex + 1)
        self.unlimited.levels.grow(vertex + 1)
        return vertex

    def _quality(self, text: str) -> int:
        found = self._vertices.get((False, text))
        if found is not None:
            return found
        vertex = self._new(hub=False, text=text)
        hubs = (self._vertices.get((True, text[:length])) for length in range(len(text) + 1))
        for hub in hubs if self._members else ():
            if hub is not None:
                self._join(vertex, hub)
        return vertex

    def _hub(self, text: str) -> int:
        hub = self._new(hub=True, text=text)
        self._members[hub] = []
        self.every.levels.forget_ends()
        for (is_hub, quality), vertex in self._vertices.items():
            if not is_hub and quality.startswith(text):
                self._join(vertex, hub)
        return hub

    def _join(self, vertex: int, hub: int) -> None:
        self._members[hub].append(vertex)
        self._arrays.pop(hub, None)
        self._hubs_of[vertex] = (*self._hubs_of[vertex], hub)

    def _array(self, hub: int) -> Places:
        if hub not in self._arrays:
            self._arrays[hub] = np.array(self._members[hub], np.intp)
        return self._arrays[hub]
