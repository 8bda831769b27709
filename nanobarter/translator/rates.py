"""What a quality is worth, and how we know: executed agreements first, quotes second, reliability last.

The yardstick is one MiB for 30 days on a peer that is reliable at 95 %. Known rates are edges of a graph between
qualities and that yardstick; a figure is the product along the path that deserves most trust, and carries the story of
that path. An old rate loses trust and weight with its age. Values are for telling: they never enter a wire format.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final, Literal

from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, LeaseKind, span_between

LOSS_FLOOR: Final = 0.026  # t: what even a perfect peer adds to the risk of a share, from the simulations of markets
REFERENCE_RELIABILITY: Final = 0.95  # r0
REFERENCE_DAYS: Final = 30
_FADE_DAYS: Final = 30  # a rate this old has half the weight of a fresh one
_COST: Final = {"agreement": 1.0, "quote": 10.0, "own": 50.0, "reliability": 100.0}

Source = Literal["agreement", "quote"]
Reliability = Callable[[NodeId], float | None]


@dataclass(frozen=True)
class Deal:
    """So much of one quality went, or is offered, for so much of another."""

    gave: Quality
    gave_quantity: int
    got: Quality
    got_quantity: int
    at: Instant
    source: Source = "agreement"
    many: int = 1
    """How many quotes it is the middle of."""


@dataclass(frozen=True)
class Figure:
    """What one MiB of a quality is worth in MiB of the yardstick, and where that came from.

    ``since`` is when the oldest of the exchanges that it rests on happened, None where it rests on none.
    """

    value: Fraction
    source: str
    since: Instant | None = None


@dataclass(frozen=True)
class _Edge:
    target: Quality | None  # None is the yardstick
    rate: Fraction  # MiB of the target for one of the origin
    cost: float
    story: str
    at: Instant | None = None


@lru_cache(1024)  # whoever prices a book asks for those of the same few hundred issuers again and again
def value_by_reliability(
    reliability: float, *, reference: float = REFERENCE_RELIABILITY, floor: float = LOSS_FLOOR
) -> float:
    """Return v(r): what a note of this reliability is worth, as a fraction of one at the reference.

    v(r) = ln(1 / (1 - r(1-t))) / ln(1 / (1 - r0(1-t))): the information in one share's survival, so that as many
    units of two qualities make equally safe redundancy as their values are worth. 0 <= r <= 1.
    """
    if not 0 <= reliability <= 1:
        raise ValueError(f"a reliability of {reliability}")
    return math.log(1 - reliability * (1 - floor)) / math.log(1 - reference * (1 - floor))


def days_of(kind: LeaseKind) -> int:
    """Return the days of a lease kind."""
    return int(kind[:-1])


Verdicts = Callable[[NodeId], Literal["worthless", "bad"] | None]


class Rates:
    """Figures from what is known at one moment. ``own`` is the node whose notes are the yardstick by assumption.

    ``verdict`` tells of an issuer whether its notes are worthless, since it is convicted of fraud, or bad: worth what
    its reliability says, whatever was given for them before that was known.
    """

    def __init__(
        self,
        *,
        own: NodeId,
        deals: Iterable[Deal],
        reliability: Reliability,
        now: Instant,
        verdict: Verdicts = lambda _node: None,
    ) -> None:
        self._verdict = verdict
        self._own, self._reliability, self._now = own, reliability, now
        self._edges: dict[Quality, list[_Edge]] = {}
        grouped = dict[tuple[Quality, Quality, Source], list[Deal]]()
        for deal in deals:
            grouped.setdefault((deal.gave, deal.got, deal.source), []).append(deal)
        for (gave, got, _), same in grouped.items():
            if gave != got:
                self._join(gave, got, same)

    def _join(self, gave: Quality, got: Quality, deals: Sequence[Deal]) -> None:
        weights = [self._weight(deal) for deal in deals]
        given = sum((w * d.gave_quantity for w, d in zip(weights, deals, strict=True)), Fraction(0))
        gotten = sum((w * d.got_quantity for w, d in zip(weights, deals, strict=True)), Fraction(0))
        newest = max(weights)
        cost = _COST[deals[0].source] / float(newest)
        what = "agreements" if deals[0].source == "agreement" else "quotes"
        many, at = sum(deal.many for deal in deals), max(deal.at for deal in deals)
        story = f"{many} {what if many > 1 else what[:-1]} with {self._name(got.issuer)}"
        back = f"{many} {what if many > 1 else what[:-1]} with {self._name(gave.issuer)}"
        self._edges.setdefault(gave, []).append(_Edge(got, gotten / given, cost, story, at))
        self._edges.setdefault(got, []).append(_Edge(gave, given / gotten, cost, back, at))

    def _name(self, node: NodeId) -> str:
        return "you" if node == self._own else short_node(node)

    def _weight(self, deal: Deal) -> Fraction:
        return 1 / (1 + Fraction(span_between(deal.at, self._now), _FADE_DAYS * DAY))

    def _anchors(self, quality: Quality) -> list[_Edge]:
        length = Fraction(days_of(quality.kind), REFERENCE_DAYS)
        edges = list[_Edge]()
        if quality.issuer == self._own:
            edges.append(_Edge(None, length, _COST["own"], "own space at par"))
        reliability = self._reliability(quality.issuer)
        if reliability is not None:
            worth = Fraction(value_by_reliability(reliability)).limit_denominator(10**6)
            edges.append(_Edge(None, length * worth, _COST["reliability"], f"reliability {reliability:.2f}"))
        return edges

    def figure(self, quality: Quality) -> Figure | None:
        """Return what one MiB is worth, or None when no path of rates leads to the yardstick."""
        if self._verdict(quality.issuer) == "worthless":
            return Figure(Fraction(0), "its issuer is convicted of fraud")
        queue: list[tuple[float, int, Quality | None, Fraction, tuple[_Edge, ...]]] = [
            (0.0, 0, quality, Fraction(1), ())
        ]
        seen, count = set[Quality](), 0
        while queue:
            cost, _, place, rate, path = heappop(queue)
            if place is None:
                since = min((edge.at for edge in path if edge.at is not None), default=None)
                return Figure(rate, ", ".join(edge.story for edge in path), since)
            if place in seen:
                continue
            seen.add(place)
            traded = (
                () if self._verdict(place.issuer) == "bad" else self._edges.get(place, ())
            )  # of before that was known
            for edge in (*traded, *self._anchors(place)):
                count += 1
                heappush(queue, (cost + edge.cost, count, edge.target, rate * edge.rate, (*path, edge)))
        return None
