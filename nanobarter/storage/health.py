"""How safe a pack is: the number of distinct peers that proved their share not long ago. Nothing else counts.

Upload, audit, repair, status and exit codes all read this one number. Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.ids import LeaseId, NodeId, PackId
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, span_between
from nanobarter.storage.geometry import repair_below
from nanobarter.storage.placements import PlacedPackRow, Placement

Verdict = Literal["healthy", "degraded", "below", "lost"]

TRUSTED_MIN: Final = 3  # three whole copies are worth more than a code with those in it that failed; two are not


@dataclass(frozen=True)
class PackHealth:
    """One pack. ``proven``: distinct peers, each with another share. ``oldest_proof``: among those that count.

    ``promised`` counts in the same way the shares that peers took and were not caught without, proven lately or not:
    with fewer than k of them waiting for silent peers is in vain.
    """

    row: PlacedPackRow
    proven: int
    bad: int
    oldest_proof: Instant | None
    promised: int

    @property
    def verdict(self) -> Verdict:
        """Healthy: all n. Degraded: not below the repair threshold. Below: repair. Lost: fewer than k, just now."""
        if self.proven < self.row.k:
            return "lost"
        if self.proven < repair_below(self.row.k, self.row.n):
            return "below"
        return "healthy" if self.proven >= self.row.n else "degraded"

    @property
    def gone(self) -> bool:
        """Whether too few shares are left even if all peers answered: a loss, and no silence."""
        return self.promised < self.row.k


@dataclass(frozen=True)
class StorageStatus:
    """All packs of the vault, counted by verdict; ``gone`` of the lost ones no peer can bring back."""

    packs: int
    healthy: int
    degraded: int
    below: int
    lost: int
    gone: int
    thin: int
    oldest_proof: Instant | None

    @property
    def verdict(self) -> Verdict | Literal["empty"]:
        """The worst of all packs."""
        if self.lost:
            return "lost"
        if self.below:
            return "below"
        if self.degraded:
            return "degraded"
        return "healthy" if self.packs else "empty"


def counts(placement: Placement, now: Instant, live: Collection[LeaseId], limits: Limits) -> bool:
    """Tell whether a share may be counted on: proven lately, its peer not silent for long, its lease running."""
    fresh = span_between(placement.last_proof_at, now) <= limits.audit_cover + limits.audit_offline
    silent = placement.silent_since
    answers = silent is None or span_between(silent, now) < limits.audit_offline
    return placement.state == "held" and fresh and answers and placement.lease_id in live


def pack_health(
    row: PlacedPackRow, placements: Iterable[Placement], now: Instant, live: Collection[LeaseId], limits: Limits
) -> PackHealth:
    """Return the health of one pack from all its placements."""
    found = list(placements)
    good = [p for p in found if counts(p, now, live, limits)]
    oldest = min((p.last_proof_at for p in good), default=None)
    promised = _distinct(p for p in found if p.state == "held" and p.lease_id in live)
    return PackHealth(row, _distinct(good), sum(p.state == "bad" for p in found), oldest, promised)


def _distinct(placements: Iterable[Placement]) -> int:
    """Return how many shares at as many peers are among these."""
    found = list(placements)
    return min(len({p.node for p in found}), len({p.index for p in found}))


def forsaken(
    placements: Iterable[Placement],
    caught: Collection[NodeId],
    now: Instant,
    live: Collection[LeaseId],
    limits: Limits,
) -> set[NodeId]:
    """Return the peers that were silent for too long or were ``caught``, and of whose shares none counts.

    What they owe us is worth nothing to a repair, so space is sought elsewhere; one that proves a share is back.
    """
    found, good = set(caught), set[NodeId]()
    for placement in placements:
        if counts(placement, now, live, limits):
            good.add(placement.node)
        elif placement.silent_since is not None and span_between(placement.silent_since, now) >= limits.audit_offline:
            found.add(placement.node)
    return found - good


def passed_over(forsaken: Collection[NodeId], known: Collection[NodeId], answering: Collection[NodeId]) -> set[NodeId]:
    """Return the forsaken peers whose space is not counted on: all, unless too few others are known without them.

    Then those of them that are ``answering`` are tried again: all under the code for one or two peers, or no backup
    at all, would be worse. One that is silent stays passed over as long as anybody else is known.
    """
    left, known = set(forsaken), set(known)
    if len(known - left) < min(len(known), TRUSTED_MIN):
        left -= set(answering)
    return left if known - left else set()


def by_pack(placements: Iterable[Placement]) -> Mapping[PackId, list[Placement]]:
    """Return the placements of each pack."""
    found = dict[PackId, list[Placement]]()
    for placement in placements:
        found.setdefault(placement.pack_id, []).append(placement)
    return found


def lost_packs(packs: Iterable[PackHealth]) -> list[PackId]:
    """Return the packs of data and metadata of which fewer than k shares are proven, in their order.

    A catalog is no loss: the next backup writes another.
    """
    return [pack.row.pack_id for pack in packs if pack.verdict == "lost" and pack.row.kind != "catalog"]


def sum_up(packs: Sequence[PackHealth]) -> StorageStatus:
    """Return the status of the whole vault."""
    verdicts = [pack.verdict for pack in packs]
    return StorageStatus(
        packs=len(packs),
        healthy=verdicts.count("healthy"),
        degraded=verdicts.count("degraded"),
        below=verdicts.count("below"),
        lost=verdicts.count("lost"),
        gone=sum(pack.verdict == "lost" and pack.gone for pack in packs),
        thin=sum(pack.row.thin for pack in packs),
        oldest_proof=min((p.oldest_proof for p in packs if p.oldest_proof is not None), default=None),
    )
