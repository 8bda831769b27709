"""Reliability and policies as a person reads them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from nanobarter.cli.table import short, table, when
from nanobarter.core.units import DAY
from nanobarter.daemon import facade_economy as f

_ONE: Final = 1


def _reliability(told: f.Reliability) -> Iterator[str]:
    rows = (
        (
            short(row.node),
            f"{row.r:.3f}",
            f"{row.value:.2f}",
            f"{row.reach:.3f} ({row.windows} windows)",
            f"{row.data:.3f} ({row.audits} audits, {row.faults} wrong)",
            f"{row.survival:.3f} ({max(0, row.last_heard - row.first_seen) // DAY} days)",
            "gone" if row.gone is not None else "vetted" if row.vetted else "caught" if row.faults else "new",
        )
        for row in told.peers
    )
    head = ("peer", "r", "value", "reach", "data", "survival", "")
    yield from table(head, rows, "no peer was watched yet; the first pings go out within a quarter of an hour")
    if len(told.peers) == _ONE:
        yield from _evidence(told.peers[0])


def _evidence(row: f.ReliabilityRow) -> Iterator[str]:
    yield f"node      {row.node}"
    parts = f"{row.reach:.3f} (is there) x {row.data:.3f} (keeps data) x {row.survival:.3f} (lives on)"
    yield f"r         {row.r:.3f} = {parts}, each a cautious guess"
    yield f"seen      first {when(row.first_seen)}, last heard {when(row.last_heard)}"
    yield f"now       {row.answered_now} of {row.asked_now} pings answered in the window that runs"
    if row.windows:  # nothing is remembered before the first is over
        yield f"lately    {row.lately:.0%} of the pings answered, the last days counting most"
    yield f"leases    {row.clean_leases} ended clean"
    if row.missing:
        yield "to vet    " + "; ".join(row.missing)


TELLERS: Final[dict[str, tuple[Any, Callable[[Any], Iterator[str]]]]] = {
    "peers_reliability": (f.Reliability, _reliability),
}
