"""At stake: what a person keeps, finds and frees of her snapshots, on real daemons and through nothing but nbctl."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nanobarter.cli.node import wait_until
from tests.e2e.test_by_hand import same
from tests.e2e.village import READY_SECONDS, Machine, Village, finish, nbctl, network, start, village

pytestmark = pytest.mark.e2e


@dataclass
class Scene:
    """Five homes, and two backups of the owner's folder between which most of it went."""

    village: Village
    owner: Machine
    folder: Path
    first: str
    second: str


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with village() as made:
        folder = made.folder / "folder"
        (folder / "sub").mkdir(parents=True)
        (folder / "big").write_bytes(random.Random(1).randbytes(12_000_000))
        (folder / "sub" / "letter").write_text("dear reader\n" * 1000)
        owner = network(made, folder, peers=4)
        first = owner.ok("backup")["snapshot_id"]
        (folder / "big").unlink()
        (folder / "new").write_text("new\n")
        yield Scene(made, owner, folder, first, owner.ok("backup")["snapshot_id"])


def at_peers(scene: Scene) -> int:
    """Return how many bytes of shares lie on the peers' disks."""
    vaults = [machine.home.vault_path for machine in scene.village.machines[1:]]
    return sum(path.stat().st_size for vault in vaults for path in vault.rglob("*") if path.is_file())


def test_one_file_and_one_folder_come_back_as_they_were_then(scene: Scene) -> None:
    owner, made = scene.owner, {row["snapshot_id"]: row["at"] for row in scene.owner.ok("snapshots")["snapshots"]}
    assert set(made) == {scene.first, scene.second}
    back, big = scene.village.folder / "one", str(scene.folder / "big")
    owner.nbctl("restore", "--target", str(back), big).refused(2, "none of the paths is in the snapshot")
    then = datetime.fromtimestamp(made[scene.first] / 1000 + 0.001, UTC).isoformat()
    done = owner.ok("restore", "--target", str(back), "--at", then, big)
    assert (done["snapshot_id"], done["files"]) == (scene.first, 1)
    assert [path.stat().st_size for path in back.rglob("*") if path.is_file()] == [12_000_000]
    folder = scene.village.folder / "folder of one"
    assert owner.ok("restore", "--target", str(folder), str(scene.folder / "sub"))["files"] == 1
    assert (folder / "sub" / "letter").read_text() == (scene.folder / "sub" / "letter").read_text()
    plan = owner.ok("plan")
    assert plan["restores"] == 2
    assert 0 < plan["restored_back_ms"] <= time.time() * 1000 - made[scene.first]  # of a version that is not the newest
    early = owner.nbctl("restore", "--target", str(back / "x"), "--at", "2001-01-01")
    early.refused(2, "no snapshot of then")


def test_snapshots_are_listed_searched_compared_checked_and_drilled(scene: Scene) -> None:
    owner, folder = scene.owner, scene.folder
    assert [row["path"] for row in owner.ok("ls")["rows"]] == [str(folder)]
    assert [row["path"] for row in owner.ok("ls", str(folder))["rows"]] == [str(folder / "new"), str(folder / "sub")]
    assert [row["path"] for row in owner.ok("find", "let*")["rows"]] == [str(folder / "sub" / "letter")]
    changes = {path: kind for kind, path in owner.ok("diff", scene.first, scene.second)["changes"]}
    assert changes == {str(folder): "attributes", str(folder / "big"): "removed", str(folder / "new"): "added"}
    assert owner.nbctl("dump", str(folder / "sub" / "letter")).out == (folder / "sub" / "letter").read_text()
    owner.nbctl("dump", str(folder / "sub")).refused(1, "it is not one file")
    told = owner.ok("explain", str(folder / "new"))
    assert (told["verdict"], told["packs"][0]["proven"], len(told["packs"][0]["shares"])) == ("kept", 4, 4)
    told = owner.ok("explain", str(folder / "big"))
    assert (told["verdict"], [row["present"] for row in told["snapshots"]]) == ("gone", [False, True])
    assert owner.nbctl("explain", str(folder.parent / "else"), "--json").code == 1
    checked = owner.ok("check", "--read-data")
    assert checked["read_packs"] == checked["packs"] > 0
    drilled = owner.ok("drill")
    assert (drilled["files"], drilled["compared"], drilled["problem_count"]) == (2, 2, 0)
    assert not list(owner.path.glob("drill-*"))


def test_a_restore_from_the_phrase_killed_in_the_middle_goes_on(scene: Scene) -> None:
    back, peer = scene.village.folder / "killed", scene.village.machines[1]
    command = (
        "--home", str(scene.village.folder / "none"), "restore", "--target", str(back), "--snapshot", scene.first,
        "--phrase-file", str(scene.owner.phrase_file), "--bootstrap", peer.address, "--json",
    )  # fmt: skip

    def begun() -> bool:
        return any(path.stat().st_size > 1_000_000 for path in back.glob(".nanobarter-part-*"))

    def is_cut_off() -> bool:
        process = start(*command)
        wait_until(lambda: begun() or process.poll() is not None, READY_SECONDS, every=0.001)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        finish(process)
        if not list(back.glob(".nanobarter-restore-*")):  # it was quicker than the kill
            shutil.rmtree(back, ignore_errors=True)
        return back.exists()

    assert any(is_cut_off() for _ in range(10))
    ended = nbctl(*command)
    assert ended.code == 0, ended
    assert ended.answer["kept_bytes"] > 0
    assert (back / "big").stat().st_size == 12_000_000
    assert not list(back.glob(".nanobarter-*"))


def test_a_restore_waits_for_peers_who_are_away(scene: Scene) -> None:
    owner, peers = scene.owner, scene.village.machines[1:]
    for peer in peers[1:]:
        peer.kill()
    back = scene.village.folder / "waited"
    gone = owner.nbctl("restore", "--target", str(back), "--patience", "1s")
    assert gone.code == 1, gone
    assert "the same command goes on" in gone.err
    process = start("--home", str(owner.path), "restore", "--target", str(back), "--json")
    assert process.stderr is not None
    assert any("waiting for peers who are away" in line for line in process.stderr)
    scene.village.up(peers[1:])
    ended = finish(process)
    assert ended.code == 0, ended
    same(scene.folder, back)


def test_a_forgotten_snapshot_gives_its_space_back_and_the_others_come_back(scene: Scene) -> None:
    owner, before, used = scene.owner, at_peers(scene), sum(row["used_bytes"] for row in leases(scene))
    assert wait_until(lambda: owner.ask("/v1/status")["peers_connected"] >= 4, READY_SECONDS), owner.ask("/v1/peers")
    told = owner.ok("forget", "--keep", "last 1", "--dry-run")
    assert [row["snapshot_id"] for row in told["forgotten"]] == [scene.first]
    assert len(owner.ok("snapshots")["snapshots"]) == 2
    owner.ok("forget", "--keep", "last 1")
    freed = owner.ok("prune")
    assert freed["waiting_shares"] == 0
    assert before - at_peers(scene) > 20_000_000  # 12 MB as 2-of-4
    assert used - sum(row["used_bytes"] for row in leases(scene)) > 20_000_000
    assert owner.ok("prune")["freed_bytes"] == 0
    back = scene.village.folder / "back"
    owner.ok("restore", "--target", str(back))
    same(scene.folder, back)
    owner.nbctl("restore", "--target", str(back / "none"), "--snapshot", scene.first).refused(2, "no snapshot begins")
    owner.ok("audit")


def leases(scene: Scene) -> list[dict[str, int]]:
    return [row for row in scene.owner.ok("leases")["leases"] if row["side"] == "held"]


def test_with_every_head_lost_the_shares_themselves_bring_it_back(scene: Scene) -> None:
    owner, peers, back = scene.owner, scene.village.machines[1:], scene.village.folder / "scanned"
    words = ("--phrase-file", str(owner.phrase_file), "--bootstrap", peers[0].address)
    policies = scene.village.folder / "policies.toml"
    told = owner.ok("recover", *words, "--config", str(policies))
    kept = [row["snapshot_id"] for row in owner.ok("snapshots")["snapshots"]]
    assert sorted(row["snapshot_id"] for row in told["snapshots"]) == sorted(kept)
    assert policies.read_bytes() == owner.home.config_path.read_bytes()
    owner.kill()
    for peer in peers:
        peer.kill()
        with peer.edited() as db:
            db.execute("DELETE FROM storage_vault_heads")
    scene.village.up(peers)
    asked = ("restore", "--target", str(back), *words)
    owner.nbctl(*asked, "--patience", "1s").refused(6, "--scan looks for what is left of it")
    done = owner.ok(*asked, "--scan", "--snapshot", scene.second)  # forgotten ones may come to light again
    assert done["problem_count"] == 0
    same(scene.folder, back)
