"""What a run came to, as plain values: for JSON, for the page, for comparisons of runs."""

import math
from statistics import mean
from typing import Any

from nanobarter.core.ids import NodeId
from nanobarter.sim.economy import measures
from nanobarter.sim.economy.world import PRICED_WITHIN, Run


def figures(run: Run) -> dict[str, Any]:
    """Return the figures of a run as plain values."""
    last = run.days[-1]
    failed = [n for n, nature in run.nature.items() if nature.failed_on is not None and n in run.before]
    return {
        "regime": run.regime,
        "seed": run.seed,
        "correlation": run.correlation,
        **{name: last[name] for name in ("bad_part", "lots_part", *measures.SAFETY)},
        "priced": len(run.points),
        "silent_failures": len(failed),
        "priced_within_30_days": sum(run.priced_after.get(n, 999) <= PRICED_WITHIN for n in failed),
        "slowest_days": max((run.priced_after.get(n, 999) for n in failed), default=None),
        "exchanges": len(run.trades),
        "longer_rings_part": _part(sum(d["longer_rings"] for d in run.days), sum(d["rings"] for d in run.days)),
        "markets_day": mean(d["markets"] for d in run.days),
        "markets_ever": len({t.market for t in run.trades}),
        "markets_possible": math.comb(run.kinds * sum(n.born < run.length for n in run.nature.values()), 2),
        "gains": _gains(run),
        "space": run.games.space(),
        "said": run.said,
    }


def _part(some: float, all_: float) -> float:
    return some / all_ if all_ else 0.0


def _gains(run: Run) -> dict[str, dict[str, float]]:
    """Return, for each sort of node, the true value it got for one of true value that it gave; 1 is fair.

    ``kept`` is what one of them got more than it gave over the whole run, in MiB of a reference note.
    """
    sums, sort = dict[str, list[float]](), dict[str, set[NodeId]]()
    for trade in run.trades:
        nature = run.nature[trade.who]
        name = nature.cheat or ("honest, seldom on" if nature.up < 0.6 else "honest")  # noqa: PLR2004 - as in nature
        gave = math.exp(measures.value_of(run.nature[trade.gave].truth(trade.day))) * trade.given
        got = math.exp(measures.value_of(run.nature[trade.got].truth(trade.day))) * trade.gotten
        sums[name] = [a + b for a, b in zip(sums.get(name, [0.0] * 3), (gave, got, 1), strict=True)]
        sort.setdefault(name, set()).add(trade.who)
    return {
        name: {"got_for_given": got / max(gave, 1e-9), "kept": (got - gave) / len(sort[name]), "exchanges": count}
        for name, (gave, got, count) in sorted(sums.items())
    }
