"""What a quality is worth, and how we know: executed agreements first, quotes second, reliability last.

The yardstick is one MiB for 30 days on a peer that is reliable at 95 %. Known rates are edges of a graph between
qualities and that yardstick; a figure is the product along the path that deserves most trust, and carries the story of
that path. An old rate loses trust and weight with its age. Values are for telling: they never enter a wire format.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from heapq import heappop, heappush
from typing import Final, Literal

from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, LeaseKind, span_between

LOSS_FLOOR: Final = 0.026  # t: what even a perfect peer adds to the risk of a share, from the simulations of markets
REFERENCE_RELIABILITY: Final = 0.95  # r0
REFERENCE_DAYS: Final = 30
_FADE_DAYS: Final = 30  # a rate this old has half the weight of a fresh one
_GRAIN: Final = 10**9  # of weights: whole numbers, since the exact sum of a thousand fractions is no small number
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


class _Trade:
    """All deals of one sort, one way, between two qualities: one rate, which reads the same from both ends."""

    def __init__(self, deals: Sequence[Deal], now: Instant) -> None:
        self._deals, self._now = deals, now
        self.ends, self.source = (deals[0].gave, deals[0].got), deals[0].source
        self.at = max(deal.at for deal in deals)
        self.cost = _COST[deals[0].source] * (1 + span_between(self.at, now) / (_FADE_DAYS * DAY))

    def beyond(self, quality: Quality) -> Quality:
        """Return the other end."""
        return self.ends[quality == self.ends[0]]

    def rate(self, origin: Quality) -> Fraction:
        """Return how many of the other end went for one of this."""
        given = sum(self._weight(deal) * deal.gave_quantity for deal in self._deals)
        gotten = sum(self._weight(deal) * deal.got_quantity for deal in self._deals)
        return Fraction(gotten, given) if origin == self.ends[0] else Fraction(given, gotten)

    def _weight(self, deal: Deal) -> int:
        fade = _FADE_DAYS * DAY
        return max(1, _GRAIN * fade // (fade + span_between(deal.at, self._now)))

    def story(self, name: str) -> str:
        """Return what these deals with whom of that name are in words."""
        many = sum(deal.many for deal in self._deals)
        return f"{many} {self._deals[0].source}{'s' if many > 1 else ''} with {name}"


@dataclass(frozen=True)
class _Anchor:
    """What one MiB is worth by itself, without any deal."""

    rate: Fraction
    cost: float
    story: str


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
        self._own, self._reliability, self._verdict = own, reliability, cache(verdict)
        self._figures = dict[Quality, Figure | None]()
        self._trades = defaultdict[Quality, list[_Trade]](list)
        grouped = defaultdict[tuple[Quality, Quality, Source], list[Deal]](list)
        for deal in deals:
            grouped[deal.gave, deal.got, deal.source].append(deal)
        for (gave, got, _), same in grouped.items():
            if gave != got:
                trade = _Trade(same, now)
                self._trades[gave].append(trade)
                self._trades[got].append(trade)

    @property
    def traded(self) -> set[Quality]:
        """What deals and quotes are about."""
        return set(self._trades)

    @property
    def agreed(self) -> set[Quality]:
        """What deals are about: no stranger adds to it."""
        return {quality for quality, trades in self._trades.items() if any(t.source == "agreement" for t in trades)}

    def figure(self, quality: Quality) -> Figure | None:
        """Return what one MiB is worth, or None when no path of rates leads to the yardstick."""
        if quality not in self._figures:
            self._figures[quality] = self._figure(quality)
        return self._figures[quality]

    def _figure(self, quality: Quality) -> Figure | None:
        if self._verdict(quality.issuer) == "worthless":
            return Figure(Fraction(0), "its issuer is convicted of fraud")
        rate, stories, since = Fraction(1), list[str](), list[Instant]()
        while isinstance(step := self._steps.get(quality) or self._anchor(quality), _Trade):
            rate *= step.rate(quality)
            quality = step.beyond(quality)
            stories.append(step.story("you" if quality.issuer == self._own else short_node(quality.issuer)))
            since.append(step.at)
        if step is None:
            return None
        return Figure(rate * step.rate, ", ".join([*stories, step.story]), min(since, default=None))

    @cached_property
    def _steps(self) -> Mapping[Quality, _Trade | _Anchor]:
        """The first step of the best path from each quality that was traded: one search, back from the yardstick.

        A book of others' bids is large, and whoever likes can make it larger: a search for each figure would take
        minutes. No path leads over the notes of who proved bad or is convicted.
        """
        found, count = dict[Quality, _Trade | _Anchor](), 0
        queue = list[tuple[float, int, Quality, _Trade | _Anchor]]()
        for quality in self._trades:
            if (anchor := self._anchor(quality)) is not None:
                count += 1
                heappush(queue, (anchor.cost, count, quality, anchor))
        while queue:
            cost, _, quality, step = heappop(queue)
            if quality in found:
                continue
            found[quality] = step
            for trade in self._trades[quality]:
                origin = trade.beyond(quality)
                if origin not in found and self._verdict(origin.issuer) is None:
                    count += 1
                    heappush(queue, (cost + trade.cost, count, origin, trade))
        return found

    def _anchor(self, quality: Quality) -> _Anchor | None:
        length, reliability = Fraction(days_of(quality.kind), REFERENCE_DAYS), self._reliability(quality.issuer)
        if quality.issuer == self._own:
            return _Anchor(length, _COST["own"], "own space at par")
        if reliability is None or self._verdict(quality.issuer) == "worthless":
            return None
        worth = Fraction(value_by_reliability(reliability)).limit_denominator(10**6)
        return _Anchor(length * worth, _COST["reliability"], f"reliability {reliability:.2f}")
