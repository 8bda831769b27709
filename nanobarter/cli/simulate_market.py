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
