"""A plan as a person reads it, with how the node was used until now as far as the plan goes by it."""

from collections.abc import Iterator
from typing import Final

from nanobarter.cli.estimate import show_duration
from nanobarter.core.units import DAY, show_size
from nanobarter.daemon.facade_backup import Plan

_DAY_HOURS: Final = 23.5  # so many and more are always
_YEAR_DAYS: Final = 365


def plan_lines(plan: Plan) -> Iterator[str]:
    """Tell what the folders need, how the node was used until now, and what stands against the plan."""
    yield f"{show_size(plan.folder_bytes)} in {plan.files} files need {show_size(plan.lend_bytes)} lent"
    if plan.bargain:
        yield plan.bargain
    if plan.old_bytes or plan.change_bytes_day:
        kept, change, all_ = map(show_size, (plan.old_bytes, plan.change_bytes_day, plan.planned_bytes))
        yield f"older versions hold {kept} more, and {change} change in a day: planned for {all_}"
    yield f"{show_size(plan.offered_bytes)} offered; {plan.peers} peers: any {plan.k} of {plan.n} shares suffice"
    yield from used_lines(plan)
    yield from plan.problems


def used_lines(plan: Plan) -> Iterator[str]:
    """Tell of growth, hours on and restores, what is known of them."""
    if plan.growth_bytes_day:
        days = plan.too_small_in_days
        until = "for more than a year" if days is None or days > _YEAR_DAYS else f"for about {days:.0f} days more"
        offer = f": the offer pays for that {until}" if days else ""
        yield f"the folders grow by {show_size(plan.growth_bytes_day)} in a day{offer}"
    if plan.folder_bytes:
        yield _upload(plan)
    if plan.restores:
        yield _restores(plan)


def _upload(plan: Plan) -> str:
    told = f"all of it uploads in about {show_duration(plan.upload_seconds)} at 20 Mbit/s, or as [network] allows"
    if plan.hours_on is None or plan.hours_on >= _DAY_HOURS or plan.upload_elapsed_seconds is None:
        return told
    elapsed = show_duration(plan.upload_elapsed_seconds)
    return f"{told}; this machine is on for {plan.hours_on:g} hours a day, so it takes {elapsed}"


def _restores(plan: Plan) -> str:
    many = "1 restore" if plan.restores == 1 else f"{plan.restores} restores"
    if not plan.restored_back_ms:
        return f"{many} so far, of the newest version each time"
    holds = "all versions are kept" if plan.keeps_back_ms is None else f"{_days(plan.keeps_back_ms)} back are kept"
    return f"{many} so far, the furthest of a version {_days(plan.restored_back_ms)} old; {holds}"


def _days(span: int) -> str:
    days = -(-span // DAY)
    return f"{days} day{'' if days == 1 else 's'}"
