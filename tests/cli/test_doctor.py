"""At stake: a script that watches a node learns from the exit code whether anything is wrong."""

import json
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import main
from nanobarter.daemon.home import Home
from tests.cli.speaking import spoken
from tests.daemon.fake_node import FakeNode


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_the_exit_code_says_whether_anything_fails(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "doctor")
    assert (code, out) == (Exit.DONE, "ok    disk       1 GB\n")
    node.well = False
    code, out, _ = await spoken(node, home, capsys, "doctor", "--json")
    assert (code, json.loads(out)["ok"]) == (Exit.FAILED, False)


def test_without_a_daemon_it_tells_what_can_be_seen_from_outside(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(home.path), "doctor"]) == Exit.NO_DAEMON
    out = capsys.readouterr().out
    assert "fail  daemon" in out
    assert "-> start it: nbctl up" in out
    assert "seed" in out
