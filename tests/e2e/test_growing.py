"""Who began among two strangers must not depend on those two for ever: more peers make old files safer."""

import os

import pytest

from nanobarter.cli.node import wait_until
from tests.e2e.village import READY_SECONDS, issuers, network, village

pytestmark = pytest.mark.e2e


def test_what_was_stored_among_few_peers_is_stored_again_when_more_have_come() -> None:
    with village() as made:
        folder = made.folder / "folder"
        folder.mkdir()
        (folder / "photo").write_bytes(os.urandom(1_500_000))
        owner = network(made, folder, peers=2)
        first = owner.ok("backup")
        assert (first["k"], first["n"], first["thin"]) == (1, 2, True)
        assert owner.ok("backup")["packs"] <= 1  # the snapshot; nothing was outgrown
        newcomers = [made.init(f"newcomer{n}", bootstrap=owner.address) for n in range(3)]
        for newcomer in newcomers:
            newcomer.configure(market={"reserve": "500MB"})
        made.up(newcomers)
        news = {newcomer.node for newcomer in newcomers}
        assert wait_until(lambda: news <= issuers(owner), READY_SECONDS), owner.ask("/v1/market")
        second = owner.ok("backup")
        assert (second["k"], second["n"]) == (2, 5)
        for machine in (*made.machines[1:3], newcomers[0], owner):
            machine.kill()  # both first peers among them
        target = made.folder / "restored"
        phrase, living = str(owner.phrase_file), newcomers[1].address
        done = made.init("elsewhere", folder).ok(
            "restore", "--phrase-file", phrase, "--bootstrap", living, "--target", str(target)
        )
        assert done["problem_count"] == 0
        assert (target / "photo").read_bytes() == (folder / "photo").read_bytes()
