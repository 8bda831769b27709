"""What peers have proven, in the shape of the local API. Every number comes from the auditor's view of the rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from typing import Final

from nanobarter.core.ids import NodeId, show_node
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.daemon import facade
from nanobarter.storage import placements as rows
from nanobarter.storage.audit import Auditor
from nanobarter.storage.placements import PlacedPackRow, Placement

PROBLEMS_SHOWN_MAX: Final = 100
_STATES: Final[dict[str, facade.HealthState]] = {
    "empty": "none", "healthy": "good", "degraded": "degraded", "below": "below_threshold", "lost": "below_threshold",
}  # fmt: skip


class Proofs:
    """Tells the health of what is stored."""

    def __init__(
        self,
        store: Store,
        auditor: Auditor,
        leaving: Callable[[], Collection[NodeId]] = frozenset,
        index_is_here: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store, self._auditor, self._leaving, self._index_is_here = store, auditor, leaving, index_is_here

    async def audit_all(self) -> None:
        """Challenge every share now."""
        await self._auditor.round_now(everything=True)

    async def health(self) -> facade.Health:
        """Tell what peers have proven, by the last audits."""
        packs = await self._store.read(rows.all_packs)
        placed = await self._store.read(rows.all_placements)
        status, health = self._auditor.status(), self._auditor.health()
        counted = [p for p in placed if p.state in ("held", "bad")]
        state = _STATES[status.verdict]
        if state == "good" and status.thin:  # shares that are missing now weigh more than peers that never came
            state = "thin"
        elif state == "none" and not self._index_is_here():  # what there is, peers have yet to tell
            state = "fetching"
        data = [one for one in health if one.row.kind == "data"]
        codes = Counter((one.row.k, one.row.n) for one in data or health)
        k, n = max(codes, key=lambda code: codes[code], default=(0, 0))
        return facade.Health(
            state=state,
            packs=status.packs,
            k=k,
            n=n,
            mixed=len(codes) > 1,
            shares_placed=len({(p.pack_id, p.index) for p in counted}),  # a copy on trial is none of its own
            shares_proven=sum(h.proven for h in health),
            below_threshold=status.below + status.lost,
            lost=status.gone,
            away=status.lost - status.gone,
            audits_passed=self._auditor.passed,
            audits_failed=self._auditor.failed,
            oldest_proof=status.oldest_proof,
            holders=_holders(packs, counted),
            problems=(*_problems(counted), *_leaving(counted, self._leaving()))[:PROBLEMS_SHOWN_MAX],
        )


def _holders(packs: list[PlacedPackRow], placed: list[Placement]) -> tuple[facade.HolderRow, ...]:
    live = {row.pack_id for row in packs}
    of = defaultdict[NodeId, list[Placement]](list)
    for placement in placed:
        if placement.pack_id in live:
            of[placement.node].append(placement)
    return tuple(
        facade.HolderRow(
            node=show_node(node),
            shares=len(held),
            packs=len({p.pack_id for p in held}),
            proven=sum(p.state == "held" and p.last_proof_at > Instant(0) and p.silent_since is None for p in held),
        )
        for node, held in of.items()
    )


def _problems(placed: list[Placement]) -> list[facade.HealthProblem]:
    """Return what is wrong, the broken promises first: not all may be shown."""
    found = list[facade.HealthProblem]()
    for p in sorted(placed, key=lambda p: p.state != "bad"):
        pack, node = p.pack_id.hex(), show_node(p.node)
        if p.state == "bad":
            told = f"{node[:10]} failed the proof of share {p.index} of pack {pack[:8]}: its bytes were altered or lost"
            found.append(facade.HealthProblem(node=node, pack=pack, kind="wrong", detail=told))
        elif p.silent_since is not None:
            told = f"{node[:10]} does not answer for share {p.index} of pack {pack[:8]}"
            found.append(facade.HealthProblem(node=node, pack=pack, kind="silent", detail=told))
    return found


def _leaving(placed: list[Placement], leaving: Collection[NodeId]) -> list[facade.HealthProblem]:
    many = Counter(p.node for p in placed if p.node in leaving)
    return [
        facade.HealthProblem(
            node=show_node(node),
            pack="",
            kind="leaving",
            detail=f"{show_node(node)[:10]} is leaving; {count} shares that it keeps of ours move to other peers",
        )
        for node, count in many.items()
    ]
