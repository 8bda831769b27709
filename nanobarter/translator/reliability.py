"""How far a peer can be relied on, from what this node saw of it by itself: reach, data and survival.

Others' reports can be bought, so none is taken. Each of the three is a lower bound, and r is their product:

- reach: does it answer? Pings are gathered into windows of six hours; each window counts as one trial of a Beta
  distribution that begins at (2, 1) and forgets one part in a hundred per window, so that half of what is known is
  from the last 17 days. A window in which nobody answered us tells about our own line and is not counted. Beside it
  a short memory, of five days, counts only where it is clearly worse: no more is believed than its mean and one
  standard deviation more. So who fails is found out within days, and a weekend off is forgotten within another.
- data: does it have what it took? Audits of shares, gathered and forgotten in the same way, from a beginning at (9, 1):
  most disks keep what they took, and a stranger's notes must have a price before its first audit. One wrong answer
  weighs as many as ``FAULT_WEIGHT`` windows: who lost one share silently has seldom lost only that one. A window in
  which a peer answers its pings and not one audit counts against it too, as ``MUTE_WEIGHT`` windows: who has lost
  what he keeps would rather say nothing. Who is seldom on may miss his audits by chance, and reach counts that.
- survival: will it still be there when the lease ends? Deaths per day among the peers that we knew, by their age,
  with a prior for the first weeks; leaving is likelier for the young (Maymounkov and Mazieres, "Kademlia", 2002, and
  the studies of file-sharing networks that it cites).

Everything here is pure: states go in with ``now``, states come out.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from nanobarter.core.units import DAY, SECOND, Instant, Span, after, span_between

WINDOW: Final = Span(DAY // 4)
PING_PERIOD: Final = Span(max(DAY // 96, SECOND))  # a quarter of an hour; where tests shorten the day, no hail of pings
MARKS: Final = WINDOW // PING_PERIOD  # rounds of pings in a window, as often as a node notes that it is on itself
MARK_PERIODS_MAX: Final = 3  # less than an hour: who is off for longer is off
MISSED_MAX: Final = 400  # windows that a node was off, counted when it is back: older ones weigh nothing any more
FORGETTING: Final = 0.99  # per window
LATELY_FORGETTING: Final = 0.95  # per window; a machine that is off for a weekend is not yet called bad
FAULT_WEIGHT: Final = 20.0  # windows: a fifth of all that is remembered
MUTE_WEIGHT: Final = 4.0  # halves what is believed of a disk in some two weeks of one unanswered audit a day or two
MUTE_ANSWERS: Final = 0.75  # of the pings of a window: who answers fewer may have been off when the audit came
GONE_AFTER: Final = Span(14 * DAY)  # silent for so long while we were on line: it will not come back
JUDGED_WINDOWS: Final = 12  # three days of pings tell who is hardly ever on
VETTED_AGE: Final = Span(14 * DAY)
VETTED_WINDOWS: Final = 50
VETTED_AUDITS: Final = 30
AGES_DAYS: Final = (7, 30, 90)  # where the classes of age end; the last has no end
HAZARDS: Final = (0.005, 0.002, 0.0005, 0.0002)  # deaths per day by class, before anything was seen
PRIOR_DAYS: Final = 500.0  # peer days that the prior counts for: twenty peers seen for a month outweigh it


@dataclass(frozen=True, slots=True)
class Beta:
    """What is believed of a probability: so many successes and failures, old ones counting less."""

    good: float = 2.0
    bad: float = 1.0

    @property
    def mean(self) -> float:
        """The expected probability."""
        return self.good / (self.good + self.bad)

    @property
    def lower(self) -> float:
        """The mean less one standard deviation, not below zero."""
        return max(0.0, self.mean - self.deviation)

    @property
    def upper(self) -> float:
        """The mean and one standard deviation more, at most one."""
        return min(1.0, self.mean + self.deviation)

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        mean = self.mean
        return math.sqrt(mean * (1 - mean) / (self.good + self.bad + 1))

    def seen(self, share: float, weight: float = 1.0, forgetting: float = FORGETTING) -> "Beta":
        """Return the belief after one more trial, of which ``share`` succeeded; 0 <= share <= 1."""
        return Beta(forgetting * self.good + share, forgetting * self.bad + weight * (1 - share))


UNAUDITED: Final = Beta(9.0, 1.0)
"""What is believed of anybody's disk before it was audited."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen of one peer in one window: pings sent and answered, audits passed, failed and not answered."""

    start: Instant
    asked: int = 0
    answered: int = 0
    proven: int = 0
    wrong: int = 0
    mute: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """All that this node remembers of one peer. ``heard`` is its last answer of any sort."""

    first: Instant
    heard: Instant
    window: Window
    reach: Beta = Beta()
    data: Beta = UNAUDITED
    windows: int = 0
    audits: int = 0
    faults: int = 0
    gone: Instant | None = None
    lately: Beta = Beta()
    """Reach as the last days alone show it."""
    clean: int = 0
    """Windows since the last wrong answer in which audits were proven, and no more of them left unanswered."""

    @property
    def there(self) -> float:
        """The bound on reach: what the long memory says, but no more than the short one allows."""
        return min(self.reach.lower, self.lately.upper)

    @property
    def age(self) -> Span:
        """From its first answer to its last."""
        return span_between(self.first, self.heard)


def first_seen(now: Instant) -> Observed:
    """Return what is known of a peer that has just been met."""
    return Observed(now, now, Window(now))


def pinged(observed: Observed, now: Instant, *, answered: bool) -> Observed:
    """Return what is known after one ping."""
    observed = rolled(observed, now)
    w = observed.window
    window = replace(w, asked=w.asked + 1, answered=w.answered + answered)
    return replace(observed, window=window, heard=now, gone=None) if answered else replace(observed, window=window)


def audited(observed: Observed, now: Instant, *, proven: bool) -> Observed:
    """Return what is known after one audit that was answered, rightly or wrongly."""
    observed = rolled(observed, now)
    w = observed.window
    window = replace(w, proven=w.proven + proven, wrong=w.wrong + (not proven))
    return replace(observed, window=window, heard=now, gone=None)


def unanswered(observed: Observed, now: Instant) -> Observed:
    """Return what is known after one audit to which nothing of use was said."""
    observed = rolled(observed, now)
    return replace(observed, window=replace(observed.window, mute=observed.window.mute + 1))


def marked(own: Observed, now: Instant) -> Observed:
    """Return what a node knows of itself after it noted that it is on and that others answer it.

    Windows in which it noted nothing count as off, as they do for those who ping it. It believes in its own disk. A
    mark stands for all the time since the last one, up to ``MARK_PERIODS_MAX`` periods of pings: a busy machine that
    comes to its pings late was on all the same.
    """
    own = not_ahead(own, now)
    late = round(span_between(own.heard, now) / PING_PERIOD)
    window, missed = own.window, 0
    while span_between(window.start, now) >= WINDOW and missed < MISSED_MAX:
        full = replace(window, asked=MARKS, answered=min(MARKS, window.answered), proven=int(window.answered > 0))
        end = after(window.start, WINDOW)
        own = closed(own, full, end, end if window.answered else None)
        window, missed = own.window, missed + 1
    start = window.start if span_between(window.start, now) < WINDOW else now
    stands_for = min(max(late, 1), MARK_PERIODS_MAX)
    return replace(own, window=Window(start, window.asked, window.answered + stands_for), heard=now, gone=None)


def rolled(observed: Observed, now: Instant) -> Observed:
    """Close the window if it is over, and open the one that ``now`` lies in."""
    observed = not_ahead(observed, now)
    if span_between(observed.window.start, now) < WINDOW:
        return observed
    return closed(observed, observed.window, now)


def not_ahead(observed: Observed, now: Instant) -> Observed:
    """Return what is known with no time in it that is to come.

    A window that began while the clock was a year ahead would run for a year, and nothing more be learnt in it.
    """
    if observed.window.start <= now:
        return observed
    first, heard = min(observed.first, now), min(observed.heard, now)
    return replace(observed, first=first, heard=heard, window=replace(observed.window, start=now))


def closed(observed: Observed, window: Window, now: Instant, heard: Instant | None = None) -> Observed:
    """Return what is known once a window is over, with an empty one in its place; ``heard`` if news is in it."""
    heard = observed.heard if heard is None else heard
    reach, data, lately = observed.reach, observed.data, observed.lately
    if window.asked:
        share = window.answered / window.asked
        reach, lately = reach.seen(share), lately.seen(share, forgetting=LATELY_FORGETTING)
    audits = window.proven + window.wrong
    if audits:
        data = data.seen(0.0 if window.wrong else 1.0, FAULT_WEIGHT)
    elif window.mute and window.answered >= MUTE_ANSWERS * max(1, window.asked):
        data = data.seen(0.0, MUTE_WEIGHT)
    silent = window.asked > 0 and span_between(heard, now) > GONE_AFTER
    return Observed(
        observed.first,
        heard,
        Window(now),
        reach,
        data,
        observed.windows + (window.asked > 0),
        observed.audits + audits,
        observed.faults + window.wrong,
        (observed.gone or heard) if silent else None,
        lately,
        0 if window.wrong else observed.clean + (window.proven > 0 and window.mute <= window.proven),
    )


# -- survival


@dataclass(frozen=True, slots=True)
class Survival:
    """Deaths per day by class of age, each the mean and one standard deviation above it."""

    hazards: tuple[float, ...] = HAZARDS
    bounds: tuple[float, ...] = tuple(h + math.sqrt(h / PRIOR_DAYS) for h in HAZARDS)

    def until(self, age_days: float, term_days: float) -> float:
        """Return the lower bound of the probability that a peer of this age lives for so many days more."""
        total, at, end = 0.0, age_days, age_days + term_days
        for limit, hazard in zip((*AGES_DAYS, math.inf), self.bounds, strict=True):
            if at < limit:
                total += hazard * (min(end, limit) - at)
                at = min(end, limit)
        return math.exp(-total)


def fit(peers: Iterable[Observed]) -> Survival:
    """Return the survival that one's own history teaches: days lived and deaths in each class of age."""
    days, deaths = [0.0] * len(HAZARDS), [0] * len(HAZARDS)
    for peer in peers:
        end = span_between(peer.first, peer.gone if peer.gone is not None else peer.heard) / DAY
        begin = 0.0
        for place, limit in enumerate((*AGES_DAYS, math.inf)):
            days[place] += max(0.0, min(end, limit) - begin)
            if peer.gone is not None and begin <= end < limit:
                deaths[place] += 1
            begin = float(limit)
    found = [
        ((h * PRIOR_DAYS + died) / (PRIOR_DAYS + lived), PRIOR_DAYS + lived)
        for h, lived, died in zip(HAZARDS, days, deaths, strict=True)
    ]
    return Survival(tuple(h for h, _ in found), tuple(h + math.sqrt(h / lived) for h, lived in found))


# -- the score


@dataclass(frozen=True, slots=True)
class Score:
    """The reliability of a peer for one term, and the three bounds that it is the product of."""

    reach: float
    data: float
    survival: float

    @property
    def r(self) -> float:
        """The probability, cautiously, that a share stored there now can be had at any time of the term."""
        return self.reach * self.data * self.survival


def score(observed: Observed, survival: Survival, now: Instant, term_days: float) -> Score:
    """Return the reliability of a peer over a lease of so many days that begins now.

    A peer that was never audited is believed to keep data as far as the prior goes. One that is gone has no future.
    """
    if observed.gone is not None:
        return Score(observed.there, observed.data.lower, 0.0)
    age = span_between(observed.first, now) / DAY
    return Score(observed.there, observed.data.lower, survival.until(age, term_days))


def next_ping(now: Instant, dice: int) -> Instant:
    """Return when to ping next: a period later, give or take a third. ``dice`` is any number that nobody foresees."""
    third = PING_PERIOD // 3
    return after(now, Span(PING_PERIOD - third + dice % (2 * third + 1)))
