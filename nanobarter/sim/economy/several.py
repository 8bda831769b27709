"""Several runs of the simulated economy, two at a time: one run is one process, and home machines have two cores."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from nanobarter.sim.economy.world import Job, Run, simulate

PROCESSES: Final = 2


def runs_of(jobs: Sequence[Job], tell: Callable[[str], None]) -> list[Run]:
    """Return the runs in the order of the jobs. ``tell`` must be a function of a module."""
    if len(jobs) < PROCESSES:
        return [simulate(job, tell) for job in jobs]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        return list(pool.map(simulate, jobs, [tell] * len(jobs)))


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
