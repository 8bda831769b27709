"""Shares on trial: strangers keep a copy of one share each while all packs are whole, so that they can be audited.

Whoever has all the peers that he needs would never come to know others, and when one of his fails he would have only
strangers to choose from. A copy costs the space of one share, and the backup rests on it for nothing: the share lies
at a peer of the plan too. No more than ``trial_peers_max`` strangers are on trial at a time. Which of them earned
more is not decided here (``translator.reliability``).
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nanobarter.core.ids import LeaseId, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.storage import placements as rows
from nanobarter.storage.health import by_pack, counts
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.placement import Placer
from nanobarter.storage.placements import PlacedPackRow, Placement
from nanobarter.storage.ports import PackMissing
from nanobarter.storage.share import HEADER_BYTES
from nanobarter.storage.targets import Candidate


@dataclass(frozen=True)
class Trial:
    """A copy of one share for one stranger."""

    row: PlacedPackRow
    index: int
    node: NodeId


def choose(
    packs: Sequence[PlacedPackRow],
    placements: Sequence[Placement],
    candidates: Sequence[Candidate],
    strangers: Collection[NodeId],
    most: int,
) -> Trial | None:
    """Return the next trial, None when there is none to make: of the smallest pack, at the stranger with most room.

    ``placements`` are those that count. A stranger that keeps anything of ours is known soon enough.
    """
    keepers = {p.node for p in placements}
    if len(keepers & set(strangers)) >= most:
        return None
    whole = {p.pack_id: p.index for p in placements}
    small = min((r for r in packs if r.kind == "data" and r.pack_id in whole), key=_size, default=None)
    if small is None:
        return None
    fitting = [
        c
        for c in candidates
        if c.node in strangers and c.node not in keepers and c.connected and not c.resting
        and c.room_bytes >= HEADER_BYTES + small.share_size
    ]  # fmt: skip
    if not fitting:
        return None
    best = min(fitting, key=lambda c: (-c.room_bytes, c.node))
    return Trial(small, whole[small.pack_id], best.node)


def _size(row: PlacedPackRow) -> tuple[int, bytes]:
    return row.share_size, row.pack_id


def ended(
    placements: Sequence[Placement], live: Collection[LeaseId], counting: Collection[Placement]
) -> list[Placement]:
    """Return the copies whose lease is over: nobody repairs them, since the share they copy is where it should be."""
    elsewhere = {(p.pack_id, p.index): p.node for p in counting}
    return [
        p
        for p in placements
        if p.state == "held" and p.lease_id not in live and elsewhere.get((p.pack_id, p.index), p.node) != p.node
    ]


class Trials:
    """Tries out ``strangers``, one per round, each with what its notes are good for."""

    def __init__(self, store: Store, leases: LeaseBook, placer: Placer, clock: Clock, limits: Limits) -> None:
        self._store, self._leases, self._placer, self._clock, self._limits = store, leases, placer, clock, limits
        self.strangers: Callable[[], Collection[NodeId]] = frozenset

    async def round_now(self) -> Trial | None:
        """Clear away the copies that ended, and make one when a stranger waits; return it if the stranger took it."""
        strangers = self.strangers()
        now, live = self._clock.now(), {lease.lease_id for lease in self._leases.live()}
        every = await self._store.read(rows.all_placements)
        counting = [p for p in every if counts(p, now, live, self._limits)]
        for placement in ended(every, live, counting):
            await self._store.write(lambda db, p=placement: rows.leave(db, p))
        if not strangers:
            return None
        placed = by_pack(counting)
        packs = [r for r in await self._store.read(rows.all_packs) if len(placed.get(r.pack_id, ())) >= r.n]
        trial = choose(packs, counting, self._placer.candidates(), strangers, self._limits.trial_peers_max)
        if trial is None:
            return None
        with suppress(PackMissing):
            why_not = await self._placer.copy(trial.row, trial.index, trial.node)
            if why_not is None:
                return trial
            self._placer.rest(trial.node)
        return None
