"""At stake: a person agrees to what she was shown, to no more, and hears when it is too late to refuse."""

import json
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.daemon.home import Home
from tests.cli.speaking import spoken
from tests.daemon.fake_node import FakeNode


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_a_draft_is_listed_and_shown_with_its_ring(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "draft", "list")
    assert "100 MiB 30d" in out
    assert code == Exit.DONE
    assert out.splitlines()[1].split()[:3] == ["abababababab", "waits", "for"]
    code, out, _ = await spoken(node, home, capsys, "draft", "show", "abab")
    assert code == Exit.DONE
    assert "you give 100 MiB of 30d of nb1fake and get 50 MiB of 30d of nb1peer" in out
    assert "that is 2 for one" in out
    assert [line.split()[-1] for line in out.splitlines()[-2:]] == ["policy", "asked"]
    assert node.asked == ["draft_list", "draft_show abab"]


async def test_a_word_goes_to_the_daemon_as_it_was_said(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "draft", "approve", "abab", "--quantity", "40MiB", "--json")
    assert (code, json.loads(out)) == (Exit.DONE, {"type": "draft_approve", "draft": "ab" * 32, "mib": 40})
    code, out, _ = await spoken(node, home, capsys, "draft", "approve", "abab")
    assert "at most 100 MiB" in out
    code, out, _ = await spoken(node, home, capsys, "draft", "refuse", "abab")
    assert (code, out) == (Exit.DONE, "draft abababababab is refused\n")
    code, out, err = await spoken(node, home, capsys, "draft", "refuse", "late")
    assert (code, out) == (Exit.FAILED, "")
    assert "your vote is out" in err
    assert node.asked == ["draft_approve abab 40MiB", "draft_approve abab ", "draft_refuse abab", "draft_refuse late"]
