"""At stake: a note that a person hands to another by text, on real daemons that are killed in between."""

from collections.abc import Iterator

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from tests.e2e.village import READY_SECONDS, Machine, Village, network, village

pytestmark = pytest.mark.e2e
SIZE = "5MiB"


@pytest.fixture(scope="module")
def people() -> Iterator[tuple[Village, Machine, Machine, Machine]]:
    with village() as made:
        folder = made.folder / "her folder"
        folder.mkdir()
        (folder / "diary").write_text("a reason to hold notes of others")
        giver = network(made, folder, peers=2)
        _, mint, taker = made.machines
        yield made, giver, mint, taker


def held(machine: Machine, issuer: Machine) -> int:
    rows = machine.ask("/v1/note/list")["notes"]
    return sum(row["mib"] * row["count"] for row in rows if row["issuer"] == issuer.node and row["state"] != "sent")


def waiting(machine: Machine) -> list[object]:
    told = machine.try_ask("/v1/note/list")
    return [None] if told is None else list(told["waiting"])


def send(giver: Machine, mint: Machine) -> str:
    ended = giver.nbctl("note", "send", SIZE, "--kind", "30d", "--issuer", mint.node)
    assert ended.code == 0, (ended, giver.log())
    assert "whoever holds this line owns 5.2 MB of 30d space" in ended.err
    return ended.out.strip()


def test_a_line_is_received_once_and_taken_back_before(people: tuple[Village, Machine, Machine, Machine]) -> None:
    _, giver, mint, taker = people
    line = send(giver, mint)
    assert giver.ok("note", "list", "--lines")["sent"][0]["line"] == line
    assert giver.ok("note", "verify", line, "--ask")["spent_mib"] == 0
    assert giver.ok("note", "receive", line)["state"] == "yours"  # taken back
    taker.nbctl("note", "receive", line).refused(Exit.FAILED, "already spent")
    line = send(giver, mint)
    before = held(taker, mint)
    ended = taker.nbctl("note", "receive", line)
    assert (ended.code, "yours now: 5.2 MB of 30d space" in ended.out) == (Exit.DONE, True), ended
    assert held(taker, mint) >= before + 5  # the keeper may have bartered for more in between
    giver.nbctl("note", "receive", line).refused(Exit.FAILED, "already spent")
    assert giver.nbctl("note", "verify", line, "--ask").code == Exit.FAILED
    giver.nbctl("note", "receive", line[:-8]).refused(Exit.USAGE, "a part is missing or wrong")
    giver.nbctl("note", "receive", "lnbc1234").refused(Exit.USAGE, "this is no note")
    assert giver.ok("note", "list")["sent"] == []


def test_a_line_waits_for_a_dead_mint_and_survives_its_takers_death(
    people: tuple[Village, Machine, Machine, Machine],
) -> None:
    _, giver, mint, taker = people
    line, before = send(giver, mint), held(taker, mint)
    mint.kill()
    ended = taker.nbctl("note", "receive", line)
    assert (ended.code, "not yet safe" in ended.err, "yours" in ended.out.replace("not yours yet", "")) == (
        Exit.NOT_YET,
        True,
        False,
    ), ended
    taker.kill()
    taker.up()
    assert len(waiting(taker)) == 1
    mint.up()
    assert wait_until(lambda: not waiting(taker), READY_SECONDS), (taker.ask("/v1/note/list"), taker.log())
    assert held(taker, mint) >= before + 5  # the keeper may have bartered for more in between


def test_fresh_notes_and_notes_by_the_phrase(people: tuple[Village, Machine, Machine, Machine]) -> None:
    _, giver, mint, _ = people
    assert giver.ok("note", "refresh", "--all")["renewed"]
    assert giver.ok("wallet", "restore")["mib"] == 0  # everything is here already
    assert giver.ok("wallet", "restore", mint.node)["asked"] == 1
