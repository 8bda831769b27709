"""What another policy would change: every line of the plan and of the estimate that it makes a different one."""

from collections.abc import Iterator
from itertools import chain

from nanobarter.cli.beside import lent_at
from nanobarter.cli.estimate import show_duration
from nanobarter.cli.estimating import HOURS_TOLD, Estimate
from nanobarter.core.units import MIB, show_size
from nanobarter.daemon.accounts import pet_of
from nanobarter.daemon.config import Config
from nanobarter.daemon.terms import beyond_offer, standings_of
from nanobarter.translator.budget import own_worth
from nanobarter.translator.standing import Standing

_NONE = "none"


def changes(old: Estimate, new: Estimate) -> dict[str, dict[str, str]]:
    """Return what changes, by what it is: how it is ``now`` and would be ``then``, both in words."""
    before, after = (dict(_figures(found)) for found in (old, new))
    pairs = {name: (before.get(name, _NONE), after.get(name, _NONE)) for name in chain(before, after)}
    return {name: {"now": now, "then": then} for name, (now, then) in pairs.items() if now != then}


def change_lines(old: Estimate, new: Estimate) -> Iterator[str]:
    """Tell what changes, a line each."""
    found = changes(old, new)
    width = max(map(len, found), default=0)
    yield from (f"  {name:<{width}}  {each['now']} -> {each['then']}" for name, each in found.items())
    if not found:
        yield "  nothing changes"


def _figures(found: Estimate) -> Iterator[tuple[str, str]]:
    """Yield every figure that a policy decides, with its name, in the order in which it is told."""
    config, plan, beside, pet = found.config, found.plan, found.beside, pet_of(found.config)
    backup, market, code = config.backup, config.market, plan.geometry
    yield "folders", ", ".join(backup.folders) or _NONE
    yield "excluded", ", ".join(backup.exclude) or _NONE
    yield "size", f"{show_size(found.found.size_bytes)} in {found.found.files} files"
    yield "planned for", show_size(plan.folder_bytes)
    yield "backup", backup.schedule if backup.hours == "always" else f"{backup.schedule}, {backup.hours}"
    yield "keep", backup.keep
    yield "durability", backup.durability
    yield "shares", f"any {code.k} of {code.n}"
    yield "chance", f"{1 - code.recovery:.2g}"
    yield "at one peer", show_size(plan.per_issuer * MIB)
    yield "upload", show_duration(plan.upload_seconds_at(config.network.upload_rate))
    yield "offer", show_size(config.offer.space_bytes)
    yield "leases", ", ".join(config.offer.kinds)
    yield "lend", show_size(found.lend_bytes)
    for hours, name in HOURS_TOLD.items() if market.mode == "discount" else ():
        yield f"on {name}", show_size(lent_at(config, plan, hours))
    yield "cost", f"{pet.show(own_worth(plan.lent, plan.kind, pet))} each {plan.kind[:-1]} days"
    yield "enough", "yes" if found.enough else "no"
    yield "reserve", show_size(beside.reserve)
    yield from ((line[:12].strip(), line[12:].strip()) for line in order_lines(config))
    yield "beyond", beyond_offer(config) or _NONE
    yield "in all", show_size(beside.together)
    yield "trade", market.mode
    yield "price", market.price
    for name, nodes in (("prefer", market.prefer), ("refuse", market.refuse), ("only wants", market.wants)):
        yield name, ", ".join(node[:10] for node in nodes) or _NONE
    yield "approve", market.approve if market.approve == "auto" else f"{market.approve} above {market.approve_above}"
    bots = config.bots
    for name in ("keeper", "pinger", "auditor", "trader", "arbitrageur"):
        yield name, str(getattr(bots, name))
    yield "dry run", "yes" if bots.dry_run else "no"
    yield "dealers", f"{bots.per_issuer} of one issuer; may lose {bots.loss_day} a day, {bots.loss_month} a month"
    yield "audits", f"each share within {config.audit.period}, lost after {config.audit.grace}"


def order_lines(config: Config) -> Iterator[str]:
    """Tell what is ordered beyond what the folders need, and what may be given away for all of it."""
    if config.market.bargain is not None:
        size, most = config.market.bargain
        yield f"bargain      back up {show_size(size)} of folders for at most {show_size(most * MIB)} lent, or wait"
    anybody = "those it wants" if config.market.wants else "anybody" + (" but some" if config.market.refuse else "")
    for number, (row, order) in enumerate(zip(config.order, standings_of(config), strict=True), 1):
        whose = ", ".join(node[:10] for node in row.at) or (f"{anybody}, not at some" if row.refuse else anybody)
        how = "once" if order.once else "always keep it in hand"
        price = f"{order.price[0]}/{order.price[1]}"
        cost = f"for at most {show_size(order.give * MIB)} of yours ({price} for one, worth {_worth(config, order)})"
        yield f"order {number:<6} {show_size(order.get * MIB)} of {order.kind} at {whose}, {how}, {cost}"
    if config.market.budget_amount is not None:
        yield f"budget       at most {config.market.budget} {config.pet.symbol} of your space are given away in a month"


def _worth(config: Config, order: Standing) -> str:
    pet = pet_of(config)
    return pet.show(own_worth(order.give, order.gives, pet))
