"""What this node has seen of its peers, kept in its store: one row per peer, and the scores that follow."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.translator.rates import REFERENCE_DAYS
from nanobarter.translator.reliability import (
    JUDGED_WINDOWS,
    VETTED_AGE,
    Beta,
    Observed,
    Score,
    Survival,
    Window,
    audited,
    first_seen,
    fit,
    marked,
    pinged,
    score,
    unanswered,
)
from nanobarter.translator.vetting import BAD_RELIABILITY, is_vetted

Change = Callable[[Observed], Observed]


@dataclass(frozen=True)
class Outcome:
    """What came of asking one peer once."""

    node: NodeId
    answered: bool


class Watch:
    """The peers of one node, as it saw them. What is noted counts at once, and is durable on return."""

    def __init__(self, *, store: Store, clock: Clock, limits: Limits, me: NodeId | None = None) -> None:
        """``me``: the node's own id, whose row tells how much of the time it was on itself."""
        self._store, self._clock, self._limits, self._me = store, clock, limits, me
        self._own: Observed | None = None
        self._known = dict[NodeId, Observed]()
        self._survival = Survival()

    def load(self) -> None:
        """Read what the disk remembers. Call it once, before use."""
        self._known = self._store.read_now(read_all)
        self._own = self._known.pop(self._me, None) if self._me is not None else None
        self._survival = fit(self._known.values())

    @property
    def known(self) -> Mapping[NodeId, Observed]:
        """What was seen of each peer."""
        return self._known

    def followed(self) -> list[NodeId]:
        """Return who is known best and not for bad: the vetted, then in the order in which they were first met."""
        good = (node for node in self._known if not self.is_bad(node))
        return sorted(good, key=lambda node: (not self.is_vetted(node), self._known[node].first, node))

    @property
    def survival(self) -> Survival:
        """What our own history teaches about how long peers live."""
        return self._survival

    async def pings(self, outcomes: Iterable[Outcome]) -> None:
        """Take note of one round of pings. When nobody answered, our own line is to blame, and nothing is noted."""
        round_ = list(outcomes)
        if not any(outcome.answered for outcome in round_):
            return
        now = self._clock.now()
        await self._change({o.node: lambda seen, o=o: pinged(seen, now, answered=o.answered) for o in round_})
        self._survival = fit(self._known.values())
        await self._mark(now)

    async def _mark(self, now: Instant) -> None:
        if self._me is None:
            return
        own = marked(self._own or first_seen(now), now)
        await self._store.write(lambda db: write(db, {self._me: own} if self._me is not None else {}))
        self._own = own

    @property
    def is_new(self) -> bool:
        """Whether others have seen this node for less time than it takes to be vetted, as far as it noted."""
        return self._own is not None and self._own.age < VETTED_AGE

    def own_reliability(self) -> float | None:
        """Return r of this node as others can see it, None before it noted anything."""
        if self._own is None:
            return None
        return score(self._own, self._survival, self._clock.now(), REFERENCE_DAYS).r

    def own_share(self) -> float | None:
        """Return which part of the time this node was on of late; None before it has been watching for three days."""
        if self._own is None or self._own.windows < JUDGED_WINDOWS:
            return None
        return self._own.reach.good / (self._own.reach.good + self._own.reach.bad)

    async def audit(self, node: NodeId, *, proven: bool | None) -> None:
        """Take note of one audit; ``proven`` None: nothing of use was answered."""
        now = self._clock.now()
        if proven is None:
            await self._change({node: lambda seen: unanswered(seen, now)})
        else:
            await self._change({node: lambda seen: audited(seen, now, proven=proven)})

    async def _change(self, changes: Mapping[NodeId, Change]) -> None:
        now = self._clock.now()
        gone = self._give_way(changes)
        free = self._limits.reliability_peers_max - len(self._known) + len(gone)
        new = [node for node in changes if node not in self._known][: max(0, free)]
        taken = {node: change for node, change in changes.items() if node in self._known or node in new}
        changed = {node: change(self._known.get(node) or first_seen(now)) for node, change in taken.items()}
        kept = {node: seen for node, seen in self._known.items() if node not in gone}
        self._known = {**kept, **changed}  # before the write: what is seen meanwhile builds upon it
        await self._store.write(lambda db: (forget(db, gone), write(db, changed)))

    def _give_way(self, coming: Collection[NodeId]) -> list[NodeId]:
        """Return who is forgotten for those who are new, where too many are known: strangers unheard for longest.

        Names cost nothing. If those met first stayed for ever, some thousands of them would keep a node from ever
        learning whom else it can rely on. The vetted stay.
        """
        over = len(self._known.keys() | coming) - self._limits.reliability_peers_max
        if over <= 0:
            return []
        strangers = (node for node in self._known if node not in coming and not self.is_vetted(node))
        return nsmallest(over, strangers, key=lambda node: (self._known[node].heard, node))

    def score(self, node: NodeId, term_days: float = REFERENCE_DAYS) -> Score | None:
        """Return the score of a peer, None for one of which nothing was seen."""
        seen = self._known.get(node)
        return None if seen is None else score(seen, self._survival, self._clock.now(), term_days)

    def reliability(self, node: NodeId) -> float | None:
        """Return r of a peer over the reference term, None when nothing is known."""
        found = self.score(node)
        return None if found is None else found.r

    def is_judged(self, node: NodeId) -> bool:
        """Tell whether enough was seen of a peer to call it bad."""
        seen = self._known.get(node)
        return seen is not None and (seen.windows >= JUDGED_WINDOWS or seen.faults > 0)

    def clean_windows(self, node: NodeId) -> int:
        """Return in how many windows a peer proved its audits since it last failed one."""
        seen = self._known.get(node)
        return 0 if seen is None else seen.clean

    def is_bad(self, node: NodeId) -> bool:
        """Tell whether enough was seen of a peer to know that its notes are hardly worth having."""
        found = self.reliability(node) if self.is_judged(node) else None
        return found is not None and found < BAD_RELIABILITY

    def is_vetted(self, node: NodeId) -> bool:
        """Tell whether a peer was watched for long enough, without a proof against it."""
        return is_vetted(self._known.get(node))


# -- rows


def write(db: sqlite3.Connection, changed: Mapping[NodeId, Observed]) -> None:
    """Write what is known of these peers."""
    rows = [(node, *_row(seen)) for node, seen in changed.items()]
    marks = ", ".join("?" * 20)
    db.executemany(f"INSERT OR REPLACE INTO reliability_peers VALUES ({marks})", rows)  # noqa: S608 - question marks


def forget(db: sqlite3.Connection, nodes: Iterable[NodeId]) -> None:
    """Forget what is known of these peers."""
    db.executemany("DELETE FROM reliability_peers WHERE node = ?", [(node,) for node in nodes])


def read_all(db: sqlite3.Connection) -> dict[NodeId, Observed]:
    """Return what is known of every peer."""
    return {NodeId(row[0]): _observed(row[1:]) for row in db.execute("SELECT * FROM reliability_peers")}


def _row(seen: Observed) -> tuple[Any, ...]:
    w = seen.window
    return (
        seen.first, seen.heard, seen.reach.good, seen.reach.bad, seen.data.good, seen.data.bad,
        seen.windows, seen.audits, seen.faults, seen.gone,
        w.start, w.asked, w.answered, w.proven, w.wrong, w.mute, seen.lately.good, seen.lately.bad, seen.clean,
    )  # fmt: skip


def _observed(row: tuple[Any, ...]) -> Observed:
    first, heard, good, bad, kept, lost, windows, audits, faults, gone, start, *counts, there, away, clean = row
    window, reach, data = Window(Instant(start), *counts), Beta(good, bad), Beta(kept, lost)
    lately = Beta(there, away)
    return Observed(first, heard, window, reach, data, windows, audits, faults, gone, lately, clean)
