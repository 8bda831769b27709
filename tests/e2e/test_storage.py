"""At stake: what a person keeps, finds and frees of her snapshots, on real daemons and through nothing but nbctl."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_by_hand import same
from tests.e2e.village import Machine, Village, network, village

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


def test_a_forgotten_snapshot_gives_its_space_back_and_the_others_come_back(scene: Scene) -> None:
    owner, before, used = scene.owner, at_peers(scene), sum(row["used_bytes"] for row in leases(scene))
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
