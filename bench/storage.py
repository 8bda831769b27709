"""The storage engine beside restic: the same made data, each run a process of its own, CPU time first."""

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trio

from bench.figure import Figure
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.storage.backup import backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.local import DirectoryPacks
from nanobarter.storage.restore import restore
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.tables import MIGRATIONS

_KEYS = VaultKeys.from_seed(bytes(64))


@dataclass(frozen=True)
class Cost:
    """What one process took; memory is the most of all processes so far, MiB."""

    cpu_s: float
    wall_s: float
    memory_mib: float


def make_tree(folder: Path, *, files: int, large_mib: int) -> None:
    """Write so many small files of text and noise, and two large ones that are nearly the same."""
    draw = random.Random(1)
    words = [draw.randbytes(draw.randrange(2, 9)).hex() for _ in range(2000)]
    for number in range(files):
        path = folder / f"folder {number % 53}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = int(draw.lognormvariate(8.5, 1.6))
        text = " ".join(draw.choices(words, k=size // 10 + 1)).encode()
        path.write_bytes(draw.randbytes(size) if number % 4 == 0 else text)
    large = bytearray(draw.randbytes(large_mib << 20))
    (folder / "large").write_bytes(large)
    large[len(large) // 2 : len(large) // 2] = b"a small insertion"
    (folder / "nearly the same").write_bytes(large)


def _cost(command: list[str], environment: dict[str, str]) -> Cost:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.monotonic() - started, after.ru_maxrss / 1024)


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _ours(what: str, source: Path, work: Path) -> Cost:
    command = [sys.executable, "-m", "bench.storage", what, str(source), str(work)]
    return _cost(command, {"PYTHONPATH": str(Path(__file__).parents[1])})


def _restic(restic: str, work: Path, *arguments: str) -> Cost:
    environment = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(work / "restic")}
    return _cost([restic, "--cache-dir", str(work / "restic cache"), "-q", *arguments], environment)


def figures(*, quick: bool) -> Iterator[Figure]:
    """Measure first backup, unchanged rerun, restore and stored size; restic's figures are the anchors."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = work / "source"
        make_tree(source, files=500 if quick else 2005, large_mib=8 if quick else 40)
        restic = shutil.which("restic")
        theirs = dict[str, Cost]()
        version = "restic is not installed"
        if restic is not None:
            version = subprocess.run([restic, "version"], capture_output=True, text=True, check=True).stdout.split(
                " c"
            )[0]
            _restic(restic, work, "init")
        steps = (
            ("first_backup", "backup", ("backup", str(source))),
            ("unchanged_backup", "backup", ("backup", str(source))),
            ("restore", "restore", ("restore", "latest", "--target", str(work / "restic out"))),
        )
        for name, what, arguments in steps:
            ours = _ours(what, source, work)
            if restic is not None:
                theirs[name] = _restic(restic, work, *arguments)
            there = theirs.get(name)
            yield Figure(f"store.{name}_cpu_s", ours.cpu_s, "s", version, there and (version, there.cpu_s))
            yield Figure(f"store.{name}_wall_s", ours.wall_s, "s", version, there and (version, there.wall_s))
        stored = _size_of(work / "packs")
        anchor = (version, _size_of(work / "restic") / 2**20) if restic is not None else None
        yield Figure("store.stored_mib", stored / 2**20, "MiB", "packs before expansion, two snapshots", anchor)


async def _run(what: str, source: Path, work: Path) -> None:
    store = Store.open(work / "store", MIGRATIONS)
    packs = DirectoryPacks(work / "packs")
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            catalog = Catalog(store)
            if what == "backup":
                await backup(
                    roots=[source],
                    keys=_KEYS,
                    catalog=catalog,
                    sink=packs,
                    geometry=(3, 6),
                    clock=SystemClock(),
                    entropy=SystemEntropy(),
                    host="bench",
                )
            else:
                snapshot = open_snapshot((await catalog.snapshots())[-1].body, _KEYS)
                done = await restore(snapshot, work / "out", keys=_KEYS, catalog=catalog, source=packs)
                if done.lost:
                    raise SystemExit(f"{len(done.lost)} paths were not restored")
            nursery.cancel_scope.cancel()
    finally:
        store.close()


if __name__ == "__main__":
    trio.run(_run, sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
