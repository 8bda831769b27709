"""The Tahoe table: whole daemons on loopback against a grid of Tahoe-LAFS, the same files, one after the other.

Each gets its own code: six peers make the daemon choose 3-of-6, Tahoe-LAFS runs its 3-of-5 on five servers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.figure import Figure
from bench.storing import data, tahoe
from bench.storing.cost import Failed, memory_of
from bench.storing.grid import Took, grid, pid_of
from bench.storing.local import is_same
from nanobarter.cli.exits import CommandFailed
from nanobarter.core.units import MIB

PEERS: Final = 6
_RIVAL: Final = ".tahoe"
_MB: Final = 1_000_000
_GIVE_UP: Final = 90.0  # seconds for an upload beside a hung peer


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    files: int
    tree: int
    blob: int
    small: int
    rounds: int


FULL: Final = Sizes(2_005, 97 * _MB, 200 * _MB, 20 * _MB, 3)
QUICK: Final = Sizes(100, 5 * _MB, 20 * _MB, 5 * _MB, 1)


@dataclass(frozen=True)
class Files:
    """What is stored: a tree, and blobs that nobody has seen before."""

    tree: Path
    blobs: list[Path]
    small: Path
    hung: Path


def figures(work: Path, *, quick: bool) -> Iterator[Figure]:
    """Measure and yield the Tahoe table."""
    sizes = QUICK if quick else FULL
    files = _files(work, sizes)
    try:
        yield from _ours(work, files, sizes)
    except (Failed, CommandFailed, OSError) as failed:
        yield Figure("net_grid", None, "", f"our own grid failed: {failed}")
    try:
        program = tahoe.install()
        with tahoe.tahoe_grid(program, _made(work / "tahoe")) as rival:
            yield from _theirs(rival, work, files, sizes, tahoe.version(program))
    except (Failed, OSError) as failed:
        for name in ("net_backup_tree_s", "net_restore_tree_s", "net_put_mb_s", "net_get_mb_s"):
            yield Figure(name + _RIVAL, None, "", f"Tahoe-LAFS could not be had: {failed}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _files(work: Path, sizes: Sizes) -> Files:
    tree = _made(work / "tree")
    data.made("tree", tree, sizes.files, sizes.tree)
    blobs = [_made(work / f"blob {number}") / "blob" for number in range(sizes.rounds)]
    small, hung = _made(work / "small") / "blob", _made(work / "hung") / "blob"
    for path in blobs:
        data.noise(path, sizes.blob)
    for path in (small, hung):
        data.noise(path, sizes.small)
    return Files(tree, blobs, small, hung)


def _ours(work: Path, files: Files, sizes: Sizes) -> Iterator[Figure]:
    note = f"an owner and {PEERS} peers, real daemons on loopback"
    folders = [files.tree, *(path.parent for path in (*files.blobs, files.small, files.hung))]
    with grid(_made(work / "ours"), PEERS, folders) as ours:
        yield Figure("net_idle_rss_mb", memory_of(pid_of(ours.owner), "VmRSS"), "MB", "the owner's daemon; must 90")
        first = ours.backup(files.tree)
        code = f"{note}, {first.answer['k']}-of-{first.answer['n']}"
        told = f"{sizes.files} files, {sizes.tree / _MB:g} MB; {code}"
        yield Figure("net_backup_tree_s", first.seconds, "s", f"{told}; {_spent(first)}")
        yield Figure("net_unchanged_s", ours.backup(files.tree).seconds, "s", f"the same again; {code}")
        back = ours.restore(files.tree, work / "tree back")
        if not is_same(files.tree, work / "tree back"):
            raise Failed("the tree that came back is another")
        yield Figure("net_restore_tree_s", back.seconds, "s", f"{told}; {_spent(back)}")
        puts = [ours.backup(path.parent) for path in files.blobs]
        gets = [ours.restore(path.parent, work / f"{path.parent.name} back") for path in files.blobs]
        yield from _rates("put", puts, sizes.blob, code)
        yield from _rates("get", gets, sizes.blob, code)
        yield Figure("net_rss_put_mb", max(took.memory_mb for took in puts), "MB", "the owner's daemon, most; must 160")
        yield Figure("net_rss_get_mb", max(took.memory_mb for took in gets), "MB", "the owner's daemon, most; must 200")
        usual = ours.backup(files.small.parent).seconds
        with ours.hung(ours.peers[0]):
            late = ours.backup(files.hung.parent).seconds
        note = f"{sizes.small / _MB:g} MB, {usual:.1f} s with all peers, {late:.1f} s with one stopped; it succeeded"
        yield Figure("net_hung_peer_extra_s", late - usual, "s", note)


def _rates(what: str, took: list[Took], size: int, note: str) -> Iterator[Figure]:
    rate = median(size / _MB / one.seconds for one in took)
    yield Figure(f"net_{what}_mb_s", rate, "MB/s", f"{size / _MB:g} MB, median of {len(took)}; {note}")
    spent = median(one.owner_cpu_s + one.peers_cpu_s for one in took) / size * MIB * 1000
    yield Figure(f"net_{what}_cpu_ms_per_mib", spent, "ms", f"of all daemons together; {_spent(took[0])}")


def _spent(took: Took) -> str:
    return f"CPU: owner {took.owner_cpu_s:.1f} s, all peers {took.peers_cpu_s:.1f} s"


def _theirs(rival: tahoe.Tahoe, work: Path, files: Files, sizes: Sizes, version: str) -> Iterator[Figure]:
    note = f"{version}, {tahoe.NEEDED}-of-{tahoe.SERVERS}, {tahoe.SERVERS} servers on loopback"
    yield _timed("net_backup_tree_s", note, lambda: rival.do("backup", str(files.tree), "bench:"))
    yield _timed("net_unchanged_s", note, lambda: rival.do("backup", str(files.tree), "bench:"))
    out = work / "tahoe tree back"
    yield _timed("net_restore_tree_s", note, lambda: rival.do("cp", "-r", "bench:Latest", str(out)))
    puts, gets = list[float](), list[float]()
    for number, path in enumerate(files.blobs):
        spent, cap = rival.put(path)
        puts.append(spent)
        gets.append(rival.do("get", cap, str(work / f"tahoe blob {number}")))
    for what, spans in (("put", puts), ("get", gets)):
        rate = median(sizes.blob / _MB / span for span in spans)
        yield Figure(f"net_{what}_mb_s{_RIVAL}", rate, "MB/s", note)
    usual, _ = rival.put(files.small)

    def beside_hung() -> float:
        with rival.hung():
            return rival.put(files.hung, seconds=_GIVE_UP)[0] - usual

    yield _timed("net_hung_peer_extra_s", note, beside_hung)


def _timed(name: str, note: str, work: Callable[[], float]) -> Figure:
    try:
        return Figure(name + _RIVAL, work(), "s", note)
    except Failed as failed:
        return Figure(name + _RIVAL, None, "s", f"{note}: {failed}")
