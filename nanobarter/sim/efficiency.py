"""What many matchers who only hear of each other clear, as a part of what one clears who sees everything.

Both get the same bids: the central one takes them one after the other and executes whatever ring is best for the new
one (``matching.clearing``); the nodes find, propose and settle theirs by the daemon's rules (``bazaar``). Compared is
what changed hands.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median
from typing import Any, Final, Literal

from nanobarter.core.canonical import encode
from nanobarter.core.item import make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import MINUTE, SECOND, Instant, Span, after
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.network import bid_from_item
from nanobarter.matching.rules import Rules
from nanobarter.sim.bazaar import Bazaar, Counts
from nanobarter.sim.clock import START
from nanobarter.sim.efficiency_bids import Market, Need, keys_of, needs_of
from nanobarter.translator.market_ports import PARTNERS_MAX, PATIENCE, RETRY, Pace

Scenario = Literal["at_once", "spread"]
SPREAD_OVER: Final = Span(5 * MINUTE)
TIME_MAX: Final = Span(20 * MINUTE)  # after the last bid; what is not cleared by then is not counted
MOST: Final = 0.9  # how much of the volume "most of it" is

PACE: Final = Pace(bid_span=Span(60 * MINUTE), patience=PATIENCE, retry=RETRY, partners_max=PARTNERS_MAX)
"""The daemon's own."""


@dataclass(frozen=True)
class Run:
    """One market, cleared both ways. Seconds are virtual ones."""

    nodes: int
    scenario: Scenario
    seed: str
    central: int
    volume: int
    drafts: int
    agreements: int
    refusals: dict[str, int]
    expired: int
    seconds_to_90: float

    @property
    def fraction(self) -> float:
        """The volume of the many over that of the one."""
        return self.volume / self.central if self.central else 1.0


def posted_at(needs: Sequence[Need], scenario: Scenario, seed: str) -> list[Instant]:
    """Return when each bid is posted, in order."""
    if scenario == "at_once":
        return [START] * len(needs)
    chance = Random(f"{seed}/times")  # noqa: S311 - a simulation must be repeatable
    return sorted(after(START, Span(chance.randrange(SPREAD_OVER))) for _ in needs)


def centrally(
    keys: Sequence[SigningKey], needs: Sequence[Need], times: Sequence[Instant], partners_max: int
) -> list[tuple[Instant, int]]:
    """Return when how much is cleared by one who gets all bids at once and in order."""
    clearing = Clearing(Rules(partners_max=partners_max))
    cleared = list[tuple[Instant, int]]()
    far = after(START, Span(10**12))
    for number, (need, at) in enumerate(zip(needs, times, strict=True)):
        item = make_item(keys[need.node], "bid", need.key, sequence=START + number, expires=far, body=encode(need.body))
        bid = bid_from_item(item)
        if bid is not None:
            cleared += [(at, given) for agreement in clearing.submit(bid) for given in agreement.given]
    return cleared


def decentrally(
    keys: list[SigningKey], needs: Sequence[Need], times: Sequence[Instant], seed: str, pace: Pace
) -> Counts:
    """Return what the nodes clear among themselves."""
    bazaar = Bazaar(keys, seed, pace)
    for need, at in zip(needs, times, strict=True):
        bazaar.clock.at(at, partial(bazaar.nodes[need.node].post, need.key, need.body))
    bazaar.clock.run(after(times[-1], TIME_MAX))
    return bazaar.counts


def most_of_it(cleared: Sequence[tuple[Instant, int]]) -> Instant:
    """Return when most of what was cleared was cleared."""
    total, so_far = sum(quantity for _, quantity in cleared), 0
    for at, quantity in sorted(cleared):
        so_far += quantity
        if so_far >= MOST * total:
            return at
    return START


def run_once(nodes: int, scenario: Scenario, seed: str, market: Market, pace: Pace) -> Run:
    """Clear one market both ways."""
    keys = keys_of(nodes, seed)
    needs = needs_of(keys, seed, market)
    times = posted_at(needs, scenario, seed)
    alone = centrally(keys, needs, times, pace.partners_max)
    counts = decentrally(keys, needs, times, seed, pace)
    late = most_of_it(counts.cleared) - most_of_it(alone)
    return Run(
        nodes=nodes,
        scenario=scenario,
        seed=seed,
        central=sum(quantity for _, quantity in alone),
        volume=counts.volume,
        drafts=counts.drafts,
        agreements=counts.agreements,
        refusals=counts.refusals,
        expired=counts.expired,
        seconds_to_90=late / SECOND,
    )


def measured(
    sizes: Sequence[int], *, seed: int, runs: int, market: Market, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Return the figures of so many runs of each size and scenario; ``tell`` is called as each ends."""
    scenarios: tuple[Scenario, ...] = ("at_once", "spread")
    results = list[dict[str, Any]]()
    for nodes in sizes:
        for scenario in scenarios:
            done = list[Run]()
            for number in range(runs):
                before = time.thread_time()
                run = run_once(nodes, scenario, f"{seed}/{number}/{nodes}", market, PACE)
                done.append(run)
                tell(f"{_told(run)}, {time.thread_time() - before:.1f} s of CPU")
            results.append(_summary(done))
    return {"type": "market-efficiency", "market": market, "seed": seed, "runs": runs, "results": results}


def _told(run: Run) -> str:
    return (
        f"{run.nodes} nodes {run.scenario} seed {run.seed}: {run.fraction:.3f} of {run.central}, "
        f"{run.drafts} drafts for {run.agreements} agreements, 90 % after {run.seconds_to_90:.1f} s"
    )


def _summary(runs: Sequence[Run]) -> dict[str, Any]:
    reasons = sorted({reason for run in runs for reason in run.refusals})
    return {
        "nodes": runs[0].nodes,
        "scenario": runs[0].scenario,
        "volume_fraction": {
            "median": round(median(run.fraction for run in runs), 4),
            "min": round(min(run.fraction for run in runs), 4),
        },
        "volume": sum(run.volume for run in runs),
        "central_volume": sum(run.central for run in runs),
        "agreements": sum(run.agreements for run in runs),
        "drafts_per_agreement": round(sum(run.drafts for run in runs) / max(1, sum(run.agreements for run in runs)), 2),
        "seconds_to_90": round(median(run.seconds_to_90 for run in runs), 1),
        "refusals": {reason: sum(run.refusals.get(reason, 0) for run in runs) for reason in reasons},
        "aborted": sum(run.expired for run in runs),
    }


def table(answer: dict[str, Any]) -> str:
    """Return the figures as a table for people."""
    lines = [f"{'nodes':>6} {'bids':<8} {'fraction':>8} {'least':>6} {'drafts/agreement':>16} {'90 % after':>10}"]
    for row in answer["results"]:
        fraction, late = row["volume_fraction"], f"{row['seconds_to_90']:.1f} s"
        lines.append(
            f"{row['nodes']:>6} {row['scenario']:<8} {fraction['median']:>8.3f} {fraction['min']:>6.3f} "
            f"{row['drafts_per_agreement']:>16.2f} {late:>10}"
        )
    return "\n".join(lines)
