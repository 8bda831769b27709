"""Storage beside restic and Tahoe-LAFS: the same data, machine and minute. What could not be run is told, with why.

``store.*`` is the engine against restic, each in processes of its own on this disk; ``net_*`` is whole daemons on
loopback against a grid of Tahoe-LAFS. A rival's figure has its name as suffix. The whole takes about ten minutes, of
which Tahoe-LAFS needs half; ``--quick`` takes less than two. ``python -m bench.storage store`` or ``net`` measures
one table alone.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure
from bench.storing import local, network
from bench.storing.cost import Failed, run


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Measure and yield the figures of storage."""
    yield _version_cpu()
    for area in (local.figures, network.figures):
        with tempfile.TemporaryDirectory(prefix="nanobarter-bench-") as folder:
            yield from area(Path(folder), quick=quick)


def _version_cpu() -> Figure:
    command = [sys.executable, "-m", "nanobarter.cli.main", "--version"]
    try:
        spent = median(run(command).cpu_s for _ in range(9))
    except Failed as failed:
        return Figure("cli.version_cpu_ms", None, "ms", str(failed))
    return Figure("cli.version_cpu_ms", 1000 * spent, "ms", "nbctl --version; must 100")


if __name__ == "__main__":
    area = {"store": local.figures, "net": network.figures}[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="nanobarter-bench-") as place:
        for each in area(Path(place), quick="--quick" in sys.argv):
            print(each, flush=True)
