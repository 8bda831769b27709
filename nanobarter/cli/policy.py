"""What a policy means, before and after it is accepted: the estimate in plain words. It needs no daemon."""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

from msgspec import to_builtins

from nanobarter.cli.beside import bargain_lines, lent_at, reserve_of, show_reserve
from nanobarter.cli.estimate import expected_plan, show_duration
from nanobarter.cli.estimating import HOURS_TOLD, Estimate, estimate, folders_for
from nanobarter.cli.exits import Exit
from nanobarter.cli.observed import Observed, observed, over, stale
from nanobarter.cli.policy_changes import change_lines, changes, order_lines
from nanobarter.cli.talk import answer_json
from nanobarter.core.errors import UsageError
from nanobarter.core.units import MIB, show_size
from nanobarter.daemon.accounts import pet_of
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.home import Home, default_home
from nanobarter.daemon.terms import beyond_offer, standings_of
from nanobarter.storage.geometry import RECOVERY_MARK, SHARE_AVAILABILITY, Geometry
from nanobarter.translator.budget import own_worth, spent

_PEERS_TRIED: Final = (2, 5, 6, 10, 12, 14, 17, 25)
_MODES: Final = {
    "ticket": "one for one, at the nodes that the plan names, and nothing of anybody's",
    "par": "one for one; the reserve leaves out peers that are known to be there for less than 80 %",
    "discount": "at what a peer's reliability makes its notes worth, and more for it while much is missing",
}


def explain(asked: argparse.Namespace) -> int:
    """Tell what the policy of this home means."""
    return _tell(asked, estimate(_config(asked), _home(asked), _peers(asked)), observed(asked))


def test(asked: argparse.Namespace) -> int:
    """Tell what another config would mean, and what would change; nothing is changed."""
    if not asked.file.exists():
        hint = "name the config.toml that you want to try; nbctl policy explain tells what the one of this home means"
        raise UsageError(f"there is no file {asked.file}", hint=hint)
    old = estimate(_config(asked), _home(asked), _peers(asked))
    new, seen = estimate(load_config(asked.file), _home(asked), _peers(asked)), observed(asked)
    if asked.json:
        answer_json({"type": "policy_test", "now": _shape(old), "then": _shape(new), "enough": new.enough,
                     "changes": changes(old, new),
                     "disk_holds_offer": not seen.disk(new.config)})  # fmt: skip
    else:
        told = [*_lines(new), *seen.lines(new.config), *stale(asked)]
        print("\n".join([*told, "", "compared with what holds now:", *change_lines(old, new)]))
    return Exit.DONE if new.enough else Exit.FAILED


def show(asked: argparse.Namespace) -> int:
    """Tell the policy of this home in words."""
    config = _config(asked)
    if asked.json:
        answer_json({"type": "policy", "mode": config.market.mode, "price": config.market.price,
                     "prefer": config.market.prefer, "refuse": config.market.refuse, "wants": config.market.wants,
                     "folders": config.backup.folders, "space_bytes": config.offer.space_bytes,
                     "durability": config.backup.durability, "kinds": config.offer.kinds,
                     "reserve_bytes": reserve_of(config), "back_up": config.market.back_up})  # fmt: skip
    else:
        print("\n".join([*_policy(config), *over(asked, config), *stale(asked)]))
    return Exit.DONE


def _config(asked: argparse.Namespace) -> Config:
    return load_config(Home.open(_home(asked)).config_path)


def _home(asked: argparse.Namespace) -> Path:
    return (asked.home or default_home()).absolute()


def _peers(asked: argparse.Namespace) -> int:
    if asked.peers < 1:
        raise UsageError(f"--peers {asked.peers}: a backup needs another node", hint="expect at least one: --peers 1")
    return int(asked.peers)


def _tell(asked: argparse.Namespace, found: Estimate, seen: Observed) -> int:
    if asked.json:
        plan = None if seen.plan is None else to_builtins(seen.plan)
        answer_json({"type": "policy_estimate", **_shape(found), "observed": plan,
                     "disk_holds_offer": not seen.disk(found.config)})  # fmt: skip
    else:
        seen_lines = [*seen.lines(found.config), *stale(asked)]
        told = [*_policy(found.config), "", *_lines(found), *seen_lines, "", *_more(found)]
        print("\n".join(told))
    return Exit.DONE if found.enough else Exit.FAILED


def _shape(found: Estimate) -> dict[str, object]:
    code, beside_ = found.plan.geometry, found.beside
    return {
        "folder_bytes": found.found.size_bytes, "files": found.found.files, "peers": found.peers, "k": code.k,
        "n": code.n, "lend_bytes": found.lend_bytes, "offered_bytes": found.config.offer.space_bytes,
        "upload_seconds": found.plan.upload_seconds_at(found.config.network.upload_rate),
        "recover_probability": code.recovery, "enough": found.enough,
        "lend_bytes_by_hours_on": {str(hours): lent_at(found.config, found.plan, hours) for hours in (24, 16, 8)},
        "planned_bytes": found.plan.folder_bytes, "folders_lend_bytes": beside_.folders,
        "orders_lend_bytes": beside_.orders, "reserve_bytes": beside_.reserve, "together_bytes": beside_.together,
        "orders_beyond_offer": beyond_offer(found.config),
        "bargain": next(bargain_lines(found.config, found.plan), ""),
    }  # fmt: skip


def _policy(config: Config) -> Iterator[str]:
    folders = ", ".join(config.backup.folders) or "nothing yet"
    yield f"keep safe    {folders} (durability {config.backup.durability}, backup {config.backup.schedule})"
    yield f"lend         {show_size(config.offer.space_bytes)}, for {', '.join(config.offer.kinds)}"
    yield f"trade        {config.market.mode}: {_MODES[config.market.mode]}"
    price = "as the mode says" if config.market.price == "auto" else f"at most {config.market.price} for one received"
    yield f"price        {price}"
    market = config.market
    yield f"reserve      {show_reserve(reserve_of(config)).removeprefix('beside that ')}"
    for name, nodes in (("prefer", market.prefer), ("refuse", market.refuse), ("only wants", market.wants)):
        if nodes:
            yield f"{name:<12} {', '.join(node[:10] for node in nodes)}"
    yield from order_lines(config)
    asked = "you are asked" if config.market.approve == "manual" else "nobody is asked"
    yield f"agreements   {asked} before your space is promised"
    off = [
        name for name in ("keeper", "pinger", "auditor", "trader", "arbitrageur") if getattr(config.bots, name) == "off"
    ]
    dry = " (dry run: nothing is ordered, only told)" if config.bots.dry_run else ""
    yield f"by itself    everything{', but without ' + ' and '.join(off) if off else ''}{dry}"


def _lines(found: Estimate) -> Iterator[str]:
    code, what = found.plan.geometry, f"{show_size(found.found.size_bytes)} in {found.found.files} files"
    if found.plan.folder_bytes > found.found.size_bytes:
        what += f", planned for as {show_size(found.plan.folder_bytes)} (back_up),"
    offered = show_size(found.config.offer.space_bytes)
    if not found.config.backup.folders:
        yield "no folder is named yet, so nothing has to be paid for: name some in [backup] folders"
    yield f"{what} become {_shares(code, found.peers)}"
    yield f"for that you lend {show_size(found.lend_bytes)} at par; you offer {offered}"
    yield from bargain_lines(found.config, found.plan)
    yield from _cost(found)
    yield from _by_hours(found)
    if not found.enough:
        yield f"that is too little: offer {show_size(found.beside.folders - found.config.offer.space_bytes)} more"
    yield from found.beside.told()
    if beyond := beyond_offer(found.config):
        yield beyond
    rate = found.config.network.upload_rate
    at = "20 Mbit/s" if rate is None else f"20 Mbit/s, and no more than {found.config.network.upload}"
    yield f"the first upload takes about {show_duration(found.plan.upload_seconds_at(rate))} at {at}"
    yield (
        f"with each peer there {SHARE_AVAILABILITY:.0%} of the time, the chance that it cannot be had at a given moment"
        f" is {1 - code.recovery:.2g}" + ("" if code.recovery >= RECOVERY_MARK else ": thin, more peers make it safer")
    )


def _shares(code: Geometry, peers: int) -> str:
    """Tell how many shares go to how many peers, and how many of them are enough."""
    if code.n == 1:
        return (
            f"1 share at 1 of {peers} peers, which alone brings it back"
            if peers > 1
            else ("1 share at the only peer, which alone brings it back")
        )
    return f"{code.n} shares at {code.n} of {peers} peers; any {code.k} {'brings' if code.k == 1 else 'bring'} it back"


def _cost(found: Estimate) -> Iterator[str]:
    """Tell what it all costs in the person's own currency, and what is given for the orders beside the folders."""
    config, pet = found.config, pet_of(found.config)
    lent = own_worth(found.plan.lent, found.plan.kind, pet)
    orders = standings_of(config)
    asked = sum((own_worth(order.give, order.gives, pet) for order in orders), Fraction(0))
    more = f", and the orders beside them at most {pet.show(asked)}" if orders else ""
    kept = own_worth(found.beside.reserve // MIB, found.plan.kind, pet)
    more += f", and the reserve at most {pet.show(kept)}" if kept else ""
    yield f"at par the folders cost {pet.show(lent)} each {found.plan.kind[:-1]} days{more}"
    budget = config.market.budget_amount
    if budget is not None and spent(budget, (), pet, [found.plan.kind]).is_nothing:
        yield (
            f"a budget of {pet.show(budget)} gives nothing of your space away: what others' notes do not pay for waits"
            ' for ever; "off" sets no bound'
        )
    elif budget is not None and lent + asked + kept > budget:
        yield f"a budget of {pet.show(budget)} a month does not pay for that at once: part of it waits"
    if config.market.bargain is not None and config.market.bargain[0] < found.found.size_bytes:
        yield f"the bargain is for {show_size(config.market.bargain[0])}, and the folders are larger"


def _by_hours(found: Estimate) -> Iterator[str]:
    """Tell what is lent where orders are priced: it goes by how much of the time the machine is on."""
    if found.config.market.mode != "discount":
        return
    pet = pet_of(found.config)
    yield "your space is priced by how much of the time your machine is on, so that you lend at most, about:"
    for hours, name in HOURS_TOLD.items():
        lent = lent_at(found.config, found.plan, hours)
        cost = own_worth(lent // MIB, found.plan.kind, pet)
        short = "" if lent <= found.config.offer.space_bytes else ", more than you offer"
        yield f"  on {name:<14} {show_size(lent)} ({pet.show(cost)} each {found.plan.kind[:-1]} days){short}"


def _more(found: Estimate) -> Iterator[str]:
    """Tell what changes with more peers, or with more durability."""
    yield "what would change:"
    config = found.config
    for peers in [count for count in _PEERS_TRIED if count > found.peers][:2]:
        other = expected_plan(found.plan.folder_bytes, found.plan.kind, peers, high=config.backup.durability == "high")
        yield f"  with {peers} peers: lend {show_size(other.lent * MIB)}, chance {1 - other.geometry.recovery:.2g}"
    if config.backup.durability != "high":
        other = expected_plan(found.plan.folder_bytes, found.plan.kind, found.peers, high=True)
        yield f"  durability high: lend {show_size(other.lent * MIB)}, chance {1 - other.geometry.recovery:.2g}"
    left = config.offer.space_bytes - found.beside.folders
    if left > 0 and found.found.size_bytes and config.market.bargain is None:
        more = max(0, folders_for(config, found.peers) - found.plan.folder_bytes)
        yield f"  the {show_size(left)} left of your offer pay for {show_size(more)} more of folders"
