"""What everybody saw of everybody, for all pairs at once: row i of each array is what node i knows of the others.

The arithmetic is that of ``translator.reliability``, done on arrays because a network of five hundred has a quarter of
a million pairs; a test holds both against each other. Times are days since the start.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY
from nanobarter.translator import reliability as rules

PINGS: Final = 24  # in a window
WINDOWS: Final = DAY // rules.WINDOW
ROUNDS: Final = rules.WINDOW // LIMITS.audit_period  # of audits in a window, each of one share at least
WITHHELD: Final = LIMITS.audit_withheld_twelfths  # windows: a twelfth of the grace is one
_WINDOW: Final = rules.WINDOW / DAY
_GONE: Final = rules.GONE_AFTER / DAY

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Sights:
    """The observations of all nodes. A node watches itself too: it knows when it was on, and believes in its disk."""

    def __init__(self, count: int) -> None:
        shape = (count, count)
        fresh = rules.Observed(rules.Instant(0), rules.Instant(0), rules.Window(rules.Instant(0)))
        self.known: Flags = np.zeros(shape, np.bool_)
        self.gone: Flags = np.zeros(shape, np.bool_)
        self.first, self.heard = np.zeros(shape), np.zeros(shape)
        self.reach_good, self.reach_bad = np.full(shape, fresh.reach.good), np.full(shape, fresh.reach.bad)
        self.lately_good, self.lately_bad = np.full(shape, fresh.lately.good), np.full(shape, fresh.lately.bad)
        self.data_good, self.data_bad = np.full(shape, fresh.data.good), np.full(shape, fresh.data.bad)
        self.windows, self.audits, self.faults = (np.zeros(shape, np.int32) for _ in range(3))
        self.silent, self.withheld, self.clean = (np.zeros(shape, np.int32) for _ in range(3))
        self.bounds: Floats = np.tile(np.array(rules.Survival().bounds), (count, 1))

    def day(
        self,
        watched: Flags,
        leased: Flags,
        looks: Flags,
        nature: tuple[Floats, Floats, Flags],
        day: int,
        dice: np.random.Generator,
    ) -> None:
        """Let everybody watch whom it watches for a day, and audit what it leases there (row: who; column: whom).

        ``nature`` tells of each node how much of the time it answers, of each pair which part one finds there, and of
        each node whether it is mute about the rest. A node is on or off for all who ask. Who does not look believes
        whoever answers. What was withheld once is asked for in every round, as the auditor does, until it counts as
        lost; then the next share is found missing.
        """
        up, keeps, mutes = nature
        rows, cols = np.nonzero(watched)
        fresh = ~self.known[rows, cols]
        self.known[rows, cols] = True
        self.first[rows[fresh], cols[fresh]] = day
        self.heard[rows[fresh], cols[fresh]] = day
        heard, any_answer = self.heard[rows, cols], np.zeros(len(rows), np.bool_)
        good, bad = self.reach_good[rows, cols], self.reach_bad[rows, cols]
        there, away = self.lately_good[rows, cols], self.lately_bad[rows, cols]
        kept, lost = self.data_good[rows, cols], self.data_bad[rows, cols]
        audits, faults, gone = self.audits[rows, cols], self.faults[rows, cols], self.gone[rows, cols]
        audited, looking, keep = leased[rows, cols], looks[rows], np.where(rows == cols, 1.0, keeps[rows, cols])
        clean = self.clean[rows, cols]
        withheld, mute = self.withheld[rows, cols] * (audited & (keep < 1)), mutes[cols] & looking
        any_missing, any_shown = 1 - keep**ROUNDS, 1 - (1 - keep) ** ROUNDS
        f, g = rules.FORGETTING, rules.LATELY_FORGETTING
        for number in range(WINDOWS):
            answers = dice.binomial(PINGS, up)[cols]
            answered = answers > 0
            share = answers / PINGS
            good, bad = f * good + share, f * bad + (1 - share)
            there, away = g * there + share, g * away + (1 - share)
            asked = audited & answered
            drawn = dice.random(len(rows))
            missing = asked & looking & ((drawn < any_missing) | (withheld > 0))
            shown = asked & (~mute | (drawn < any_shown))
            withheld += missing & mute & shown
            wrong = missing & (~mute | (withheld >= WITHHELD))
            withheld[wrong] = 0
            proven = shown & ~wrong
            ignored = missing & ~shown & (share >= rules.MUTE_ANSWERS)
            kept = np.where(shown | ignored, f * kept + proven, kept)
            lost = np.where(shown | ignored, f * lost + rules.FAULT_WEIGHT * wrong + rules.MUTE_WEIGHT * ignored, lost)
            audits += shown
            clean = np.where(wrong, 0, clean + (proven & ~missing))
            faults += wrong
            start = day + number * _WINDOW
            heard = np.where(answered, start, heard)
            gone = start + _WINDOW - heard > _GONE
            any_answer |= answered
        self.heard[rows, cols], self.gone[rows, cols] = heard, gone
        self.reach_good[rows, cols], self.reach_bad[rows, cols] = good, bad
        self.lately_good[rows, cols], self.lately_bad[rows, cols] = there, away
        self.data_good[rows, cols], self.data_bad[rows, cols] = kept, lost
        self.audits[rows, cols], self.faults[rows, cols] = audits, faults
        self.withheld[rows, cols], self.clean[rows, cols] = withheld, clean
        self.windows[rows, cols] += WINDOWS
        self.silent[rows, cols] = np.where(any_answer, 0, self.silent[rows, cols] + 1)

    def fit(self) -> None:
        """Refit survival on each node's own history."""
        end, begin = np.where(self.known, self.heard - self.first, 0.0), 0.0
        for place, (limit, hazard) in enumerate(zip((*rules.AGES_DAYS, np.inf), rules.HAZARDS, strict=True)):
            lived = rules.PRIOR_DAYS + np.clip(np.minimum(end, limit) - begin, 0, None).sum(axis=1)
            died = (self.known & self.gone & (begin <= end) & (end < limit)).sum(axis=1)
            found = (hazard * rules.PRIOR_DAYS + died) / lived
            self.bounds[:, place] = found + np.sqrt(found / lived)
            begin = float(limit)

    def scores(self, day: int, term_days: float | Floats) -> Floats:
        """Return r of all pairs over a lease that begins now; 0 for who is gone, NaN for who was never seen."""
        age, total, begin = day - self.first, np.zeros(self.first.shape), 0.0
        for place, limit in enumerate((*rules.AGES_DAYS, np.inf)):
            overlap = np.minimum(age + term_days, limit) - np.maximum(age, begin)
            total += self.bounds[:, place : place + 1] * np.clip(overlap, 0, None)
            begin = float(limit)
        reach = np.minimum(_bound(self.reach_good, self.reach_bad, -1), _bound(self.lately_good, self.lately_bad, 1))
        r = reach * _bound(self.data_good, self.data_bad, -1) * np.exp(-total)
        return np.where(self.known, np.where(self.gone, 0.0, r), np.nan)

    def vetted(self) -> Flags:
        """Return of which pairs the other was watched for long enough, without a proof against it."""
        return (
            self.known
            & (self.faults == 0)
            & (self.heard - self.first >= rules.VETTED_AGE / DAY)
            & (self.windows >= rules.VETTED_WINDOWS)
            & (self.audits >= rules.VETTED_AUDITS)
        )

    def judged(self) -> Flags:
        """Return of which pairs enough was seen to call the other bad."""
        return self.known & ((self.windows >= rules.JUDGED_WINDOWS) | (self.faults > 0))


def _bound(good: Any, bad: Any, deviations: int) -> Floats:
    total = good + bad
    mean = good / total
    return np.clip(mean + deviations * np.sqrt(mean * (1 - mean) / (total + 1)), 0.0, 1.0)
