"""What peers do wrong, one scenario each; see ``misbehaviour``."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from nanobarter.core.limits import LIMITS
from tests.e2e import truth
from tests.e2e.village import CHECKOUT, Machine, environment, finish, start, stripped

if TYPE_CHECKING:
    from tests.e2e.misbehaviour import Scene

_FILLING_MAX: Final = 5  # backups until the smallest disk of all is full
_ROOM_BYTES: Final = 12 * 1024 * 1024  # less than the shares of some backups, beyond what a vault leaves free
_LEFT_MAX: Final = 5 * 1024 * 1024  # of it when a share was refused: two that come at once count beside it
_STALL_SECONDS: Final = 5.0
"""What one hung peer may cost a backup."""


def _nothing(_scene: "Scene") -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Act:
    """A scenario. ``prepared`` surrounds it, from before any daemon runs."""

    play: Callable[["Scene"], None]
    prepared: Callable[["Scene"], AbstractContextManager[None]] = _nothing


def hung(scene: "Scene") -> None:
    """Stop one peer while a backup sends to it; the backup must not wait for it."""
    (victim,) = _holders(scene, 1)
    before = len(truth.shares_of(victim))
    scene.change()
    began = time.monotonic()
    process = start("--home", str(scene.owner.path), "backup", "--json")
    assert wait_until(lambda: len(truth.shares_of(victim)) > before or process.poll() is not None, 60, every=0.005), (
        "no share came"
    )
    scene.expect(that=process.poll() is None, problem="the backup was over before the peer could be stopped")
    pid = victim.home.running_pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    scene.begin()
    try:
        ended = finish(process)
        took = time.monotonic() - began
        scene.told.seconds["the backup took"] = round(took, 1)
        scene.expect(that=ended.code == Exit.DONE, problem=f"the backup ended with {ended.code}: {ended.err[-500:]}")
        more = took - scene.told.seconds["a backup in peace takes"]
        scene.told.seconds["more than in peace"] = round(more, 1)
        scene.restores_identically("while a peer hangs")
        scene.wait("told", lambda: scene.names(victim, "silent"))
        scene.heals(victim)
    finally:
        os.kill(pid, signal.SIGCONT)
    scene.wait("what it kept is given back after it woke", lambda: not truth.shares_of(victim) or _only_needed(scene))


def _only_needed(scene: "Scene") -> bool:
    return not [p for p in scene.health()["problems"] if p["kind"] == "silent"]


def full(scene: "Scene") -> None:
    """The disk of one peer fills up in a backup: it refuses, and the others take its part."""
    victim, free = scene.peers[0], 0
    for _ in range(_FILLING_MAX):  # seven peers for six shares: where the barter brought least, shares go last
        scene.change(2 * 12_000_000)
        scene.begin()
        done = scene.owner.nbctl("backup", "--json")
        scene.mark("the backup took")
        scene.expect(that=done.code == Exit.DONE, problem=f"the backup ended with {done.code}: {done.err[-500:]}")
        free = shutil.disk_usage(victim.path).free
        if free < LIMITS.vault_disk_reserve_bytes + _LEFT_MAX:
            break
    else:
        scene.fail(f"the disk did not fill up: {free} free")
    halves = list(victim.home.vault_path.rglob("*.part"))
    scene.expect(that=not halves, problem=f"half written shares lie there: {halves}")
    scene.expect(that=truth.is_awake(victim), problem="the full peer died")
    scene.wait("repaired", scene.all_is_well)
    scene.says_no_more_than_true("after the backup")
    scene.restores_identically("with a full peer")


@contextmanager
def small_disk(scene: "Scene") -> Generator[None]:
    """Give the first peer a disk of its own that holds a few shares; that takes root."""
    disk = scene.peers[0].path
    size = LIMITS.vault_disk_reserve_bytes + _ROOM_BYTES
    kept = disk.with_name("kept")
    shutil.copytree(disk, kept)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(disk)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not ended.returncode, f"no small disk can be mounted here: {ended.stderr.strip()}"
    try:
        shutil.copytree(kept, disk, dirs_exist_ok=True)
        yield
    finally:
        scene.village.close()
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S607 - only root's own PATH is asked


def killed(scene: "Scene") -> None:
    """Two peers of six are gone for good; two new ones come, and get what those had."""
    victims = _holders(scene, 2)
    for victim in victims:
        victim.kill()
    scene.begin()
    scene.restores_identically("with two peers gone")
    scene.wait("told", lambda: all(scene.names(victim, "silent") for victim in victims))
    scene.wait("not counted any more", lambda: not _counts_on(scene, victims))
    scene.says_no_more_than_true("with two peers gone")
    new = [scene.village.init(f"new{n}", bootstrap=scene.owner.address) for n in (1, 2)]
    for peer in new:
        peer.configure(market={"reserve": "400MB"})
    scene.village.up(new)
    scene.mark("two new peers were there")
    scene.heals(*victims)


def _counts_on(scene: "Scene", victims: list[Machine]) -> bool:
    gone = {victim.node for victim in victims}
    return any(nodes & gone for nodes in truth.proven(scene.owner).values())


def flips(scene: "Scene") -> None:
    """One peer's disk flips a bit in every share that it keeps."""
    (victim,) = _holders(scene, 1)
    for path in truth.shares_of(victim):
        flip(path, scene.draw.randrange(path.stat().st_size * 8))
    scene.begin()
    scene.restores_identically("with altered shares")
    scene.wait("told", lambda: scene.owner.ask("/v1/health")["audits_failed"] > 0 or scene.names(victim, "wrong"))
    _heals_in_place_or_elsewhere(scene)


def _heals_in_place_or_elsewhere(scene: "Scene") -> None:
    """One who lost shares may get them again where there is no other peer."""
    scene.wait("repaired", scene.all_is_well)
    scene.says_no_more_than_true("after the repair")
    scene.restores_identically("after the repair")


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte[0] ^ (1 << bit % 8)]))


def lies(scene: "Scene") -> None:
    """One peer throws all shares away and makes up the blocks that it is asked for."""
    (victim,) = _holders(scene, 1)
    victim.kill()
    for path in truth.shares_of(victim):
        path.write_bytes(b"\0" * path.stat().st_size)  # the files stay, so that its own start misses none
    lying = [*stripped(), sys.executable, "-m", "tests.e2e.liar", "--home", str(victim.path)]
    with (victim.path / "log" / "liar.log").open("wb") as log:
        process = subprocess.Popen(
            lying, cwd=CHECKOUT, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        assert wait_until(lambda: victim.try_ask("/v1/status") is not None, 60), victim.log()
        scene.begin()
        scene.restores_identically("beside a liar")
        scene.wait("told", lambda: scene.names(victim, "wrong") or bool(scene.owner.ask("/v1/health")["audits_failed"]))
        scene.heals(victim)
    finally:
        process.kill()
        process.wait()


def old(scene: "Scene") -> None:
    """One peer comes back from a copy of its home that is older than the last backup."""
    (victim,) = _holders(scene, 1)
    assert victim.nbctl("down").code == Exit.DONE
    copy = victim.path.with_name("copy")
    shutil.copytree(victim.path, copy, ignore=shutil.ignore_patterns("*.sock"))
    victim.up()
    assert wait_until(lambda: scene.owner.ask("/v1/status")["peers_connected"] >= len(scene.peers), 90), "it stays away"
    scene.change()
    assert scene.owner.nbctl("backup").code == Exit.DONE
    assert wait_until(scene.all_is_well, 90), scene.health()
    assert victim.nbctl("down").code == Exit.DONE
    shutil.rmtree(victim.path)
    copy.rename(victim.path)
    scene.begin()
    victim.up()
    scene.wait("told", lambda: scene.names(victim) or bool(scene.owner.ask("/v1/health")["audits_failed"]))
    scene.restores_identically("beside a peer from an old copy")
    _heals_in_place_or_elsewhere(scene)


def wiped(scene: "Scene") -> None:
    """All shares are deleted at all peers: red, and stored again by the next backup."""
    for peer in scene.peers:
        for path in truth.shares_of(peer):
            path.unlink()
    scene.begin()
    scene.wait("red", lambda: scene.status().code == Exit.BELOW_THRESHOLD)
    scene.wait("told as lost", lambda: scene.health()["lost"] >= 2)
    scene.told.said = [str(line) for line in scene.owner.nbctl("status").out.splitlines()]
    _tells_of_the_loss(scene)
    again = scene.owner.nbctl("backup", "--json")
    scene.mark("stored again")
    scene.expect(that=again.code == Exit.DONE, problem=f"the backup ended with {again.code}: {again.err[-500:]}")
    code = (again.answer["k"], again.answer["n"])
    scene.expect(that=code == (3, 6), problem=f"what was lost is stored again as {code}: {again.answer}")
    scene.wait("repaired", scene.all_is_well)
    scene.says_no_more_than_true("after the upload")
    scene.restores_identically("after the upload")


def _tells_of_the_loss(scene: "Scene") -> None:
    listed = scene.owner.nbctl("snapshots", "--json")
    fates = {row["fate"] for row in listed.answer["snapshots"]}
    scene.expect(that=fates == {"lost"}, problem=f"the snapshots are called {fates}")
    scene.expect(that=listed.code == Exit.BELOW_THRESHOLD, problem=f"snapshots ended with {listed.code}")
    told = scene.owner.nbctl("explain", str(scene.folder), "--json")
    scene.expect(that=told.code == Exit.BELOW_THRESHOLD, problem=f"explain ended with {told.code}: {told.out[-300:]}")
    ended = scene.owner.nbctl("restore", "--target", str(scene.village.folder / "lost"))
    scene.expect(that=ended.code == Exit.FAILED, problem=f"a restore of what is lost ended with {ended.code}")
    scene.expect(that="no peer can bring them back" in ended.err, problem=f"the restore only said {ended.err[-500:]}")


def _holders(scene: "Scene", count: int) -> list[Machine]:
    """Return so many peers that keep shares."""
    return scene.draw.sample([peer for peer in scene.peers if truth.shares_of(peer)], count)


SCENARIOS: Final = {
    "hung": Act(hung),
    "full": Act(full, small_disk),
    "killed": Act(killed),
    "flips": Act(flips),
    "lies": Act(lies),
    "old": Act(old),
    "wiped": Act(wiped),
}
