"""At stake: a person who frees space must be told exactly what goes, and a script whether all of it went."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import main
from nanobarter.core.pathtext import path_bytes
from nanobarter.core.phrase import make_phrase, seed_of
from nanobarter.core.system import SeededEntropy
from nanobarter.daemon import facade as f
from nanobarter.daemon.facade_backup import Fate
from nanobarter.daemon.home import Home
from tests.cli.test_commands import spoken
from tests.daemon.fake_node import FakeNode


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_forget_names_what_goes_and_why_the_rest_stays(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    node.storage.forgotten = msgspec.structs.replace(node.storage.forgotten, dry_run=True)
    code, out, _ = await spoken(node, home, capsys, "forget", "--keep", "daily 1", "--dry-run")
    assert code == Exit.DONE
    assert node.asked == ["forget  keep=daily 1 dry=True"]
    for words in ("abababababab", "/home/ada", "kept: last, daily", "1 would be forgotten, 1 kept"):
        assert words in out


async def test_forget_can_free_the_space_at_once(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "forget", "abab", "--prune", "--json")
    assert (code, json.loads(out)["type"]) == (Exit.DONE, "prune")
    assert node.asked == ["forget abab keep= dry=False", "prune dry=False"]


async def test_prune_fails_when_something_stays_to_be_done(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "prune")
    assert (code, "1.0 MB at peers freed" in out) == (Exit.DONE, True), out
    node.storage.pruned = msgspec.structs.replace(node.storage.pruned, short="no room")
    code, out, _ = await spoken(node, home, capsys, "prune")
    assert (code, "not finished: no room" in out) == (Exit.FAILED, True)


async def test_what_is_looked_at_is_shown_and_its_exit_code_tells(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    for words, told in (
        (["ls", "/home/ada"], "0644 ada"),
        (["find", "*.jpg"], "/home/ada/x"),
        (["diff", "ab", "cd"], "+ /home/ada/new"),
        (["check"], "all is there"),
        (["drill", "--files", "3"], "2 of them were compared"),
    ):
        code, out, _ = await spoken(node, home, capsys, *words)
        assert (code, told in out) == (Exit.DONE, True), out
        code, out, _ = await spoken(node, home, capsys, *words, "--json")
        assert json.loads(out)["type"], words
    change = msgspec.structs.replace
    node.storage.listing = change(node.storage.listing, rows=())
    assert (await spoken(node, home, capsys, "find", "none"))[0] == Exit.FAILED
    node.storage.checked = change(node.storage.checked, below_threshold=1)
    assert (await spoken(node, home, capsys, "check"))[0] == Exit.BELOW_THRESHOLD
    node.storage.checked = change(node.storage.checked, damaged=("pack ab: gone",))
    assert (await spoken(node, home, capsys, "check", "--read-data"))[0] == Exit.FAILED
    node.storage.drilled = change(node.storage.drilled, problem_count=1, problems=("/x: lost",))
    assert (await spoken(node, home, capsys, "drill"))[0] == Exit.FAILED


async def test_an_explanation_names_the_rule_its_line_and_the_peers(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "explain", "/home/ada/../ada/x")
    assert (code, node.asked) == (Exit.DONE, ["explain /home/ada/x"])
    for words in ("kept, the newest snapshot has it", "abababababab", "any 1 of 2", "nb1peer: held, proven 1970-01-01"):
        assert words in out
    code, out, _ = await spoken(node, home, capsys, "explain", "/home/ada/y.tmp")
    assert (code, 'rule: exclude = "*.tmp", line 7 of config.toml' in out) == (Exit.FAILED, True), out
    node.storage.explained = msgspec.structs.replace(node.storage.explained, below_threshold=1)
    code, out, _ = await spoken(node, home, capsys, "explain", "/home/ada/x", "--json")
    assert (code, json.loads(out)["type"]) == (Exit.BELOW_THRESHOLD, "explain")


def test_a_phrase_is_told_from_that_of_another_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phrases = [make_phrase(SeededEntropy(number, "phrase")) for number in range(2)]
    Home.create(tmp_path / "mine", seed_of(phrases[0]), "")
    for number, (phrase, code) in enumerate(
        ((phrases[0], Exit.DONE), (phrases[1], Exit.FAILED), ("twelve words", Exit.USAGE))
    ):
        (tmp_path / f"{number}").write_text(phrase)
        asked = ["--home", str(tmp_path / "mine"), "key", "verify", "--phrase-file", str(tmp_path / f"{number}")]
        assert main(asked) == code
        said = capsys.readouterr()
        assert phrase.split()[5 % len(phrase.split())] not in said.out + said.err or code == Exit.USAGE


async def test_a_drill_that_failed_is_red_until_one_that_did_not(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    node.drill_now = f.DrillRow(at=60_000, files=19, problem_count=1, problems=("/x: lost",))
    code, out, _ = await spoken(node, home, capsys, "status")
    assert (code, "FAILED on 1970-01-01 00:01: 1 did not come back" in out) == (Exit.FAILED, True), out
    node.drill_now = f.DrillRow(at=60_000, files=20, compared=18)
    node.bandwidth_now = f.Bandwidth(upload_bytes_s=2 * 2**20, hours="07:00-23:00", in_force=True)
    code, out, _ = await spoken(node, home, capsys, "status")
    assert (code, "20 files came back on 1970-01-01 00:01, 18 compared" in out) == (Exit.DONE, True), out
    assert "bandwidth 2.1 MB/s up, unlimited down at 07:00-23:00, now" in out


async def test_a_node_leaves_stays_after_all_or_tells(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "leave", "--status")
    assert (code, node.asked, "this node stays" in out) == (Exit.DONE, [], True)
    code, out, _ = await spoken(node, home, capsys, "leave")
    assert (code, "the last lease ends 1970-01-01 00:01" in out) == (Exit.DONE, True), out
    assert "5.2 MB, which are worth nothing" in out
    code, out, err = await spoken(node, home, capsys, "leave", "--wait", "--json")
    assert (code, json.loads(out)["done"], "leaving 1 of 3 shares" in err) == (Exit.DONE, True, True)
    code, out, _ = await spoken(node, home, capsys, "leave", "--cancel")
    assert (code, node.asked) == (Exit.DONE, ["leave", "leave", "stay"])


async def test_a_name_that_is_no_text_reaches_the_node(
    home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    node, odd = FakeNode(), os.fsdecode(b"/home/\xff\xfe bad")
    target = tmp_path / os.fsdecode(b"\xfd back")
    code, _, err = await spoken(node, home, capsys, "restore", "--target", str(target), odd, "--json")
    assert code == Exit.DONE, err
    assert [path_bytes(path) for path in node.storage.wishes[0].paths] == [os.fsencode(odd)]
    assert path_bytes(node.storage.wishes[0].target) == os.fsencode(target)
    for words in ("ls", "find", "explain"):
        node.asked.clear()
        code, _, err = await spoken(node, home, capsys, words, odd)
        assert code == Exit.DONE, err
        assert os.fsencode(odd) in path_bytes(node.asked[0])


async def test_what_is_lost_is_not_told_as_what_cannot_be_read_now(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node = FakeNode()
    node.storage.listing = msgspec.structs.replace(node.storage.listing, lost=("/gone", "/away"), gone=("/gone",))
    code, _, err = await spoken(node, home, capsys, "ls")
    assert code == Exit.FAILED
    assert err.splitlines() == [
        "nbctl: /gone is lost: no peer can bring it back",
        "nbctl: /away cannot be read now",
    ]


async def test_a_name_cannot_forge_lines_or_move_the_cursor(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node, name, change = FakeNode(), "/home/ada/a\nb\x1b[2J\x9b\u202e é 🐟", msgspec.structs.replace
    (row,) = node.storage.listing.rows
    node.storage.listing = change(node.storage.listing, rows=(change(row, path=name),), lost=(name,))
    node.storage.differences = change(node.storage.differences, changes=(("added", name),))
    for words in (["ls"], ["find", "a*"], ["diff", "ab", "cd"]):
        _, out, err = await spoken(node, home, capsys, *words)
        assert out.endswith(r"/home/ada/a\nb\x1b[2J\x9b\u202e é 🐟" + "\n"), out
        assert len(out.splitlines()) == 1
        assert "\x1b" not in err
        assert len(err.splitlines()) <= 1
        _, out, _ = await spoken(node, home, capsys, *words, "--json")
        told = json.loads(out)
        assert name in (told["rows"][0]["path"] if "rows" in told else told["changes"][0])


@pytest.mark.parametrize(
    ("fate", "code", "word"),
    [
        ("whole", Exit.DONE, "complete"),
        ("away", Exit.BELOW_THRESHOLD, "too few peers prove it"),
        ("part", Exit.BELOW_THRESHOLD, "PARTLY LOST"),
        ("lost", Exit.BELOW_THRESHOLD, "LOST"),
        ("unknown", Exit.DONE, "cannot be told now"),
    ],
)
async def test_a_snapshot_that_cannot_be_had_is_not_called_complete(
    home: Home, capsys: pytest.CaptureFixture[str], fate: Fate, code: Exit, word: str
) -> None:
    found, out, _ = await spoken(FakeNode(fate=fate), home, capsys, "snapshots")
    assert (found, word in out.splitlines()[1]) == (code, True)
    assert ("complete" in out) == (fate == "whole")
    assert ("nbctl forget" in out) == (fate in ("part", "lost"))


async def test_a_backup_under_a_worse_code_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    why = "any 1 of 2 shares instead of any 3 of 6: fewer peers can be counted on"
    done = f.BackupDone(snapshot_id="s2", outcome="complete", thin=True, stepped_down=why)
    code, out, _ = await spoken(FakeNode(backup_done=done), home, capsys, "backup")
    assert (code, f"less safe than before: {why}" in out) == (Exit.DONE, True)
