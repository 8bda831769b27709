"""At stake: what a person reads about her economy, and what other programs are given of it."""

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import main
from nanobarter.core.units import DAY
from nanobarter.daemon.home import Home
from tests.cli.speaking import spoken
from tests.daemon.fake_node import FakeNode


@pytest.fixture(autouse=True)
def holes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sparse files stand for large ones."""

    def length(found: os.stat_result) -> int:
        return found.st_size

    monkeypatch.setattr("nanobarter.storage.measuring.stored_bytes", length)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_reliability_comes_with_its_evidence(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = await spoken(FakeNode(), home, capsys, "peers", "reliability", "nb1p")
    assert code == Exit.DONE
    words = " ".join(out.splitlines()[1].split())
    assert words == "nb1peer 0.900 0.81 0.950 (44 windows) 0.990 (40 audits, 0 wrong) 0.957 (11 days) new"
    assert out.splitlines()[-1] == "to vet    3 more days"
    code, out, _ = await spoken(FakeNode(), home, capsys, "peers", "reliability", "--json")
    assert json.loads(out)["peers"][0]["windows"] == 44
    assert (await spoken(FakeNode(), home, capsys, "peers"))[0] == Exit.DONE


async def test_the_bots_tell_what_they_would_do_and_how_far_they_may_go(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = await spoken(FakeNode(), home, capsys, "bots")
    assert code == Exit.DONE
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (
        lines[2]
        == "would give up to 67.1 MB of 30d of nb1weak for 30d at nb1good, at most 1.7 for one, and waits to be asked"
    )
    assert "of one issuer ███░░░░░░░░░ 52.4 MB of 209.7 MB" in lines
    assert "lost in a month ██████░░░░░░ 50.00 of 100.00 ac" in lines
    assert lines[-1].startswith("trader 67.1 MB of nb1weak 31.5 MB of nb1good")
    assert lines[-1].endswith("values have moved too far since the quote")
    code, out, _ = await spoken(FakeNode(), home, capsys, "bots", "--json")
    assert json.loads(out)["bots"][1]["state"] == "dry"


async def test_a_month_is_told_with_charts_and_drawn_into_a_new_file(
    home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "month.svg"
    code, out, err = await spoken(FakeNode(), home, capsys, "report", "--svg", str(file))
    assert (code, err) == (Exit.DONE, f"nbctl: the report is drawn in {file}\n")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "2026-11, told in acorns (ac), your own unit: 1 GB for 30 days = 10 ac", "1 agreement",
        "attention: nb1<peer> was away", "",
        "space at others", "nb1peer ████████████████████████ 5.2 MB", "",
        "kept for others, and for you", "for others ▁▅█ 2.0 GB",
    ]  # fmt: skip
    root = ET.fromstring(file.read_text())  # noqa: S314 - we have written it ourselves
    assert root.tag.endswith("svg")
    words = "".join(root.itertext())
    assert "nb1<peer> was away" in words
    assert "space at others" in words
    code, _, err = await spoken(FakeNode(), home, capsys, "report", "--svg", str(file))
    assert code == Exit.USAGE
    assert "exists already" in err
    assert (
        json.loads((await spoken(FakeNode(), home, capsys, "report", "--json"))[1])["charts"][0]["name"] == "holdings"
    )


async def test_rates_say_where_they_come_from_and_the_graph_who_trades_what(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = await spoken(FakeNode(), home, capsys, "rates")
    assert code == Exit.DONE
    words = [" ".join(line.split()) for line in out.splitlines()]
    assert words[1] == "30d of nb1self (own) 10.00 ac own space at par"
    assert words[2] == "30d of nb1peer 8.10 ac 2 agreements with nb1peer, own space at par 1970-01-01 00:00"
    code, out, _ = await spoken(FakeNode(), home, capsys, "market", "graph")
    assert code == Exit.DONE
    assert " ".join(out.splitlines()[1].split()) == "30d of nb1peer 30d at any issuer 3 of 2 104.9 MB 1/1 1: 52.4 MB"


async def test_the_book_goes_to_stdout_or_to_a_new_file(
    home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    node, out_file = FakeNode(), tmp_path / "book.csv"
    code, out, err = await spoken(node, home, capsys, "ledger", "export")
    assert (code, out, err) == (Exit.DONE, "the book for hledger\n", "")
    words = ("ledger", "export", "--format", "csv", "--out", str(out_file))
    code, out, err = await spoken(node, home, capsys, *words)
    assert (code, out, err) == (Exit.DONE, "", f"nbctl: 1 entries are in {out_file}\n")
    assert out_file.read_text() == "the book for csv\n"
    code, _, err = await spoken(node, home, capsys, *words)
    assert (code, "exists already" in err) == (Exit.USAGE, True)
    code, out, _ = await spoken(node, home, capsys, "ledger", "export", "--format", "beancount", "--json")
    assert (code, json.loads(out)["type"]) == (Exit.DONE, "ledger_export")
    code, out, _ = await spoken(node, home, capsys, "ledger")
    assert "swap" in out


def alone(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_policy_is_explained_before_it_is_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, home = tmp_path / "docs", str(tmp_path / "home")
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        file.truncate(3 * 10**9)
    words = ("init", "--folder", str(folder), "--peers", "5", "--yes", "--phrase-out", str(tmp_path / "p"))
    assert alone(capsys, "--home", home, *words)[0] == Exit.DONE
    code, out, _ = alone(capsys, "--home", home, "policy", "explain", "--peers", "5")
    assert code == Exit.DONE
    assert "3.0 GB in 1 files become 5 shares at 5 of 5 peers; any 2 bring it back" in out
    assert "for that you lend 8.3 GB at par" in out
    assert "with 6 peers" in out
    code, out, _ = alone(capsys, "--home", home, "policy")
    assert (code, "trade        discount: at what a peer's reliability makes its notes worth" in out) == (
        Exit.DONE,
        True,
    )
    other = tmp_path / "other.toml"
    text = (tmp_path / "home" / "config.toml").read_text().replace('mode = "discount"', 'mode = "par"')
    text = text.replace('durability = "normal"', 'durability = "high"')
    other.write_text(re.sub('space = ".*"', 'space = "1GB"', text))
    code, out, _ = alone(capsys, "--home", home, "policy", "test", str(other), "--peers", "5")
    assert code == Exit.FAILED
    assert "discount -> par" in out
    assert "that is too little" in out
    code, out, _ = alone(capsys, "--home", home, "policy", "test", str(other), "--peers", "5", "--json")
    assert json.loads(out)["then"]["k"] < json.loads(out)["now"]["k"]
    lent = json.loads(out)["now"]["lend_bytes_by_hours_on"]
    assert json.loads(out)["now"]["lend_bytes"] < lent["24"] < lent["16"] < lent["8"]  # where orders are priced
    assert set(json.loads(out)["then"]["lend_bytes_by_hours_on"].values()) == {json.loads(out)["then"]["lend_bytes"]}


@pytest.mark.parametrize("budget", ["0", "0.00", "0.01", "5"])
def test_a_budget_that_gives_nothing_is_not_told_as_one_that_pays_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    home = Home.create(tmp_path / "home", bytes(64), "")
    home.config_path.write_text(f'[market]\nbudget = "{budget}"')
    nothing = budget != "5"  # a MiB is worth 0.0105 ac
    for words in (("explain",), ("test", str(home.config_path))):
        _, out, _ = alone(capsys, "--home", str(home.path), "policy", *words)
        assert ("gives nothing of your space away" in out, "part of it waits" in out) == (nothing, not nothing)


def test_an_estimate_tells_the_reserve_a_bargain_and_what_a_machine_that_is_always_on_gives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, home = tmp_path / "docs", tmp_path / "home"
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        file.truncate(3 * 10**9)
    words = ("--home", str(home), "init", "--folder", str(folder), "--peers", "5", "--space", "9GB", "--yes")
    assert alone(capsys, *words, "--phrase-out", str(tmp_path / "p"))[0] == Exit.DONE
    code, out, _ = alone(capsys, "--home", str(home), "policy", "explain", "--peers", "5")
    assert code == Exit.FAILED  # 8.3 GB at par, but 9.9 GB at the prices that are asked
    assert "beside that up to 4.5 GB of your space goes for a reserve of others' space" in out
    assert "all together that may come to 14.4 GB of your space (folders 9.9 GB, reserve 4.5 GB)" in out
    assert "up to 4.5 GB" in alone(capsys, "--home", str(home), "policy", "show")[1]
    other, text = tmp_path / "other.toml", (home / "config.toml").read_text()
    other.write_text(text.replace('back_up = "off"', 'back_up = "6GB for 4GB"'))
    code, out, _ = alone(capsys, "--home", str(home), "policy", "test", str(other), "--peers", "5")
    assert code == Exit.DONE
    told = (
        "for 6.0 GB of folders, which need 16.5 GB of others' space, at most 4.0 GB of yours is given, so at most 0.24"
    )
    assert told in out
    code, out, _ = alone(capsys, "--home", str(home), "policy", "test", str(other), "--peers", "5", "--json")
    then = json.loads(out)["then"]
    sums = then["folders_lend_bytes"] + then["reserve_bytes"]
    assert (then["planned_bytes"], then["together_bytes"]) == (6 * 10**9, sums)


async def test_a_plan_tells_how_the_node_was_used_and_an_estimate_goes_by_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    gb, node = 10**9, FakeNode()
    node.plan_now = replace(
        await node.plan(), growth_bytes_day=gb, too_small_in_days=12.4, hours_on=6.0, upload_seconds=7200,
        upload_elapsed_seconds=28800, restores=2, restored_back_ms=20 * DAY, keeps_back_ms=6 * DAY,
    )  # fmt: skip
    code, out, _ = await spoken(node, home, capsys, "plan")
    assert code == Exit.DONE
    lines = [
        "the folders grow by 1.0 GB in a day: the offer pays for that for about 12 days more",
        (
            "all of it uploads in about 2 hours at 20 Mbit/s, or as [network] allows; "
            "this machine is on for 6 hours a day, so it takes 8 hours"
        ),
        "2 restores so far, the furthest of a version 20 days old; 6 days back are kept",
    ]
    assert [line for line in out.splitlines() if line in lines] == lines
    home.config_path.write_text('[backup]\nkeep = "daily 7"\n')
    code, out, _ = await spoken(node, home, capsys, "policy", "explain")
    assert all(f"  {line}" in out.splitlines() for line in lines)
    assert 'attention: you have restored a version 20 days old, and keep = "daily 7" is sure to hold only 5 days' in out
    code, out, _ = await spoken(node, home, capsys, "policy", "explain", "--json")
    assert json.loads(out)["observed"]["hours_on"] == 6.0


async def test_a_config_that_does_not_hold_yet_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    for changed in (False, True):
        node.config_changed = changed
        for words in (("policy",), ("policy", "explain"), ("policy", "test", str(home.config_path)), ("status",)):
            assert ("was changed since the daemon started" in (await spoken(node, home, capsys, *words))[1]) == changed


def test_an_offer_that_the_disk_cannot_hold_is_told_before_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(tmp_path / "home")
    words = ("init", "--space", "900000TB", "--yes", "--phrase-out", str(tmp_path / "p"))
    code, _, err = alone(capsys, "--home", home, *words)
    assert code == Exit.DONE
    assert "of your offer may still be filled; free some space, or lend less: --space" in err
    assert "attention: the disk has" in alone(capsys, "--home", home, "policy", "explain")[1]
    assert json.loads(alone(capsys, "--home", home, "policy", "explain", "--json")[1])["disk_holds_offer"] is False


def test_a_config_that_is_not_there_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(tmp_path / "home")
    assert alone(capsys, "--home", home, "init", "--yes", "--phrase-out", str(tmp_path / "p"))[0] == Exit.DONE
    code, _, err = alone(capsys, "--home", home, "policy", "test", str(tmp_path / "none.toml"))
    assert code == Exit.USAGE
    assert f"there is no file {tmp_path / 'none.toml'}" in err
    assert "nbctl init" not in err


async def test_an_order_that_is_over_is_told_and_why_another_is_not_placed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    node, told = FakeNode(), "order 1 (1GB once) was carried out on 2026-11-20 and is over"
    node.bots.over, node.bots.short = (told,), "nothing can be ordered"
    home.config_path.write_text('[[order]]\nget = "1GB"\nonce = true\n')
    lines = (await spoken(node, home, capsys, "bots"))[1].splitlines()
    assert told in lines
    assert lines[1].strip() == "not all of it is offered: nothing can be ordered"
    assert told in (await spoken(node, home, capsys, "policy", "show"))[1].splitlines()
    assert told not in (await spoken(FakeNode(), home, capsys, "policy", "show"))[1]
