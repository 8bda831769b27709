"""At stake: when all peers have thrown everything away, every command must say so, and a backup must mend it."""

import random

import pytest

from nanobarter.cli.node import wait_until
from tests.e2e import truth
from tests.e2e.test_by_hand import same
from tests.e2e.village import READY_SECONDS, network, village

pytestmark = pytest.mark.e2e


def test_what_all_peers_have_lost_is_called_lost_and_stored_again_under_the_same_code() -> None:
    with village() as made:
        folder = made.folder / "folder"
        folder.mkdir()
        (folder / "photo").write_bytes(random.Random(3).randbytes(300_000))
        owner = network(made, folder, peers=2)
        first = owner.ok("backup")
        for peer in made.machines[1:]:
            for path in truth.shares_of(peer):
                path.unlink()
        assert owner.nbctl("audit").code == 4
        listed = owner.nbctl("snapshots", "--json")
        assert (listed.code, [row["fate"] for row in listed.answer["snapshots"]]) == (4, ["lost"])
        assert owner.nbctl("explain", str(folder / "photo")).code == 4
        ended = owner.nbctl("restore", "--target", str(made.folder / "none"))
        assert ended.code == 1
        assert "no peer can bring them back" in ended.err
        assert "waiting" not in ended.err
        again = owner.ok("backup")
        assert (again["k"], again["n"], again["stepped_down"]) == (first["k"], first["n"], "")
        assert wait_until(lambda: owner.nbctl("snapshots").code == 0, READY_SECONDS), owner.nbctl("snapshots")
        owner.ok("restore", "--target", str(made.folder / "back"))
        same(folder, made.folder / "back")
