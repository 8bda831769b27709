"""At stake: machines whose database a bad disk has eaten; nothing of their owners or of others may be lost by it."""

import random
from collections.abc import Iterator

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from tests.e2e.test_by_hand import same
from tests.e2e.village import READY_SECONDS, Machine, Village, network, village

pytestmark = pytest.mark.e2e
PAGE = 4096


@pytest.fixture(scope="module")
def made() -> Iterator[Village]:
    with village() as people:
        yield people


def eat(machine: Machine) -> None:
    """Zero every third page behind the first ones, as a dying disk does."""
    raw = bytearray(machine.home.state_path.read_bytes())
    for at in range(5 * PAGE, len(raw), 3 * PAGE):
        raw[at : at + PAGE] = bytes(PAGE)
    machine.home.state_path.write_bytes(raw)


def rebuilt(machine: Machine, *words: str) -> dict[str, object]:
    """Check that a start names the damage and the way on, and go that way."""
    machine.nbctl("up").refused(Exit.FAILED, str(machine.home.state_path), *words, "nbctl rebuild")
    return machine.ok("rebuild")


def problems(machine: Machine) -> str:
    return " ".join(machine.ask("/v1/status")["problems"])


def given(machine: Machine) -> bool:
    return any(row["side"] == "given" for row in machine.ask("/v1/leases")["leases"])


def test_an_owner_and_a_peer_get_over_the_loss_of_their_databases(made: Village) -> None:
    folder = made.folder / "folder"
    folder.mkdir()
    for number in range(5):
        (folder / str(number)).write_bytes(random.Random(number).randbytes(300_000))
    owner = network(made, folder, peers=2)
    peer = made.machines[1]
    first = owner.ok("backup")["snapshot_id"]
    for machine in (owner, peer):
        assert machine.nbctl("down").code == 0
    shares = sum(path.is_file() for path in peer.home.vault_path.rglob("*"))
    assert shares

    eat(owner)
    told = rebuilt(owner, "is damaged")
    assert str(told["kept_as"]).startswith(str(owner.path / "state.db.damaged-"))
    for name in ("state.db", "state.db-wal"):
        (peer.path / name).unlink(missing_ok=True)
    told = rebuilt(peer, "is gone")
    assert (told["kept_as"], told["mint"], told["shares_waiting"]) == (None, "new generation", shares)
    made.up([owner, peer])

    assert wait_until(lambda: "index of your backups" not in problems(owner), READY_SECONDS), owner.log()
    # An index from peers has no proofs: until they have answered the first audit, what they keep counts as away.
    assert wait_until(lambda: owner.nbctl("snapshots").code == 0, READY_SECONDS), (owner.ask("/v1/peers"), owner.log())
    assert [row["snapshot_id"] for row in owner.ok("snapshots")["snapshots"]] == [first]
    owner.ok("restore", "--target", str(made.folder / "back"))
    same(folder, made.folder / "back")
    # The peer knows no lease until the owner has shown it what she paid for; then every share is proven again.
    assert wait_until(lambda: given(peer), READY_SECONDS), (owner.log(), peer.log())
    assert wait_until(lambda: owner.nbctl("audit").code == 0, READY_SECONDS), (owner.log(), peer.log())
    (folder / "later").write_text("one more\n")
    second = owner.ok("backup")["snapshot_id"]
    assert [row["snapshot_id"] for row in owner.ok("snapshots")["snapshots"]] == [first, second]
    for machine in (owner, peer):
        assert machine.ok("mint", "audit")["ok"]
    assert owner.nbctl("down").code == 0
    owner.nbctl("rebuild").refused(Exit.USAGE, "nothing is wrong")
