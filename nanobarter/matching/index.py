"""What a book looks up: vertices for qualities and families of them, the levels, and bounds for what can be reached."""

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.levels import NONE, Levels, Places, Weights, weight_above

TABLES_MAX = 512  # 16 rounds of 1000 vertices take 128 KiB each
CHANGES_MAX = 256  # a table that missed more changes of tops than this is made anew


@dataclass(eq=False)
class Table:
    """Bounds toward one want.

    ``values[j][v]`` bounds the logarithm of every chain of j bids that begins with one that accepts vertex v and ends
    with one that gives what is wanted; ``rows[j]`` is the same for the levels of row v alone.
    """

    values: list[Weights] = field(default_factory=list[Weights])
    rows: list[Weights] = field(default_factory=list[Weights])
    seen: int = 0


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

    def vertex(self, quality: str) -> int | None:
        """Return the vertex of a quality that some bid wants or gives."""
        return self._vertices.get((False, quality))

    def rows_for(self, vertex: int) -> tuple[int, ...]:
        """Return the rows whose bids may accept a quality: its own, and the hubs it belongs to."""
        return (vertex, *self._hubs_of[vertex])

    def table(self, side: Side, want: Pattern, steps: int) -> Table:
        """Return bounds of chains of up to so many bids toward a want, made anew only when tops that matter moved."""
        side.levels.grow(len(self.texts))
        key = (want, steps)
        table = side.tables.pop(key, None)
        if table is None or not self._holds(table, side.levels):
            side.levels.refresh()
            table = self._made(side.levels, want, steps)
        side.tables[key] = table
        while len(side.tables) > TABLES_MAX:
            side.tables.popitem(last=False)
        return table

    def _made(self, levels: Levels, want: Pattern, steps: int) -> Table:
        values = np.full(len(self.texts), NONE)
        for vertex in self._fitting(want):
            discount = want.accepts(self.texts[vertex])
            if discount is not None:
                values[vertex] = weight_above(discount)
        table = Table([values], [values], len(levels.changes))
        for _ in range(steps):
            rows = values = levels.round(values)
            if self._members:
                values = rows.copy()
                for hub in self._members:
                    members = self._array(hub)
                    values[members] = np.maximum(values[members], rows[hub])
                    values[hub] = NONE
            table.rows.append(rows)
            table.values.append(values)
        return table

    def _holds(self, table: Table, levels: Levels) -> bool:
        """Tell whether no change of a top since the table was made can have moved a bound of it."""
        missed = levels.changes[table.seen :]
        if len(missed) > CHANGES_MAX or len(table.values[0]) != len(self.texts):
            return False
        for row, target, weight in missed:
            for before, after in zip(table.values, table.rows[1:], strict=False):
                if weight + before[target] >= after[row] and before[target] > NONE:
                    return False
        table.seen = len(levels.changes)
        return True

    def _fitting(self, want: Pattern) -> list[int]:
        if not want.any_issuer:
            vertex = self.vertex(want.text)
            return [] if vertex is None else [vertex]
        return self._members[self._row(want)]

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
