"""The figures of runs as a person reads them, and as charts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nanobarter.sim.economy.figures import figures
from nanobarter.sim.economy.world import PRICED_WITHIN, Run
from nanobarter.translator.charts import dots_svg, lines_svg, spark

TARGETS: Final[Mapping[str, str]] = {
    "correlation": ">= 0.95 at day 90",
    "bad_part": "<= 0.01",
    "loss": "<= 1e-6",
    "priced_within_30_days": "all of the silent failures",
}


def verdicts(row: Mapping[str, Any]) -> dict[str, bool]:
    """Return which targets a run met."""
    return {
        "correlation": row["correlation"] is not None and row["correlation"] >= 0.95,  # noqa: PLR2004 - the target
        "bad_part": row["bad_part"] <= 0.01,  # noqa: PLR2004 - the target
        "loss": row["loss"] <= 1e-6,  # noqa: PLR2004 - the target
        "priced_within_30_days": row["priced_within_30_days"] == row["silent_failures"],
    }


def answer(runs: Sequence[Run], nodes: int, days: int, seconds: float) -> dict[str, Any]:
    """Return all figures as one object for JSON."""
    rows = [figures(run) for run in runs]
    for row, run in zip(rows, runs, strict=True):
        row["met"] = verdicts(row)
        row["days"] = run.days
    return {
        "type": "sim_market",
        "nodes": nodes,
        "days": days,
        "targets": dict(TARGETS),
        "runs": rows,
        "cpu_seconds": round(seconds, 1),
    }


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Return the figures in words."""
    for row in told["runs"]:
        met = row["met"]
        yield f"{row['regime']}, seed {row['seed']}, {told['nodes']} nodes, {told['days']} days"
        shown = "none" if row["correlation"] is None else f"{row['correlation']:.3f}"
        yield f"  price against truth  {shown}, {row['priced']} issuers{_mark(met['correlation'])}"
        tried = f"{row['lots_part']:.2%} of all is tried out"
        yield f"  bad notes held       {row['bad_part']:.2%}{_mark(met['bad_part'])}; {tried}"
        loss = f"{row['loss']:.1e}, half of the users {row['loss_median']:.1e}"
        yield f"  chance of loss       {loss}{_mark(met['loss'])}"
        yield f"  whole plan stored    {row['full']:.0%} of the reliable; {row['stored_unreliable']:.0%} of others"
        priced = f"{row['priced_within_30_days']} of {row['silent_failures']} within {PRICED_WITHIN} days"
        yield f"  silent failures      {priced}{_mark(met['priced_within_30_days'])}"
        pairs = f"{row['markets_day']:.0f} a day, {row['markets_ever']} ever"
        yield f"  live markets         {pairs}, of {row['markets_possible']} pairs of notes"
        yield f"  bad part by day      {spark([day['bad_part'] for day in row['days']])}"
        yield f"  exchanges by day     {spark([day['exchanges'] for day in row['days']])}"
        yield "  got for given, at true values:"
        for name, found in row["gains"].items():
            yield f"    {name:<20} {found['got_for_given']:.2f}  {found['kept']:>8.0f} MiB kept by each"
        yield "  days with a backup, GB at others and kept, gain for each GB lent honestly, days to the first backup:"
        for name, found in row["space"].items():
            has, keeps, first = found["has"], found["keeps"], found["days_to_backup"]
            told_first = "never" if first is None else f"{first:.0f}"
            shown = f"{found['safe']:4.0%}, has {has:.1f}, keeps {keeps:.1f}: {found['gain']:+.2f}; {told_first}"
            yield f"    {name:<21} {shown}"
        for name, value in row["said"].items():
            yield f"  {name} for who believes what others tell: e^{value:.2f}"
    yield f"{told['cpu_seconds']} s of CPU"


def _mark(met: bool) -> str:  # noqa: FBT001 - a word for a mark
    return "" if met else "  (target missed)"


def write_charts(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write charts of the runs into a folder, which is made; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = list[Path]()

    def put(name: str, text: str) -> None:
        made.append(folder / name)
        made[-1].write_text(text, encoding="utf-8")

    for key, title in (("bad_part", "bad notes held, part of all"), ("exchanges", "exchanges a day")):
        series = [(f"{run.regime} {run.seed}", [(day["day"], day[key]) for day in run.days]) for run in runs]
        put(f"{key}.svg", lines_svg(title, series, "day"))
    for run in runs:
        text = dots_svg(f"{run.regime}: log of price over log of true value", [(t, p) for p, t in run.points], "truth")
        put(f"price-{run.regime}-{run.seed}.svg", text)
    return made
