"""At stake: a person who asks for her disk back is told what she has promised, and till when."""

import json
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.daemon.home import Home
from tests.cli.speaking import spoken
from tests.daemon.fake_node import FakeNode
from tests.daemon.fake_pledge import BLOCKED


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_a_change_is_asked_for_and_what_forbids_it_is_told(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    code, out, err = await spoken(node, home, capsys, "offer", "grow", "5GB")
    assert (code, err) == (Exit.DONE, "")
    assert "30d" in out
    await spoken(node, home, capsys, "offer", "shrink", "5GB", "--kind", "7d")
    assert node.asked == ["offer_change 5GB  True", "offer_change 5GB 7d False"]
    node.pledge.blocked = (BLOCKED,)
    code, out, err = await spoken(node, home, capsys, "offer", "shrink", "5GB")
    assert code == Exit.FAILED
    assert "notes  41.9 MB  1970-01-02 00:00" in out
    assert "nothing was changed" in err
    code, out, _ = await spoken(node, home, capsys, "offer", "shrink", "5GB", "--json")
    assert (code, json.loads(out)["changed"]) == (Exit.FAILED, False)


async def test_keysets_show_their_windows_and_what_is_out(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = await spoken(FakeNode(), home, capsys, "mint", "keysets")
    assert "issuing" in out
    assert "1..2 MiB" in out
    assert out.splitlines()[-1].startswith("generation 0; the next keys are made at")
