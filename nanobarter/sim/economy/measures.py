"""What a run showed: prices against hidden truth, bad notes held, the chance of loss, how fast failures were priced."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import mean, median
from typing import Final

import numpy as np

from nanobarter.core.ids import NodeId
from nanobarter.sim.economy.exchange import Trade
from nanobarter.sim.economy.nature import Nature
from nanobarter.sim.economy.person import Person
from nanobarter.translator.rates import value_by_reliability

BAD: Final = 0.5  # an issuer of whom less than half of what is stored could be had
RELIABLE: Final = 0.6  # bounds lie up to a tenth below the truth: who is better than this is called good by others
PRICE_DAYS: Final = 10
PRICED_PART: Final = 0.75  # a failure is priced when the estimate has come so far from what it was to the truth
TRADES_MIN: Final = 6  # as there are in three pairs


def prices(trades: Iterable[Trade]) -> dict[NodeId, float]:
    """Return the logarithm of each issuer's price, up to a constant: the least squares over what was exchanged."""
    rows, sums = dict[NodeId, int](), list[tuple[int, int, float, float]]()
    counts = dict[NodeId, int]()
    for trade in trades:
        for node in (trade.gave, trade.got):
            rows.setdefault(node, len(rows))
            counts[node] = counts.get(node, 0) + 1
        weight = math.sqrt(trade.given)
        sums.append((rows[trade.gave], rows[trade.got], math.log(trade.given / trade.gotten), weight))
    if not rows:
        return {}
    count = len(rows)
    normal, right = np.zeros((count, count)), np.zeros(count)
    for gave, got, log_rate, weight in sums:  # log p(got) - log p(gave) = log(given / gotten)
        normal[gave, gave] += weight
        normal[got, got] += weight
        normal[gave, got] -= weight
        normal[got, gave] -= weight
        right[got] += weight * log_rate
        right[gave] -= weight * log_rate
    solved = np.linalg.lstsq(normal + 1e-9 * np.eye(count), right, rcond=None)[0]
    joined = _largest([(gave, got) for gave, got, _, _ in sums], count)
    return {node: float(solved[row]) for node, row in rows.items() if counts[node] >= TRADES_MIN and row in joined}


def _largest(pairs: Iterable[tuple[int, int]], count: int) -> set[int]:
    """Return the largest set of issuers that exchanges connect: prices of others are on no common scale."""
    group = list(range(count))

    def root(row: int) -> int:
        while group[row] != row:
            group[row] = group[group[row]]
            row = group[row]
        return row

    for one, other in pairs:
        group[root(one)] = root(other)
    roots = [root(row) for row in range(count)]
    best = max(set(roots), key=lambda each: (roots.count(each), -each))
    return {row for row in range(count) if roots[row] == best}


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the correlation of pairs, None when one side does not vary."""
    if len(pairs) < TRADES_MIN:
        return None
    one, other = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    if one.std() < 1e-9 or other.std() < 1e-9:  # noqa: PLR2004 - floats
        return None
    return float(np.corrcoef(one, other)[0, 1])


def value_of(truth: float) -> float:
    """Return the logarithm of the true value of a note."""
    return math.log(max(1e-3, value_by_reliability(min(truth, 1.0))))


def bad_parts(people: Iterable[Person], nature: Mapping[NodeId, Nature], day: int) -> dict[str, float]:
    """Return which part of all that users hold, notes and leases, is of issuers that are really bad.

    ``lots_part`` is the part that is held of issuers under a cap, good or bad: what is tried out.
    """
    bad = lots = total = 0
    bad_ones = {node for node, each in nature.items() if each.truth(day) < BAD}
    for person in people:
        for node in {*person.notes, *person.leases}:
            quantity = person.in_notes(node) + person.in_leases(node)
            total += quantity
            bad += quantity if node in bad_ones else 0
            lots += quantity if node in person.trust.caps.lots else 0
    return {"bad_part": bad / total if total else 0.0, "lots_part": lots / total if total else 0.0}


SAFETY: Final = ("loss", "loss_median", "full", "stored_unreliable")


def safety(people: Sequence[Person], nature: Mapping[NodeId, Nature], day: int) -> dict[str, float]:
    """Return how safe what users store is: the chance of loss, mean and median, and how many have all their shares.

    Of the users who are reliable themselves; one of them who stores nothing counts as a loss. Of the others only how
    many store anything.
    """
    fair, others = list[float](), list[bool]()
    full = 0
    for person in people:
        found = loss(person, nature, day)
        if nature[person.me].truth(day) < RELIABLE:
            others.append(found is not None)
            continue
        fair.append(1.0 if found is None else found)
        full += person.plan is not None and len(person.holders()) >= person.plan.geometry.n
    return {
        "loss": mean(fair) if fair else 1.0,
        "loss_median": median(fair) if fair else 1.0,
        "full": full / len(fair) if fair else 0.0,
        "stored_unreliable": mean(others) if others else 0.0,
    }


def loss(person: Person, nature: Mapping[NodeId, Nature], day: int) -> float | None:
    """Return the probability that fewer than k of a user's shares can be had, each on its own; None: none stored."""
    holders = person.holders()
    if person.plan is None or len(holders) < person.plan.geometry.k:
        return None
    have = [1.0] + [0.0] * person.plan.geometry.k  # chances of so many shares, the last of k or more
    for node in holders:
        r = nature[node].truth(day)
        last = have[-1] + have[-2] * r
        have = [have[0] * (1 - r), *(b * (1 - r) + a * r for a, b in pairwise(have[:-1])), last]
    return sum(have[:-1])


def estimates(people: Iterable[Person], of: NodeId) -> float | None:
    """Return the mean of what those believe of one who watch it, None when nobody does."""
    found = [p.trust.reliability[of] for p in people if of in p.followed and of in p.trust.reliability]
    return sum(found) / len(found) if found else None
