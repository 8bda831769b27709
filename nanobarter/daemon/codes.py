"""Under which code a backup stores: what it stores again for that, and what a person hears when the code gets worse."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from nanobarter.core.ids import NodeId, PackId, short_node
from nanobarter.storage.audit import Auditor
from nanobarter.storage.geometry import Geometry, outgrown
from nanobarter.storage.health import lost_packs
from nanobarter.translator.plan import Plan

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

BID_SECONDS: Final = 10.0  # after a peer connected: it settles for three, and may be slow
_log = logging.getLogger(__name__)


def lost_of(auditor: Auditor) -> list[PackId]:
    """Return the packs of which fewer than k shares are proven."""
    return lost_packs(auditor.health())


def outgrown_of(auditor: Auditor, now: Geometry) -> list[PackId]:
    """Return the packs that were made thin, for few peers, and are worth making again under the code of today."""
    return [
        h.row.pack_id
        for h in auditor.health()
        if h.row.kind != "catalog" and h.verdict != "lost" and outgrown(Geometry(h.row.k, h.row.n), now)
    ]


def yet_to_bid(
    connected: Iterable[NodeId], heard: Collection[NodeId], met_at: Mapping[NodeId, float], now: float
) -> set[NodeId]:
    """Return the peers of whom no bid was heard, and who have been connected for too short a time to have none.

    A peer has its keys before it connects; to hear of us, to settle its plan and to bid takes some seconds more. One
    that is still silent then wants nothing, and there is nothing to be had from it.
    """
    return {node for node in connected if node not in heard and now < met_at.get(node, 0.0) + BID_SECONDS}


async def step_down(node: "Node", plan: Plan) -> str:
    """Return, and log, that the code is less safe than the one of the newest pack, and why; empty when it is not."""
    packs = [pack for pack in await node.catalog.packs() if pack.kind == "data"]
    now = plan.geometry
    if not packs or now.recovery >= (before := Geometry(packs[-1].k, packs[-1].n)).recovery:
        return ""
    told = f"any {now.k} of {now.n} shares instead of any {before.k} of {before.n}: fewer peers can be counted on"
    if avoided := sorted(map(short_node, node.avoided())):
        told += f"; not counted on for being gone, caught, full or leaving: {', '.join(avoided)}"
    _log.warning("new packs are less safe than before: %s", told)
    return told
