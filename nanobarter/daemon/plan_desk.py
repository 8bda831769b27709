"""What the folders need, for the node's person: by what they hold, and by how the node was used until now."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from nanobarter.core.units import MIB, Span, show_size
from nanobarter.daemon import facade_backup as f
from nanobarter.daemon.config_orders import show_bargain
from nanobarter.daemon.terms import terms_of
from nanobarter.storage.geometry import recovery
from nanobarter.translator.behaviour import days_until_too_small, forgets_too_soon, reached_back
from nanobarter.translator.plan import Plan, make_plan
from nanobarter.translator.standing import price_of_backup

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

SOON_DAYS: Final = 30  # that the offer will be too small is told as long before as leases last


async def plan_of(node: "Node", *, anew: bool = True) -> f.Plan:
    """Work out what the folders need; not ``anew``: by what was measured within the last minutes."""
    use = await node.usage.look(anew=anew)
    measured = await node.folders.measure()
    peers = len({*node.held(), *node.thrifty.offering()})
    geometry = node.geometry(peers)
    bargain = node.config.market.bargain
    planned = use.planned_bytes if bargain is None else max(use.planned_bytes, bargain[0])  # as the keeper does
    plan = make_plan(planned, node.kind, geometry)
    offered, lend = node.config.offer.space_bytes, plan.lent * MIB
    told = "" if bargain is None else _bargain(node, plan, bargain[1])
    lend = lend if bargain is None else min(lend, bargain[1] * MIB)
    too_small, share = days_until_too_small(use, lend, offered), node.watch.own_share()
    backup, restores = node.config.backup, await node.restores.known()
    reached = reached_back(restores)
    warning = forgets_too_soon(reached, backup.holds, backup.keep)
    seconds = plan.upload_seconds_at(node.config.network.upload_rate)
    return f.Plan(
        folder_bytes=measured.size_bytes,
        old_bytes=use.old_bytes,
        change_bytes_day=use.change_bytes_day,
        growth_bytes_day=use.growth_bytes_day,
        planned_bytes=planned,
        bargain=told,
        files=measured.files,
        peers=peers,
        k=geometry.k,
        n=geometry.n,
        stored_bytes=measured.size_bytes * geometry.n // geometry.k,
        lend_bytes=lend,
        offered_bytes=offered,
        upload_seconds=seconds,
        recover_probability=recovery(geometry.k, geometry.n),
        too_small_in_days=None if too_small is None else round(too_small, 1),
        hours_on=None if share is None else round(24 * share, 1),
        upload_elapsed_seconds=None if not share else round(seconds / share),
        restores=len(restores),
        restored_back_ms=reached,
        keeps_back_ms=backup.holds,
        problems=tuple(_problems(lend, peers, offered, too_small, warning)),
    )


def _bargain(node: "Node", plan: Plan, most: int) -> str:
    price = price_of_backup(plan.lent, most, terms_of(node.config).most)
    return show_bargain(plan.folder_bytes, plan.lent * MIB, most * MIB, price)


def _problems(lend: int, peers: int, offered: int, too_small: float | None, warning: str) -> Iterator[str]:
    if not peers:
        yield "no peer offers space yet"
    if lend > offered:
        yield f"the folders need {show_size(lend)} lent, and {show_size(offered)} are offered: nbctl offer grow"
    elif too_small is not None and too_small < SOON_DAYS:
        yield f"growing as they do, the folders need more than is offered in about {too_small:.0f} days"
    if warning:
        yield warning


async def attention(node: "Node") -> list[str]:
    """Return what of the plan a month's report should raise: nothing, as long as all goes on as it is."""
    plan, backup = await plan_of(node, anew=False), node.config.backup
    warning = forgets_too_soon(Span(plan.restored_back_ms), backup.holds, backup.keep)
    return [*_too_small(plan), *([warning] if warning else [])]


def _too_small(plan: f.Plan) -> Iterator[str]:
    if plan.lend_bytes > plan.offered_bytes and plan.peers:
        yield "your folders need more space than you offer for it: see nbctl plan, and nbctl offer grow"
    elif plan.too_small_in_days is not None and plan.too_small_in_days < SOON_DAYS:
        days = f"{plan.too_small_in_days:.0f}"
        yield f"your folders grow: in about {days} days they need more than you offer (nbctl offer grow)"
