"""What ``nbctl doctor`` tells: findings in the order in which to mend them."""

from typing import Literal

from nanobarter.daemon.diagnosis import Finding, is_well
from nanobarter.daemon.shape import Part, Shape


class CheckRow(Part, frozen=True, kw_only=True):
    """One thing that was looked at: ``state`` fail means that the node does not do its work so."""

    name: str
    state: Literal["ok", "warn", "fail"]
    told: str
    hint: str = ""


class Doctor(Shape, frozen=True, kw_only=True, tag="doctor"):
    """What works, what does not, and what to do; ``ok`` unless something fails or no daemon answers."""

    ok: bool
    daemon: bool = True
    checks: tuple[CheckRow, ...] = ()


def doctor_of(findings: list[Finding], *, daemon: bool) -> Doctor:
    """Return the answer that tells these findings."""
    rows = tuple(CheckRow(name=f.name, state=f.state, told=f.told, hint=f.hint) for f in findings)
    return Doctor(ok=daemon and is_well(findings), daemon=daemon, checks=rows)
