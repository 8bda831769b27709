"""The repairer: packs below their threshold get new shares on new peers, by itself and in time.

A pack needs repair when fewer peers than k + 0.4 (n - k) proved their share lately, when a share was proven wrong, or
when it is thin and there is a place for more. k shares are fetched, all are made again, and those that do not count
are placed on peers that have none. The share of a peer that was only offline is given up once its successor is proven.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import LeaseId, NodeId, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant
from nanobarter.storage import placements as rows
from nanobarter.storage.health import PackHealth, by_pack, counts, pack_health
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.placement import Placer
from nanobarter.storage.placements import Placement
from nanobarter.storage.ports import PackMissing
from nanobarter.storage.trial import Trials

_FAILED_MAX: Final = 1000


@dataclass(frozen=True)
class Repaired:
    """What one round did. ``failed`` says why, for packs that could not be read or placed."""

    repaired: tuple[PackId, ...]
    failed: tuple[tuple[PackId, str], ...]


def needs_repair(health: PackHealth, spare_places: int) -> bool:
    """Tell whether something is to be done about a pack, and can be."""
    if health.proven >= health.row.n:
        return health.bad > 0
    return health.verdict in ("below", "lost") or health.bad > 0 or spare_places > 0


def distinct(placements: list[Placement]) -> list[Placement]:
    """Return placements of one pack of which no two are at one peer or of one share.

    A repair that met the upload of the same pack may have left two shares at one peer, which count as one. Shares
    that are at one peer only come first, since another has to be made of any that is left out.
    """
    holders, found = Counter(p.index for p in placements), list[Placement]()
    for placement in sorted(placements, key=lambda p: (holders[p.index], p.index)):
        if not any(placement.node == p.node or placement.index == p.index for p in found):
            found.append(placement)
    return found


def succeeded(
    placements: Collection[Placement],
    leaving: Collection[NodeId],
    now: Instant,
    live: Collection[LeaseId],
    limits: Limits,
) -> set[LeaseId]:
    """Return the leases at nodes that are ``leaving`` of which nothing is needed any more: they may end.

    Each share under them is proven elsewhere, or given up. One that no other peer has room for would end with its
    lease, so that is kept.
    """
    staying = {(p.pack_id, p.index) for p in placements if p.node not in leaving and counts(p, now, live, limits)}
    parting = [p for p in placements if p.node in leaving]
    needed = {p.lease_id for p in parting if p.state == "held" and (p.pack_id, p.index) not in staying}
    return {p.lease_id for p in parting} - needed


class Repairer:
    """Repairs packs, extends leases and clears away what has left, every period.

    ``moved`` is called after a round that changed where shares are: the head should then be published again. After
    any other round ``catch_up`` is, so that holders who missed the head get it. Shares at nodes that are ``leaving``
    are placed elsewhere while they can still be read, and then their leases may end (``succeeded``). What waits
    for a peer that rests after a failure is tried again when its rest is over, then after twice as long, and so on: a
    failure of seconds must not cost a whole period.
    """

    def __init__(
        self,
        *,
        store: Store,
        leases: LeaseBook,
        placer: Placer,
        clock: Clock,
        limits: Limits = LIMITS,
        moved: Callable[[], Awaitable[None]] | None = None,
        catch_up: Callable[[], Awaitable[None]] | None = None,
        leaving: Callable[[], Collection[NodeId]] = frozenset,
    ) -> None:
        self._trials = Trials(store, leases, placer, clock, limits)
        self._store = store
        self._leases = leases
        self._placer = placer
        self._clock = clock
        self._limits = limits
        self._moved = moved
        self._catch_up = catch_up
        self._leaving = leaving
        self._news = trio.Event()
        self._turn, self._extending = trio.Lock(), trio.Lock()
        self._stalled = False  # something waits for a peer that rests

    def try_out(self, strangers: Callable[[], Collection[NodeId]]) -> None:
        """Try out these from now on, while all is well (``trial``)."""
        self._trials.strangers = strangers

    def wake(self) -> None:
        """Look again at once: a share was caught wrong."""
        self._news.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look after everything each period and whenever woken, until cancelled."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._extend)
            await self._look_after()

    async def _extend(self) -> None:
        """Extend leases each period: a round that moves what a large peer held may take days, and they would end."""
        while True:
            await trio.sleep(self._limits.repair_period / SECOND)
            await self._extend_due()

    async def _extend_due(self) -> None:
        async with self._extending:  # else two would pay for the same lease
            await self._leases.adopt()
            placed = await self._store.read(rows.all_placements)
            ending = succeeded(placed, self._leaving(), self._clock.now(), self._live(), self._limits)
            await self._leases.extend_due(but=ending)

    async def _look_after(self) -> None:
        first, period = self._limits.share_peer_rest / SECOND, self._limits.repair_period / SECOND
        pause = first
        while True:
            self._news = trio.Event()
            await self.round_now()
            with trio.move_on_after(min(pause, period) if self._stalled else period):
                await self._news.wait()
            pause = pause * 2 if self._stalled and not self._news.is_set() else first

    async def round_now(self) -> Repaired:
        """Extend the leases that are due, repair what needs it, clear away what has left.

        One round at a time: two would send the same share twice, and each would take the other for a failing peer.
        """
        async with self._turn:
            return await self._round()

    async def _round(self) -> Repaired:
        await self._extend_due()
        repaired, failed, astray = list[PackId](), list[tuple[PackId, str]](), False
        placed, leaving = by_pack(await self._store.read(rows.all_placements)), self._leaving()
        for row in await self._store.read(rows.all_packs):
            now, live = self._clock.now(), self._live()
            placements = placed.get(row.pack_id, [])
            staying = [p for p in placements if p.node not in leaving]
            health = pack_health(row, staying, now, live, self._limits)
            good = distinct([p for p in staying if counts(p, now, live, self._limits)])
            if health.proven < row.k and not any(p.state == "held" for p in placements):
                failed.append((row.pack_id, "no share is left"))
                astray = astray or row.kind == "catalog"  # it is made of what is here, and can be made again
            elif needs_repair(health, self._placer.spare_places(row, good)):
                problem = await self._repair(health, placements, good)
                if problem is None:
                    repaired.append(row.pack_id)
                else:
                    failed.append((row.pack_id, problem))
        waiting = await self._placer.tidy()
        if not failed and not repaired:
            await self._trials.round_now()
        self._stalled = bool(waiting) or (bool(failed) and any(c.resting for c in self._placer.candidates()))
        if (repaired or astray) and self._moved is not None:
            with suppress(Unreachable):  # too few peers for the catalog just now; the next backup publishes again
                await self._moved()
        elif self._catch_up is not None:
            await self._catch_up()
        return Repaired(tuple(repaired), tuple(failed[:_FAILED_MAX]))

    def _live(self) -> set[LeaseId]:
        return {lease.lease_id for lease in self._leases.live()}

    async def _repair(self, health: PackHealth, placements: list[Placement], good: list[Placement]) -> str | None:
        """Return None, or why the pack could not be repaired."""
        row = health.row
        now_there = await self._store.read(lambda db: rows.of_pack(db, row.pack_id))
        if len({p.index for p in now_there if p.state == "held" and not self._placer.is_mute(p.node)}) < row.k:
            return "too few of its peers answer"  # each would be waited for, pack by pack
        if any(p.state == "placing" for p in now_there):  # both might choose one peer for two shares
            return "it is being stored just now"
        try:
            body = await self._placer.get(row.pack_id)  # before anything is given up
        except PackMissing as error:
            return str(error)
        bad = [p for p in placements if p.state == "bad"]
        for placement in bad:
            self._placer.rest(placement.node)  # another peer first
            await self._store.write(lambda db, p=placement: rows.leave(db, p))
        if bad:
            await self._placer.tidy(resting_too=True)  # so that the same peer can get it again when there is no other
        try:
            await self._placer.fill(row, body, good)
        except Unreachable as error:
            return str(error)
        return await self._replace(row.pack_id, len(good))

    async def _replace(self, pack_id: PackId, before: int) -> str | None:
        """Give up shares that do not count and have a proven successor; return None if there is one."""
        now, live = self._clock.now(), self._live()
        after = await self._store.read(lambda db: rows.of_pack(db, pack_id))
        leaving = self._leaving()
        counting = distinct([p for p in after if p.node not in leaving and counts(p, now, live, self._limits)])
        covered = {p.index for p in counting}
        for placement in after:
            if placement.state == "held" and placement not in counting and placement.index in covered:
                await self._store.write(lambda db, p=placement: rows.leave(db, p))
        return None if len(counting) > before else "no other peer could take a share"
