"""The auditor: has peers show random blocks of what they keep, and tells wrong, silent and offline apart.

Each round asks every peer for at least one share, so that a peer that threw all away is met within a period; it asks
for the shares proven longest ago, so that all are covered in time; and it draws as many at random, so that a peer
cannot tell which comes next. One wrong answer has the whole rest of that peer's shares asked for in the same round. A
share that is never shown while others are counts as lost in the end (``withheld``), though silence convicts nobody.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio
from blake3 import blake3

from nanobarter.core.ids import NodeId, PackId
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span, before
from nanobarter.storage import placements as rows
from nanobarter.storage.health import PackHealth, StorageStatus, by_pack, forsaken, lost_packs, pack_health, sum_up
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.placements import Placement
from nanobarter.storage.proofs import FalseBlock, false_block
from nanobarter.storage.vault_client import VaultClient
from nanobarter.storage.verdicts import Proven, Silent, Wrong
from nanobarter.storage.withheld import PROBLEM, withheld


@dataclass(frozen=True)
class Round:
    """What one round of audits found. ``wrong``: the peer, the share, and what is wrong with its answer."""

    proven: int
    silent: int
    wrong: tuple[tuple[NodeId, Placement, str], ...]


def choose(held: Sequence[Placement], draw: bytes, *, period: Span, cover: Span, count_max: int) -> list[Placement]:
    """Return the shares to ask for in this round. ``draw`` (32 random bytes) decides what nobody can foresee.

    ``held`` is ordered by last proof, the oldest first.
    """
    per_round = -(-len(held) * period // cover)
    dice = iter(_dice(draw, len(held)))
    shuffled = [p for _, p in sorted(((next(dice), p) for p in held), key=lambda pair: pair[0])]
    one_each = {p.node: p for p in shuffled}.values()
    silent = [p for p in held if p.silent_since is not None]
    chosen = dict.fromkeys([*one_each, *held[:per_round], *silent, *shuffled[:per_round]])
    return list(chosen)[:count_max]


def _dice(draw: bytes, count: int) -> list[bytes]:
    stream = blake3(draw).digest(length=16 * count)
    return [stream[16 * i : 16 * i + 16] for i in range(count)]


class Auditor:
    """Audits one's own shares. ``run`` does so every period; ``round_now`` at once, for instance for ``check``.

    ``caught`` is called after a round that leaves something to repair: a wrong answer, or a share too few.
    ``passed`` and ``failed`` count the challenges since the start, those of every round; ``forsaken`` are the peers to
    which, as of the last ``look``, nothing is to be entrusted as long as others can be had (``health.forsaken``), and
    ``lost`` the packs of data and metadata that could not be brought back then; ``unwell`` tells whether any pack had
    fewer shares than it should.
    """

    passed: int = 0
    failed: int = 0
    forsaken: frozenset[NodeId] = frozenset()
    lost: frozenset[PackId] = frozenset()
    unwell: bool = False

    def __init__(
        self,
        *,
        store: Store,
        leases: LeaseBook,
        client: VaultClient,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        period: Span | None = None,
        caught: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._leases = leases
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._period = period or limits.audit_period
        self._caught = caught
        self._accuse: Callable[[FalseBlock], object] | None = None
        self._judged: Callable[[NodeId, bool | None], Awaitable[None]] | None = None

    def observe(self, judged: Callable[[NodeId, bool | None], Awaitable[None]]) -> None:
        """Have one observer told of each challenge whether the answer was right, None when none of use came."""
        self._judged = judged

    def accuse_before(self, accuse: Callable[[FalseBlock], object]) -> None:
        """Hand on what convicts a peer before anyone: a block that is not of the share that it signed for."""
        self._accuse = accuse

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Audit every period, give or take a third, until cancelled."""
        task_status.started()
        while True:
            jitter = self._entropy.token(1)[0] / 255 * 2 / 3 + 2 / 3
            await trio.sleep(self._period / SECOND * jitter)
            await self.round_now()

    async def round_now(self, *, everything: bool = False) -> Round:
        """Ask for the shares whose turn it is, or for all of them, and record what came of it."""
        held = await self._store.read(lambda db: rows.in_state(db, "held"))
        live = {lease.lease_id for lease in self._leases.live()}
        held = [p for p in held if p.lease_id in live]
        chosen = held
        if not everything:
            draw, count_max = self._entropy.token(32), self._limits.audit_round_max
            cover = self._limits.audit_cover
            chosen = choose(held, draw, period=self._period, cover=cover, count_max=count_max)
        found = _Found([], [], [])
        gate = trio.CapacityLimiter(self._limits.audit_parallel)

        async def one_peer(node: NodeId) -> None:
            async with gate:
                first = [p for p in chosen if p.node == node]
                await self._ask_peer(first, [p for p in held if p.node == node and p not in first], found)

        async with trio.open_nursery() as nursery:
            for node in dict.fromkeys(p.node for p in chosen):
                nursery.start_soon(one_peer, node)
        self.passed += len(found.proven)
        self.failed += len(found.wrong)
        self.unwell = await trio.to_thread.run_sync(self.look) not in ("healthy", "empty")
        if self._caught is not None and (found.wrong or self.unwell):
            self._caught()
        return Round(len(found.proven), len(found.silent), tuple(found.wrong))

    def health(self) -> list[PackHealth]:
        """Return the health of every pack, as of the last commit."""
        now, live = self._clock.now(), {lease.lease_id for lease in self._leases.live()}
        packs = self._store.read_now(rows.packs_to_judge)
        placed = by_pack(self._store.read_now(rows.all_placements))
        return [pack_health(row, placed.get(row.pack_id, ()), now, live, self._limits) for row in packs]

    def status(self) -> StorageStatus:
        """Return the one answer to "is it backed up?"."""
        return sum_up(self.health())

    async def _tell(self, node: NodeId, *, right: bool | None) -> None:
        if self._judged is not None:
            await self._judged(node, right)

    async def _accuse_of(self, placement: Placement, shown: bytes) -> None:
        held = await self._store.read(lambda db: rows.receipt(db, placement))
        proof = false_block(held, shown)
        if proof is not None and self._accuse is not None:
            self._accuse(proof)

    def look(self) -> str:
        """Note from the rows which peers are forsaken and what is lost, and return the worst verdict on a pack.

        Blocks for the database; asks nobody.
        """
        now, live = self._clock.now(), {lease.lease_id for lease in self._leases.live()}
        since = before(now, Span(self._limits.audit_cover + self._limits.audit_offline))
        caught = self._store.read_now(lambda db: rows.caught_since(db, since))
        placed = self._store.read_now(rows.all_placements)
        self.forsaken = frozenset(forsaken(placed, caught, now, live, self._limits))
        health = self.health()
        self.lost = frozenset(lost_packs(health))
        return sum_up(health).verdict

    async def _ask_peer(self, queue: list[Placement], rest: list[Placement], found: "_Found") -> None:
        shown, unanswered, offline = 0, list[Placement](), False
        for placement in queue:  # grows when the peer is caught
            outcome = await self._client.challenge(placement.node, placement.lease_id, placement.root, placement.size)
            now = self._clock.now()
            match outcome:
                case Proven():
                    await self._store.write(lambda db, p=placement, at=now: rows.proven(db, p, at))
                    shown += 1
                    found.proven.append(placement)
                    await self._tell(placement.node, right=True)
                case Wrong():
                    problem, evidence = outcome.problem, outcome.evidence
                    broken = await self._store.write(
                        lambda db, p=placement, at=now, w=problem, e=evidence: rows.wrong(db, p, at, w, e)
                    )
                    if not broken:
                        continue
                    found.wrong.append((placement.node, placement, problem))
                    await self._accuse_of(placement, evidence)
                    await self._tell(placement.node, right=False)
                    queue += rest
                    rest = []
                case Silent(offline=offline):
                    await self._store.write(lambda db, p=placement, at=now: rows.silent(db, p, at))
                    unanswered.append(placement)
                    found.silent.append(placement)
                    await self._tell(placement.node, right=None)
                    if offline:
                        await self._store.write(lambda db, p=placement, at=now: rows.node_silent(db, p.node, at))
                        break
        if shown and await self._withheld(unanswered, found) and not offline:
            await self._ask_peer(rest, [], found)

    async def _withheld(self, unanswered: list[Placement], found: "_Found") -> bool:
        """Note what a peer did not show while it showed something else; tell whether anything counts as lost now."""
        lost, now = list[Placement](), self._clock.now()
        for placement in unanswered:
            if await self._store.write(lambda db, p=placement: withheld(db, p, now, self._limits)):
                lost.append(placement)
                found.wrong.append((placement.node, placement, PROBLEM))
                await self._tell(placement.node, right=False)
        return bool(lost)


@dataclass(frozen=True)
class _Found:
    proven: list[Placement]
    silent: list[Placement]
    wrong: list[tuple[NodeId, Placement, str]]
