"""At stake: a person takes her disk back, or lends more of it, while the node runs, is killed, and starts again."""

import shutil

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from nanobarter.daemon.config_file import load_config
from tests.e2e.village import READY_SECONDS, Machine, network, village

pytestmark = pytest.mark.e2e
GB = 10**9


def pledged(machine: Machine) -> dict[str, int]:
    return {row["kind"]: row["pledged_mib"] for row in machine.ok("offer")["kinds"]}


def test_the_pledge_grows_and_shrinks_within_the_law_and_a_restart_keeps_it() -> None:
    with village() as made:
        folder = made.folder / "her folder"
        folder.mkdir()
        (folder / "diary").write_text("a reason to lend to others")
        owner = network(made, folder, peers=2)
        assert pledged(owner) == {"30d": 953}
        owner.ok("offer", "grow", "1GB")
        assert pledged(owner) == {"30d": 1907}
        owner.ok("offer", "grow", "100MiB", "--kind", "7d")
        assert pledged(owner) == {"30d": 1907, "7d": 100}
        kinds = {row["kind"] for row in owner.ok("mint", "keysets")["keysets"]}
        assert kinds == {"30d", "7d"}
        owner.kill()
        owner.up()
        assert pledged(owner) == {"30d": 1907, "7d": 100}
        owner.ok("offer", "shrink", "100MiB", "--kind", "7d")
        assert pledged(owner) == {"30d": 1907}
        peer = made.machines[1].node
        owner.ok("market", "bid", "--gives", "30d", "--wants", f"30d@{peer}", "--quantity", "200MiB")
        assert wait_until(lambda: owner.ask("/v1/offer")["kinds"][0]["notes_mib"] >= 200, READY_SECONDS)
        ended = owner.nbctl("offer", "shrink", "1900MB", "--json")
        assert ended.code == Exit.FAILED, ended
        assert [row["kind"] for row in ended.answer["blocked"]] == ["30d"]
        assert ended.answer["blocked"][0]["ends_first"]
        owner.nbctl("offer", "shrink", "3GB").refused(Exit.USAGE, "cannot shrink by 3.0 GB")
        owner.nbctl("offer", "grow", "999TB").refused(Exit.USAGE, "the disk has")
        most = shutil.disk_usage(owner.path).free * 2 // 3
        owner.ok("offer", "grow", f"{most}B")
        owner.nbctl("offer", "grow", f"{most}B").refused(Exit.USAGE, "the disk has", "could still be filled")
        owner.ok("offer", "shrink", f"{most}B")
        owner.nbctl("offer", "grow", "1GB", "--kind", "8d").refused(Exit.USAGE, "not a lease kind")
        owner.ok("offer", "shrink", "1GB")  # what is left covers all promises
        owner.kill()
        owner.up()
        assert pledged(owner) == {"30d": 953}
        assert load_config(owner.home.config_path).offer.space_bytes == GB
        assert owner.ok("mint", "audit")["ok"]
