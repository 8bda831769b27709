"""``nbctl sim market-efficiency``: many matchers against one. It needs no home and no daemon."""

import argparse
from pathlib import Path
from tempfile import TemporaryFile

from nanobarter.cli.exits import Exit
from nanobarter.cli.talk import answer_json, say
from nanobarter.core.errors import UsageError


def efficiency(asked: argparse.Namespace) -> int:
    """Compare many matchers with one, size by size; the last line is the answer."""
    from nanobarter.sim.efficiency import measured, table  # noqa: PLC0415 - the matcher loads for those who simulate

    answer = measured(_sizes(asked.nodes), seed=asked.seed, runs=asked.runs, market=asked.market, tell=say)
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
    for size in sizes:
        if not 2 <= size <= 2000:  # noqa: PLR2004 - bounds of the model
            raise UsageError(f"--nodes: {size} is not from 2 to 2000", hint="write --nodes 50,100")
    return sizes


def market(asked: argparse.Namespace) -> int:
    """Let a network barter for months; the last line is the answer."""
    from nanobarter.sim.economy.kinds import DAYS  # noqa: PLC0415 - the matcher loads for those who simulate
    from nanobarter.sim.economy.nature import SHOCKS, Shock  # noqa: PLC0415 - the matcher loads for those who simulate
    from nanobarter.sim.economy.players import GAMES  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.regimes import REGIMES, Regime  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.report import answer, lines, write_charts  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.several import cpu_seconds, runs_of  # noqa: PLC0415 - as above
    from nanobarter.sim.economy.world import Job  # noqa: PLC0415 - as above

    if not 1 <= asked.kinds <= len(DAYS):
        raise UsageError(f"--kinds: {asked.kinds} is not from 1 to {len(DAYS)}")
    several: dict[str, tuple[Shock, ...]] = {"all": SHOCKS, "games": GAMES}
    shocks = several.get(asked.shock, tuple(one for one in (*SHOCKS, *GAMES) if one == asked.shock))
    since = _since(asked.since, asked.days, at_play=any(one in GAMES for one in shocks))
    _make_folder(asked.charts)
    regimes: list[Regime] = [one for one in REGIMES if asked.regime in (one, "all")]
    begun = cpu_seconds()
    jobs = [
        Job(regime, seed, asked.nodes, asked.days, shocks, asked.partners, since, asked.kinds)
        for regime in regimes
        for seed in range(asked.seed, asked.seed + asked.runs)
    ]
    runs = runs_of(jobs, say)
    told = answer(runs, asked.nodes, asked.days, cpu_seconds() - begun)
    if asked.json:
        answer_json(told)
    else:
        print("\n".join(lines(told)))
    if asked.charts is not None:  # after the answer: a disk that is full by now must not cost that
        for file in write_charts(runs, asked.charts):
            say(f"wrote {file}")
    return Exit.DONE


def _since(asked: int | None, days: int, *, at_play: bool) -> int:
    """Return the day on which players come. Where nobody plays and no day is asked for, it means nothing."""
    from nanobarter.sim.economy.world import GAME_DAY  # noqa: PLC0415 - the matcher loads for those who simulate

    since = GAME_DAY if asked is None else asked
    if since >= days and (at_play or asked is not None):
        raise UsageError(f"--since: day {since} never comes in {days} days", hint=f"write --since 0 to {days - 1}")
    return since


def _make_folder(folder: Path | None) -> None:
    """Make the folder of the charts and see that files can be made there, before the run and not after it."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        hint = "name a folder; it is made when it is not there"
        raise UsageError(f"--charts: no files can be made in {folder}: {error.strerror}", hint=hint) from None
