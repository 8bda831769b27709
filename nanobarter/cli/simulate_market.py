"""``nbctl sim market-efficiency``: many matchers against one. It needs no home and no daemon."""

import argparse

from nanobarter.cli.exits import Exit
from nanobarter.cli.talk import answer_json, say
from nanobarter.core.errors import UsageError


def efficiency(asked: argparse.Namespace) -> int:
    """Compare many matchers with one, size by size; the last line is the answer."""
    from nanobarter.sim.efficiency import measured, table  # noqa: PLC0415 - the matcher loads for those who simulate

    answer = measured(_sizes(asked.nodes), seed=asked.seed, runs=_runs(asked.runs), market=asked.market, tell=say)
    if asked.json:
        answer_json(answer)
    else:
        print(table(answer))
    return Exit.DONE


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--nodes: {text!r} is no list of numbers", hint="write --nodes 50,100") from error
    if not all(2 <= size <= 2000 for size in sizes):  # noqa: PLR2004 - bounds of the model
        raise UsageError("--nodes: sizes are from 2 to 2000", hint="write --nodes 50,100")
    return sizes


def _runs(runs: int) -> int:
    if runs < 1:
        raise UsageError("--runs: at least one", hint="leave it out for 3")
    return runs


def market(asked: argparse.Namespace) -> int:
    """Let a network barter for months; the last line is the answer."""
    from nanobarter.sim.economy.kinds import DAYS  # noqa: PLC0415 - the matcher loads for those who simulate
    from nanobarter.sim.economy.nature import SHOCKS, Shock  # noqa: PLC0415 - the matcher loads for those who simulate
    from nanobarter.sim.economy.players import GAMES  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.regimes import REGIMES, Regime  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.report import answer, lines, write_charts  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.several import cpu_seconds, runs_of  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.world import Job  # noqa: PLC0415 - as above

    if not (2 <= asked.nodes <= 2000 and 1 <= asked.days <= 3650 and asked.runs >= 1 and 2 <= asked.partners <= 8):  # noqa: PLR2004 - bounds
        raise UsageError("2 to 2000 nodes, 1 to 3650 days, at least one run", hint="write --nodes 80 --days 180")
    if not 1 <= asked.kinds <= len(DAYS):
        raise UsageError(f"--kinds: {asked.kinds} is not from 1 to {len(DAYS)}")
    several: dict[str, tuple[Shock, ...]] = {"all": SHOCKS, "games": GAMES}
    shocks = several.get(asked.shock, tuple(one for one in (*SHOCKS, *GAMES) if one == asked.shock))
    regimes: list[Regime] = [one for one in REGIMES if asked.regime in (one, "all")]
    begun = cpu_seconds()
    jobs = [
        Job(regime, seed, asked.nodes, asked.days, shocks, asked.partners, asked.since, asked.kinds)
        for regime in regimes
        for seed in range(asked.seed, asked.seed + asked.runs)
    ]
    runs = runs_of(jobs, say)
    told = answer(runs, asked.nodes, asked.days, cpu_seconds() - begun)
    if asked.charts is not None:
        for file in write_charts(runs, asked.charts):
            say(f"wrote {file}")
    if asked.json:
        answer_json(told)
    else:
        print("\n".join(lines(told)))
    return Exit.DONE
