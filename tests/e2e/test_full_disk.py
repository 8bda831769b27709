"""At stake: a full disk, at home or at a stranger's, may cost a backup and nothing else; with room it goes on."""

import os
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.last_words import last_words
from nanobarter.cli.node import wait_until
from tests.e2e.village import READY_SECONDS, Machine, Village, network, village

pytestmark = pytest.mark.e2e

DISK_BYTES = {  # less than a vault leaves free for its node holds a node and no share; more is enough to lend a little
    "owner": 512 * 1024 * 1024,
    "peer1": 32 * 1024 * 1024,
}


@dataclass
class Scene:
    """An owner and a peer on small disks of their own, and four peers with room."""

    village: Village
    owner: Machine
    folder: Path

    @property
    def small(self) -> Machine:
        return self.village.machines[1]


@pytest.fixture(scope="module")
def scene() -> Generator[Scene]:
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("a small disk is mounted, and that takes root")
    mounted = list[Path]()
    with village() as made:
        try:
            for name, size in DISK_BYTES.items():
                _mount(made.folder / name, size)
                mounted.append(made.folder / name)
            folder = made.folder / "folder"
            folder.mkdir()
            (folder / "file").write_bytes(os.urandom(1_000_000))
            yield Scene(made, network(made, folder, silent=1), folder)
        finally:
            made.close()
            for disk in mounted:
                subprocess.run(["umount", str(disk)], check=True)  # noqa: S607 - only root's own PATH is asked


def _mount(disk: Path, size: int) -> None:
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(disk)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.skip(f"no small disk can be mounted here: {ended.stderr.strip()}")


def fill(machine: Machine) -> Path:
    """Leave not one byte on a machine's disk."""
    ballast = machine.path / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


def lives_or_said_why(machine: Machine) -> bool:
    """Tell whether the daemon runs; one that ended must have said in one line that the disk is full."""
    if machine.try_ask("/v1/status"):
        return True
    assert wait_until(lambda: machine.home.running_pid() is None, READY_SECONDS), machine.log()
    message, hint = last_words(machine.home)
    assert ("full" in message, "free some space" in hint) == (True, True), (message, hint)
    assert "Traceback" not in (machine.path / "log" / "start.log").read_text()
    return False


def revive(machine: Machine, ballast: Path) -> None:
    """Make room and start anew: a daemon that still lives may be about to meet what the full disk did to it."""
    if lives_or_said_why(machine):
        machine.nbctl("down")
        assert wait_until(lambda: machine.home.running_pid() is None, READY_SECONDS), machine.log()
    ballast.unlink()
    machine.up()


def change(scene: Scene, name: str) -> None:
    (scene.folder / name).write_bytes(os.urandom(700_000))


def same_as_restored(scene: Scene, name: str) -> None:
    target = scene.village.folder / name
    done: dict[str, Any] = scene.owner.ok("restore", "--target", str(target))
    assert done["problem_count"] == 0
    for file in scene.folder.iterdir():
        assert (target / file.name).read_bytes() == file.read_bytes()


def test_a_peer_without_room_offers_nothing_and_the_others_keep_everything(scene: Scene) -> None:
    assert scene.small.node not in {bid["node"] for bid in scene.owner.ask("/v1/market")["bids"]}
    done = scene.owner.ok("backup")
    assert (done["outcome"], done["thin"]) == ("complete", True)
    health = scene.owner.ok("audit")
    assert scene.small.node not in {holder["node"] for holder in health["holders"] if holder["shares"]}
    assert health["shares_proven"] >= (health["n"] - 1) * health["packs"]
    assert [path for path in scene.small.home.vault_path.rglob("*") if path.is_file()] == []
    assert scene.small.ok("mint", "audit")["ok"]
    same_as_restored(scene, "without the small one")


def test_a_peer_whose_disk_is_full_harms_nobody_and_starts_again(scene: Scene) -> None:
    ballast = fill(scene.small)
    change(scene, "while a peer is full")
    assert scene.owner.ok("backup")["outcome"] == "complete"
    same_as_restored(scene, "while a peer was full")
    revive(scene.small, ballast)
    assert scene.small.ok("mint", "audit")["ok"]
    assert [path for path in scene.small.home.vault_path.rglob("*") if path.is_file()] == []


def test_an_owner_whose_disk_is_full_is_told_and_goes_on_once_there_is_room(scene: Scene) -> None:
    before: list[object] = scene.owner.ok("snapshots")["snapshots"]
    assert scene.owner.nbctl("down").code == Exit.DONE  # a fresh write-ahead log has no pages to use again
    scene.owner.up()
    assert wait_until(lambda: scene.owner.ask("/v1/status")["peers_connected"] >= 5, READY_SECONDS), (
        scene.owner.ask("/v1/peers"),
        [m.try_ask("/v1/peers") for m in scene.village.machines],
    )
    ballast = fill(scene.owner)
    change(scene, "while the owner is full")
    ended = scene.owner.nbctl("backup")
    assert ended.code in (Exit.FAILED, Exit.NO_DAEMON)  # the daemon may have met the full disk before
    ended.refused(ended.code, "full", "free some space")
    revive(scene.owner, ballast)
    assert len(scene.owner.ok("snapshots")["snapshots"]) == len(before)
    assert wait_until(lambda: scene.owner.ask("/v1/status")["peers_connected"] >= 5, READY_SECONDS), (
        scene.owner.ask("/v1/peers"),
        [m.try_ask("/v1/peers") for m in scene.village.machines],
    )
    assert scene.owner.ok("backup")["outcome"] == "complete"
    same_as_restored(scene, "after the owner was full")
    assert scene.owner.ok("mint", "audit")["ok"]
