"""The restic table: this engine and restic on the same data and disk, in turns, each run a process of its own."""

import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from bench.figure import Figure
from bench.storing import data
from bench.storing.cost import Cost, Failed, run
from nanobarter.core.units import MIB

_PLAIN: Final = "plain"
_SHARES: Final = "rs10of20"
_RIVAL: Final = "restic"


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    files: int
    size: int
    many: int
    rounds: int


FULL: Final = Sizes(9_773, 1_076 * MIB, 100_000, 3)
QUICK: Final = Sizes(1_500, 100 * MIB, 10_000, 1)


@dataclass
class Table:
    """The runs so far, by step and program."""

    work: Path
    restic: str | None
    version: str
    runs: dict[tuple[str, str], list[Cost]] = field(default_factory=dict[tuple[str, str], list[Cost]])
    failed: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def ours(self, step: str, who: str, what: str, source: Path) -> None:
        """Run one step of ours."""
        work = self.work / who
        work.mkdir(exist_ok=True)
        shares = {_PLAIN: (), _SHARES: ("--shares",), "lost": ("--shares", "--lost")}[who]
        place = self.work / _SHARES if who == "lost" else work
        self._note(step, who, [sys.executable, "-m", "bench.storing.engine", what, str(source), str(place), *shares])

    def theirs(self, step: str, *arguments: str) -> None:
        """Run one step of restic."""
        if self.restic is None:
            self.failed[step, _RIVAL] = self.version
            return
        command = [self.restic, "--cache-dir", str(self.work / "restic cache"), "-q", *arguments]
        self._note(step, _RIVAL, command)

    def _note(self, step: str, who: str, command: Sequence[str]) -> None:
        environment = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(self.work / _RIVAL)}
        try:
            self.runs.setdefault((step, who), []).append(run(command, environment))
        except Failed as failed:
            self.failed[step, who] = str(failed)

    def clear(self) -> None:
        """Throw every repository away."""
        for who in (_PLAIN, _SHARES, _RIVAL, "restic cache"):
            shutil.rmtree(self.work / who, ignore_errors=True)

    def figure(self, name: str, step: str, who: str, value: Callable[[Cost], float], unit: str) -> Figure:
        """Return the median of the runs of a step, or why there is none."""
        note = f"{self.version}, init with its defaults" if who == _RIVAL else ""
        if found := self.runs.get((step, who)):
            return Figure(name, median(map(value, found)), unit, f"median of {len(found)}; {note}".rstrip("; "))
        return Figure(name, None, unit, self.failed.get((step, who), "was not run"))


def figures(work: Path, *, quick: bool) -> Iterator[Figure]:
    """Measure and yield the restic table."""
    sizes = QUICK if quick else FULL
    restic = shutil.which("restic")
    table = Table(work, restic, _version(restic))
    source, tiny = work / "source", work / "tiny"
    data.made("mixed", source, sizes.files, sizes.size)
    count, size = sum(path.is_file() for path in source.rglob("*")), data.size_of(source)
    yield Figure("store.data_mib", size / MIB, "MiB", f"{count} files: of this system, archives, near-duplicates")
    for _ in range(sizes.rounds):
        _first(table, source)
    yield from _first_figures(table)
    yield from _stored(table, source)
    yield from _restored(table, source, work)
    table.clear()
    data.made("many", tiny, sizes.many)
    yield from _many(table, tiny, sizes.many)


def _version(restic: str | None) -> str:
    if restic is None:
        return "restic is not installed (apt-get install restic)"
    told = subprocess.run([restic, "version"], capture_output=True, text=True, check=False).stdout
    return " ".join(told.split()[:2])


def _first(table: Table, source: Path) -> None:
    table.clear()
    table.ours("first", _PLAIN, "backup", source)
    if table.restic:
        table.theirs("init", "init")
    table.theirs("first", "backup", str(source))
    table.ours("first", _SHARES, "backup", source)


def _first_figures(table: Table) -> Iterator[Figure]:
    for kind, unit, value in (
        ("first_backup_cpu_s", "s", _cpu),
        ("first_backup_wall_s", "s", _wall),
        ("rss_backup_mb", "MB", _memory),
    ):
        for who in (_PLAIN, _SHARES, _RIVAL):
            yield table.figure(f"store.{kind}.{who}", "first", who, value, unit)
    for who, must in ((_PLAIN, 0.8), (_SHARES, 1.0)):
        ours, rival = table.runs.get(("first", who)), table.runs.get(("first", _RIVAL))
        if ours and rival:
            pairs = [one.cpu_s / other.cpu_s for one, other in zip(ours, rival, strict=True)]
            note = f"median of the pairs; must {must}; {table.version}"
            yield Figure(f"store.first_backup_cpu_ratio.{who}", median(pairs), "ratio", note)


def _stored(table: Table, source: Path) -> Iterator[Figure]:
    """Measure an unchanged rerun, and what a small change adds."""
    for _ in range(3):
        table.ours("rescan", _PLAIN, "backup", source)
        table.theirs("rescan", "backup", str(source))
    for who in (_PLAIN, _RIVAL):
        yield table.figure(f"store.rescan_s{_suffix(who)}", "rescan", who, _wall, "s")
        yield table.figure(f"store.rescan_cpu_s{_suffix(who)}", "rescan", who, _cpu, "s")
    before = {who: _kept(table, who) for who in (_PLAIN, _RIVAL)}
    count = max(sum(path.is_file() for path in source.rglob("*")) // 100, 1)
    data.made("edit", source)
    table.ours("edit", _PLAIN, "backup", source)
    table.theirs("edit", "backup", str(source))
    for who in (_PLAIN, _RIVAL):
        note = "packs before expansion" if who == _PLAIN else table.version
        kept = before[who] / MIB if ("first", who) in table.runs else None
        yield Figure(f"store.stored_mib{_suffix(who)}", kept, "MiB", note)
        grown = (_kept(table, who) - before[who]) / MIB if ("edit", who) in table.runs else None
        note = f"1000 bytes put into some {count} files, the larger the likelier; packs are padded to shares"
        yield Figure(f"store.edit_growth_mib{_suffix(who)}", grown, "MiB", note)


def _restored(table: Table, source: Path, work: Path) -> Iterator[Figure]:
    out = {who: work / place / "out" for who, place in ((_PLAIN, _PLAIN), ("lost", _SHARES), (_RIVAL, "restic out"))}
    table.ours("before restore", _SHARES, "backup", source)
    for who in (_PLAIN, _RIVAL, "lost"):
        if who == _RIVAL:
            table.theirs("restore", "restore", "latest", "--target", str(out[who]))
        else:
            table.ours("restore", who, "restore", source)
        same = is_same(source, Path(f"{out[who]}/{source}") if who == _RIVAL else out[who])
        if not same and ("restore", who) in table.runs:
            del table.runs["restore", who]
            table.failed["restore", who] = "what came back is not what was backed up"
        shutil.rmtree(out[who], ignore_errors=True)
    for who in (_PLAIN, _RIVAL):
        yield table.figure(f"store.restore_wall_s{_suffix(who)}", "restore", who, _wall, "s")
        yield table.figure(f"store.restore_cpu_s{_suffix(who)}", "restore", who, _cpu, "s")
        yield table.figure(f"store.rss_restore_mb{_suffix(who)}", "restore", who, _memory, "MB")
    yield table.figure("store.restore_degraded_wall_s", "restore", "lost", _wall, "s")
    yield table.figure("store.restore_degraded_wall_s.restic", "restore", _RIVAL, _wall, "s")
    yield table.figure("store.rss_restore_degraded_mb", "restore", "lost", _memory, "MB")


def _many(table: Table, tiny: Path, count: int) -> Iterator[Figure]:
    if table.restic:
        table.theirs("init", "init")
    for step in ("many first", "many again"):
        table.ours(step, _PLAIN, "backup", tiny)
        table.theirs(step, "backup", str(tiny))
    for who in (_PLAIN, _RIVAL):
        figure = table.figure(f"store.rescan_100k_s{_suffix(who)}", "many again", who, _wall, "s")
        yield Figure(figure.name, figure.value, "s", f"{count} files; {figure.note}")
        yield table.figure(f"store.first_backup_100k_s{_suffix(who)}", "many first", who, _wall, "s")


def _kept(table: Table, who: str) -> int:
    return data.size_of(table.work / who / "packs" if who == _PLAIN else table.work / who)


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two folders hold the same files with the same bytes."""
    for folder, _, names in os.walk(one):
        there = other / Path(folder).relative_to(one)
        _, wrong, missing = filecmp.cmpfiles(folder, there, names, shallow=False)
        if wrong or missing:
            return False
    return other.is_dir()


def _suffix(who: str) -> str:
    return f".{_RIVAL}" if who == _RIVAL else ""


def _cpu(cost: Cost) -> float:
    return cost.cpu_s


def _wall(cost: Cost) -> float:
    return cost.wall_s


def _memory(cost: Cost) -> float:
    return cost.memory_mb
