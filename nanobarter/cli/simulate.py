"""``nbctl sim``: worlds in virtual time, on this machine alone. Nothing here touches a home or a daemon."""

import argparse
import json
import re
import sys
import time
from typing import Final

from nanobarter.cli.exits import Exit
from nanobarter.core.errors import UsageError
from nanobarter.sim.campaigns import run
from nanobarter.sim.tally import Tally, campaign
from nanobarter.swap.messages import PARTIES_MAX

_TOLD_EVERY: Final = 2.0  # seconds between two lines of progress
_SMALLEST: Final = 2


def swap(asked: argparse.Namespace) -> int:
    """Run a campaign of swaps, or tell one run of it step by step."""
    parties = _range(asked.parties)
    if asked.replay is not None:
        return _replay(asked.campaign, parties, asked.replay)
    tally = campaign(asked.campaign, parties=parties, runs=asked.runs, seed=asked.seed, told=_Progress(asked.runs))
    if not asked.json:
        for name, value in tally.as_json.items():
            print(f"{name.replace('_', ' ')}: {value}")
    print(json.dumps(tally.as_json))
    return Exit.FAILED if tally.failures else Exit.DONE


def _range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,3})(?:\.\.([0-9]{1,3}))?", text)
    low, high = (int(found[1]), int(found[2] or found[1])) if found is not None else (0, 0)
    if not _SMALLEST <= low <= high <= PARTIES_MAX:
        raise UsageError(f"{text!r} is no number of parties", hint=f"2 to {PARTIES_MAX}: write 3, or 2..8")
    return low, high


def _replay(name: str, parties: tuple[int, int], seed: int) -> int:
    one = run(name, seed, parties, trace=True)
    for line in one.lines:
        print(f"{line.at / 1000:10.3f} s  {line.who:<9}  {line.text}")
    verdict = one.verdict
    print(json.dumps({"seed": seed, "parties": one.size, **vars(verdict), "failed": verdict.failed}))
    return Exit.FAILED if verdict.failed else Exit.DONE


class _Progress:
    """Tells standard error every few seconds how far the campaign is."""

    def __init__(self, runs: int) -> None:
        self._runs, self._begun = runs, time.monotonic()
        self._told = self._begun

    def __call__(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._told < _TOLD_EVERY:
            return
        self._told = now
        left = (now - self._begun) / tally.runs * (self._runs - tally.runs)
        failures = f", {len(tally.failures)} failures" if tally.failures else ""
        print(
            f"{tally.campaign}: {tally.runs} of {self._runs} runs, {tally.completed} completed{failures}; "
            f"{left:.0f} s left",
            file=sys.stderr,
        )
