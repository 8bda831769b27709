"""The small charts of a month's report: what is held where, who can be relied on, what notes are worth, give and take.

Figures only; how they are drawn, as blocks in a terminal or as SVG, is ``charts``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, MIB, Instant, show_size
from nanobarter.translator.entries import LEASES_GIVEN
from nanobarter.translator.ledger import Entry
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import Figure

GIGABYTE: Final = 10**9
BARS_MAX: Final = 12  # of one chart: more are a list, not a picture
HELD: Final = ("assets:notes", "assets:locked", "assets:leases")
Moves = Iterable[tuple[str, Quality, int]]


@dataclass(frozen=True)
class Bar:
    """One bar: how long, and what stands beside it."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Line:
    """One line over the days of the month."""

    label: str
    values: tuple[float, ...]
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart. ``full`` is the value at which a bar is full; 0: that of the longest."""

    name: Literal["holdings", "reliability", "rates", "balance"]
    title: str
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    full: float = 0.0


def holdings(standing: Moves) -> Chart:
    """Return how much others owe us, by issuer: notes and leases."""
    sums = dict[NodeId, int]()
    for account, quality, amount in standing:
        if account.startswith(HELD):
            sums[quality.issuer] = sums.get(quality.issuer, 0) + amount
    ranked = sorted(((size, node) for node, size in sums.items() if size > 0), reverse=True)[:BARS_MAX]
    bars = tuple(Bar(short_node(node), size, show_size(size * MIB)) for size, node in ranked)
    return Chart("holdings", "space that others keep for you or owe you", bars)


def reliability(known: Mapping[NodeId, float], vetted: Callable[[NodeId], bool]) -> Chart:
    """Return how far peers can be relied on, the best first."""
    ranked = sorted(known.items(), key=lambda pair: (-pair[1], pair[0]))[:BARS_MAX]
    bars = tuple(Bar(short_node(node), r, f"{r:.0%}" + ("" if vetted(node) else ", still new")) for node, r in ranked)
    return Chart("reliability", "how surely peers give back what they keep (a cautious guess)", bars, full=1.0)


def worths(qualities: Iterable[Quality], figure: Callable[[Quality], Figure | None], pet: Pet) -> Chart:
    """Return what a gigabyte of each quality is worth."""
    found = list[tuple[Fraction, Quality]]()
    for quality in set(qualities):
        known = figure(quality)
        if known is not None:
            found.append((pet.amount(1, known) * GIGABYTE / MIB, quality))
    found.sort(key=lambda pair: (-pair[0], pair[1].kind, pair[1].issuer))
    bars = tuple(
        Bar(f"{q.kind} {short_node(q.issuer)}", float(worth), pet.show(worth)) for worth, q in found[:BARS_MAX]
    )
    return Chart("rates", "what 1 GB is worth, for so long on whose disk", bars)


def give_and_take(entries: Sequence[Entry], standing: Moves, since: Instant, until: Instant, now: Instant) -> Chart:
    """Return what we kept for others and others for us, at the end of each day until now."""
    end = min(until, max(now, since + 1))
    days = max(1, -(-(end - since) // DAY))
    given, taken = [0] * days, [0] * days
    left_given = left_taken = 0
    for account, _, amount in standing:
        left_given += -amount if account == LEASES_GIVEN else 0
        left_taken += amount if account.startswith("assets:leases") else 0
    for entry in entries:  # the standing of now, less what came after a day, is that of its end
        day = (entry.at - since) // DAY
        for posting in entry.postings:
            if not 0 <= day < days:
                continue
            given[day] += -posting.amount if posting.account == LEASES_GIVEN else 0
            taken[day] += posting.amount if posting.account.startswith("assets:leases") else 0
    return Chart(
        "balance",
        "kept day by day, for others and for you",
        lines=(_line("for others", given, left_given), _line("for you", taken, left_taken)),
    )


def _line(label: str, moved: Sequence[int], now: int) -> Line:
    values, left = list[float](), now
    for amount in reversed(moved):
        values.append(left * MIB / GIGABYTE)
        left -= amount
    return Line(label, tuple(reversed(values)), show_size(now * MIB))
