"""What a backup will cost, worked out before anything is promised: the size of the folders, the space to lend."""

from nanobarter.core.units import LeaseKind, show_size
from nanobarter.storage.geometry import of_durability
from nanobarter.translator.plan import Plan, make_plan


def expected_plan(size_bytes: int, kind: LeaseKind, peers: int, *, high: bool = False) -> Plan:
    """Return the plan for so many bytes among so many other nodes, as the daemon will make it."""
    return make_plan(size_bytes, kind, of_durability(peers, high=high))


def show_duration(seconds: int) -> str:
    """Return about how long: ``3 hours``, ``20 minutes``, ``a minute``."""
    if seconds < 90:  # noqa: PLR2004 - nearer to one minute than to two
        return "a minute"
    length, name = next(each for each in ((86400, "day"), (3600, "hour"), (60, "minute")) if seconds >= each[0])
    count = round(seconds / length)
    return f"{count} {name}{'s' if count > 1 else ''}"


def show_cost(plan: Plan, peers: int) -> str:
    """Return the cost in one sentence."""
    lent = show_size(plan.lent * 1024 * 1024)
    shares = "1 share" if plan.geometry.n == 1 else f"{plan.geometry.n} shares"
    code = f"{plan.geometry.k} of {shares} on {peers} peer{'' if peers == 1 else 's'}"
    took = show_duration(plan.upload_seconds)
    return f"{show_size(plan.folder_bytes)} need {lent} lent ({code}), about {took} to upload at 20 Mbit/s"
