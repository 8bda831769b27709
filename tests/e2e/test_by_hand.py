"""At stake: what a person does by hand, on real daemons: a backup at strangers, two of them lost, all of it back."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nanobarter.cli.demo_folder import differences, survey
from nanobarter.cli.demo_nodes import remove_tree
from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from nanobarter.storage.ports import SHARE_SIZES
from nanobarter.storage.share import HEADER_BYTES
from tests.e2e.folders import DIARY_LINE, LONG_NAME, SECRET_NAMES, attributes, odd_folder
from tests.e2e.village import READY_SECONDS, Machine, Village, is_held_to_modes, issuers, nbctl, network, village

pytestmark = pytest.mark.e2e


@dataclass
class Scene:
    """Six homes, and the first backup of the owner's folder."""

    village: Village
    owner: Machine
    folder: Path
    done: dict[str, Any]

    @property
    def peers(self) -> list[Machine]:
        return self.village.machines[1:6]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with village() as made:
        folder = odd_folder(made.folder / "her folder")
        owner = network(made, folder)
        yield Scene(made, owner, folder, owner.ok("backup"))


def same(source: Path, restored: Path) -> None:
    """Check that two folders are the same: by our own comparison, and by rsync where there is one."""
    assert differences(survey(source), survey(restored)) == []
    assert attributes(source) == attributes(restored)
    if shutil.which("rsync"):
        command = ["rsync", "-naHAX", "--checksum", "--delete", "-i", f"{source}/", f"{restored}/"]
        ended = subprocess.run(command, capture_output=True, check=False)
        assert (ended.returncode, ended.stdout) == (0, b""), ended


def test_the_backup_is_at_all_peers(scene: Scene) -> None:
    assert (scene.done["outcome"], scene.done["k"], scene.done["n"]) == ("complete", 2, 5)
    health = scene.owner.ok("audit")
    assert health["state"] == "thin"  # five peers hold all shares, and five are fewer than one would wish
    assert health["shares_proven"] == health["shares_placed"] == 5 * health["packs"]


def test_a_peers_disk_shows_nothing_of_the_folder(scene: Scene) -> None:
    secrets = [
        DIARY_LINE.split("{")[0],
        "third plum tree",
        "an island",
        "not UTF-8",
        *SECRET_NAMES,
        LONG_NAME,
        "her folder",
    ]
    needles = [text.encode() for text in secrets]
    sizes = {HEADER_BYTES + size for size in SHARE_SIZES}
    shares = 0
    for peer in scene.peers:
        files = [path for path in peer.path.rglob("*") if path.is_file()]
        in_vault = [path for path in files if peer.home.vault_path in path.parents]
        assert {path.stat().st_size for path in in_vault} <= sizes
        shares += len(in_vault)
        for path in files:
            data = path.read_bytes()
            assert not [needle for needle in needles if needle in data], path
    assert shares >= 5


def test_an_unchanged_folder_adds_no_data_and_a_changed_file_comes_back_in_both_versions(scene: Scene) -> None:
    owner, folder = scene.owner, scene.village.folder / "changing"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / name).write_text(f"{name} as it was\n" * 1000)
    first = owner.ok("backup", str(folder))
    again = owner.ok("backup", str(folder))
    assert first["new_bytes"] > 0
    assert (again["new_bytes"], again["outcome"]) == (0, "complete")
    (folder / "one").write_text("one, changed\n")
    changed = owner.ok("backup", str(folder))
    assert changed["new_bytes"] > 0
    old, new = scene.village.folder / "old", scene.village.folder / "new"
    owner.ok("restore", "--target", str(new))
    same(folder, new)
    owner.ok("restore", "--target", str(old), "--snapshot", first["snapshot_id"][:12])
    assert (old / "one").read_text() == "one as it was\n" * 1000
    assert (old / "two").read_text() == (folder / "two").read_text()
    listed = [row["snapshot_id"] for row in owner.ok("snapshots")["snapshots"]]
    assert {first["snapshot_id"], changed["snapshot_id"]} <= set(listed)


def test_one_altered_byte_is_caught_named_and_repaired_elsewhere(scene: Scene) -> None:
    owner, peer = scene.owner, scene.peers[0]
    spare = scene.village.init("spare", bootstrap=owner.address)  # five peers hold a share of each pack already
    spare.configure(market={"reserve": "500MB"})
    spare.up()
    assert wait_until(lambda: spare.node in issuers(owner), READY_SECONDS), owner.ask("/v1/market")
    share = max(peer.home.vault_path.rglob("*"), key=lambda path: path.stat().st_size)
    with share.open("r+b") as file:
        file.seek(share.stat().st_size // 3)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    caught = owner.nbctl("audit", "--json")
    assert caught.code == Exit.FAILED, caught
    assert caught.answer["audits_failed"] == 1
    found = {(problem["kind"], problem["node"]) for problem in caught.answer["problems"]}
    assert found == {("wrong", peer.node)}
    assert wait_until(lambda: _healed(owner), READY_SECONDS), owner.ask("/v1/health")
    assert owner.nbctl("audit").code == Exit.DONE


def _healed(owner: Machine) -> bool:
    health = owner.ask("/v1/health")
    wanted = health["packs"] * 5
    return not health["problems"] and health["shares_proven"] >= wanted


@pytest.mark.skipif(not is_held_to_modes(), reason="root reads everything, and there is no setpriv to make it less")
def test_what_cannot_be_read_is_named_and_the_rest_is_safe(scene: Scene) -> None:
    folder = scene.village.folder / "locked"
    (folder / "shut").mkdir(parents=True)
    for name in ("open", "secret", "shut/inside"):
        (folder / name).write_text(f"{name}\n")
    (folder / "secret").chmod(0)
    (folder / "shut").chmod(0)
    ended = scene.owner.nbctl("backup", str(folder), "--json")
    assert ended.code == Exit.PARTLY_READ, ended
    assert (ended.answer["outcome"], ended.answer["unread_count"]) == ("partial", 2)
    assert sorted(line.split(":")[0].rsplit("/", 1)[-1] for line in ended.answer["unread"]) == ["secret", "shut"]
    back = scene.village.folder / "unlocked"
    scene.owner.ok("restore", "--target", str(back), "--snapshot", ended.answer["snapshot_id"])
    assert (back / "open").read_text() == "open\n"
    assert not (back / "secret").exists()
    assert not (back / "shut" / "inside").exists()


def test_two_peers_and_the_owner_are_lost_and_the_phrase_brings_everything(scene: Scene) -> None:
    dead, living = scene.peers[-2:], scene.peers[:-2]
    for machine in (*dead, scene.owner):
        machine.kill()
    remove_tree(scene.owner.path)
    back = scene.village.folder / "back"
    ended = nbctl(
        "--home", str(scene.village.folder / "seventh"), "restore", "--target", str(back), "--json",
        "--phrase-file", str(scene.owner.phrase_file), "--bootstrap", living[0].address,
        "--snapshot", scene.done["snapshot_id"],
    )  # fmt: skip
    assert ended.code == 0, ended
    assert (ended.answer["problem_count"], ended.answer["files"]) == (0, scene.done["files"])
    same(scene.folder, back)
    assert not (scene.village.folder / "seventh").exists()
    scene.village.up(dead)
    for machine in scene.peers:
        assert machine.ok("mint", "audit")["ok"]
