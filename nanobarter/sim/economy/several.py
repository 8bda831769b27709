"""Several runs of the simulated economy, two at a time: one run is one process, and home machines have two cores."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from nanobarter.sim.economy.nature import Shock
from nanobarter.sim.economy.players import GAME_DAY
from nanobarter.sim.economy.world import Regime, Run, simulate

PROCESSES: Final = 2


@dataclass(frozen=True)
class Job:
    """What one run is of."""

    regime: Regime
    seed: int
    nodes: int
    days: int
    shocks: tuple[Shock, ...]
    partners: int
    since: int = GAME_DAY


def runs_of(jobs: Sequence[Job], tell: Callable[[str], None]) -> list[Run]:
    """Return the runs in the order of the jobs. ``tell`` must be a function of a module."""
    if len(jobs) < PROCESSES:
        return [_run(job, tell) for job in jobs]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        return list(pool.map(_run, jobs, [tell] * len(jobs)))


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _run(job: Job, tell: Callable[[str], None]) -> Run:
    return simulate(
        job.regime,
        nodes=job.nodes,
        days=job.days,
        seed=job.seed,
        shocks=job.shocks,
        partners=job.partners,
        since=job.since,
        tell=tell,
    )
