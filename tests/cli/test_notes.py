"""At stake: notes are money: a line must reach its taker whole, and "yours" be said only when it is so."""

import io
import json
import stat
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.daemon import facade_notes as f
from nanobarter.daemon.home import Home
from tests.cli.speaking import spoken
from tests.daemon.fake_node import FakeNode

WAITING = f.NoteReceived(state="waiting", issuer="nb1peer", kind="", mib=5, problem="no answer")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_the_line_is_alone_on_stdout_and_its_danger_on_stderr(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    code, out, err = await spoken(node, home, capsys, "note", "send", "5MiB", "--kind", "30d")
    assert (code, out, node.asked) == (Exit.DONE, "nbn1line\n", ["note_send 5MiB 30d "])
    assert "whoever holds this line owns 5.2 MB of 30d space at nb1peer" in err
    assert "nbn1" not in err
    code, out, _ = await spoken(node, home, capsys, "note", "send", "5MiB", "--json")
    assert json.loads(out)["line"] == "nbn1line"
    code, out, err = await spoken(node, home, capsys, "note", "send", "9TB")
    assert (code, out) == (Exit.NO_CREDIT, "")


async def test_a_line_is_drawn_and_saved_where_only_its_owner_reads_it(
    home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    node, picture = FakeNode(), tmp_path / "note.png"
    code, out, err = await spoken(node, home, capsys, "note", "send", "5", "--qr", "--qr-file", str(picture))
    assert (code, out) == (Exit.DONE, "nbn1line\n")
    assert "\u2580" in err
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    assert picture.read_bytes()[:4] == b"\x89PNG"
    node.asked.clear()
    for wrong in (picture, tmp_path / "note.gif"):  # told before any note leaves the wallet
        code, _, _ = await spoken(node, home, capsys, "note", "send", "5", "--qr-file", str(wrong))
        assert (code, node.asked) == (Exit.USAGE, [])


async def test_a_line_too_long_for_a_code_is_shown_all_the_same(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    node.notes.line = "nbn1" + "x" * 5000
    code, out, err = await spoken(node, home, capsys, "note", "send", "5", "--qr")
    assert (code, out.strip()) == (Exit.FAILED, node.notes.line)
    assert "too long for a QR code" in err


async def test_yours_is_said_only_with_the_receipt(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode()
    code, out, err = await spoken(node, home, capsys, "note", "receive", "nbn1line")
    assert (code, out, err) == (Exit.DONE, "yours now: 5.2 MB of 30d space at nb1peer\n", "")
    node.notes.received = WAITING
    code, out, err = await spoken(node, home, capsys, "note", "receive", "nbn1line")
    assert code == Exit.NOT_YET
    assert "yours now" not in out
    assert "not yet safe: no answer" in err
    code, out, err = await spoken(node, home, capsys, "note", "receive", "nbn1spent")
    assert (code, out, err) == (Exit.FAILED, "", "nbctl: already spent\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("nbn1\nli ne\n"))
    await spoken(node, home, capsys, "note", "receive")
    assert node.asked[-1] == "note_receive nbn1\nli ne\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert (await spoken(node, home, capsys, "note", "receive", "-"))[0] == Exit.USAGE


async def test_what_is_spent_or_fails_is_an_exit_code(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    assert (await spoken(node, home, capsys, "note", "verify", "nbn1line"))[0] == Exit.DONE
    assert (await spoken(node, home, capsys, "note", "verify", "nbn1line", "--ask"))[0] == Exit.DONE
    node.notes.spent = 5
    code, out, _ = await spoken(node, home, capsys, "note", "verify", "nbn1line", "--ask")
    assert (code, "spent: 5.2 MB of it" in out) == (Exit.FAILED, True)
    for words in (["note", "refresh", "--all"], ["wallet", "restore"], ["wallet", "restore", "nb1peer"]):
        node.notes.problem = ""
        assert (await spoken(node, home, capsys, *words))[0] == Exit.DONE
        node.notes.problem = "silence"
        code, out, _ = await spoken(node, home, capsys, *words, "--json")
        assert code == Exit.FAILED
        assert "silence" in out


async def test_lines_are_shown_only_when_asked_for(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = await spoken(FakeNode(), home, capsys, "note", "list")
    assert "nbn1" not in out
    assert all(word in out for word in ("3 x 4 MiB", "line sent", "not yet ours", "silence"))
    _, out, _ = await spoken(FakeNode(), home, capsys, "note", "list", "--lines")
    assert "nbn1line" in out.splitlines()
