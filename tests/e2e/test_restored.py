"""At stake: a home put back from an old copy, on real daemons: its notes are retired, and nothing is accepted twice."""

import shutil
from collections.abc import Iterator

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from nanobarter.core.ids import parse_node
from tests.e2e.village import READY_SECONDS, Machine, Village, network, village

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made() -> Iterator[Village]:
    with village() as people:
        folder = people.folder / "her folder"
        folder.mkdir()
        (folder / "diary").write_text("a reason to hold notes of others")
        network(people, folder, peers=2)
        yield people


def stop(machine: Machine) -> None:
    ended = machine.nbctl("down")
    assert ended.code == 0, ended


def held(machine: Machine, issuer: Machine) -> int:
    return sum(h["mib"] for h in machine.ask("/v1/wallet")["holdings"] if h["issuer"] == issuer.node)


def generation(machine: Machine) -> int:
    told = machine.try_ask("/v1/mint/keysets")
    return 0 if told is None else int(told["generation"])


@pytest.mark.parametrize(("place", "mark"), [(1, True), (2, False)], ids=["by its own mark", "by its peers"])
def test_a_home_from_an_old_copy_retires_its_notes(made: Village, place: int, *, mark: bool) -> None:
    mint, giver, taker = made.machines[place], made.machines[0], made.machines[3 - place]
    copy = made.folder / f"copy{place}"
    stop(mint)
    shutil.copytree(mint.path, copy)
    mint.up()
    line = giver.nbctl("note", "send", "1MiB", "--issuer", mint.node).out.strip()
    assert taker.ok("note", "receive", line)["state"] == "yours"
    losers = [machine for machine in (giver, taker) if held(machine, mint)]
    assert taker in losers
    stop(mint)
    shutil.rmtree(mint.path)
    shutil.copytree(copy, mint.path)
    if not mark:
        mint.home.mark_path.unlink()
    mint.up()
    assert wait_until(lambda: generation(mint) > 0, READY_SECONDS), mint.log()
    assert "put back from an older copy" in " ".join(mint.ok("status")["problems"])
    for machine in (giver, taker):  # its notes are worth nothing, also those that it has forgotten
        assert wait_until(lambda machine=machine: held(machine, mint) == 0, READY_SECONDS), machine.log()
    for machine in losers:
        told = " ".join(machine.ask("/v1/status")["problems"])
        assert f"of notes went to nothing: {mint.node} was put back from an older copy" in told
    assert wait_until(lambda: giver.nbctl("note", "receive", line).code == Exit.FAILED, READY_SECONDS)
    assert held(giver, mint) == 0
    assert mint.ok("mint", "audit")["ok"]
    assert [row["notes_mib"] for row in mint.ok("offer")["kinds"]] == [0]


def test_the_status_says_that_another_copy_of_the_wallet_is_in_use(made: Village) -> None:
    owner, mint = made.machines[0], made.machines[1]
    assert "another copy" not in " ".join(owner.ask("/v1/status")["problems"])
    stop(owner)
    with owner.edited() as db:  # as after a note that a copy had spent first
        db.execute("INSERT INTO wallet_copies (issuer, at, spent) VALUES (?, 0, 1)", (parse_node(mint.node),))
    owner.up()
    assert "another copy of this wallet is in use: 1 mints saw it" in " ".join(owner.ask("/v1/status")["problems"])
