"""A person who gives her machine away must not take others' files with her, also if it fails on the way out."""

import os

import pytest

from nanobarter.cli.node import wait_until
from tests.e2e.test_by_hand import same
from tests.e2e.village import COMMAND_SECONDS, READY_SECONDS, Machine, issuers, network, village

pytestmark = pytest.mark.e2e


def is_left(machine: Machine) -> bool:
    told = machine.try_ask("/v1/leave")
    return told is not None and bool(told["done"])


def test_who_leaves_is_free_to_go_when_others_keep_what_it_kept() -> None:
    with village() as made:
        folder = made.folder / "folder"
        folder.mkdir()
        (folder / "photo").write_bytes(os.urandom(1_500_000))
        owner = network(made, folder, peers=2)
        assert owner.ok("backup")["n"] == 2
        goes = made.machines[1]
        assert goes.ok("leave", "--status")["shares"] > 0
        assert goes.ok("leave")["leaving"]
        goes.kill()
        goes.up()
        assert goes.ok("leave", "--status")["leaving"]
        newcomer = made.init("newcomer", bootstrap=owner.address)
        newcomer.configure(market={"reserve": "500MB"})
        newcomer.up()
        assert wait_until(lambda: newcomer.node in issuers(owner), READY_SECONDS), owner.ask("/v1/market")
        assert wait_until(lambda: is_left(goes), COMMAND_SECONDS), (goes.ask("/v1/leave"), owner.ask("/v1/health"))
        for machine in (goes, made.machines[2]):  # the one that came must have it all
            machine.kill()
        back = made.folder / "back"
        assert owner.ok("restore", "--target", str(back))["problem_count"] == 0
        same(folder, back)
