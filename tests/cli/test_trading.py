"""At stake: prices that a person acts on, read off a table or by a script, and files cleared through the same door."""

import json
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import main
from nanobarter.core.errors import Reason
from nanobarter.daemon.api import refuse
from nanobarter.daemon.home import Home
from tests.cli.test_commands import alone, spoken
from tests.daemon.fake_node import FakeNode


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


async def test_the_book_marks_own_bids_and_can_show_only_them(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = await spoken(FakeNode(), home, capsys, "market", "book")
    assert code == Exit.DONE
    assert out.splitlines()[0].split() == ["bid", "by", "type", "gives", "wants", "omega", "floor", "quantity", "until"]
    assert out.splitlines()[2].split("  ")[1].strip() == "me, by hand"
    assert "3/2" in out.splitlines()[2]
    code, out, _ = await spoken(FakeNode(), home, capsys, "market", "book", "--own", "--json")
    assert [bid["own"] for bid in json.loads(out)["bids"]] == [True]


async def test_a_quote_lists_couples_and_a_wish_shows_its_bid(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    code, out, _ = await spoken(node, home, capsys, "market", "quote", "--wants", "30d@nb1x", "--gives", "7d")
    assert code == Exit.DONE
    assert out.splitlines() == [
        "30d at any issuer for 30d:nb1fake",
        "receive  give    omega",
        "80 MiB   20 MiB  0.25",
        "100 MiB  50 MiB  0.5",
    ]
    code, out, _ = await spoken(node, home, capsys, "market", "quote", "--quantity", "40", "--omega", "1/4")
    assert node.asked == ["market_quote 7d 30d@nb1x  ", "market_quote   40 1/4"]
    assert out.splitlines()[4:] == [
        "",
        "partner       node     gives   of           omega  asked  effort",
        "cdcdcdcdcdcd  nb1peer  40 MiB  30d:nb1peer  4/1    3.6    90.0%",
        "receive 40 MiB, give 11 MiB with the bid",
        "  nbctl market bid",
    ]


async def test_rates_are_told_with_when_and_how_many(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = await spoken(FakeNode(), home, capsys, "market", "rates")
    assert code == Exit.DONE
    assert out.splitlines()[1].split() == ["30d:nb1fake", "30d:nb1peer", "2/1", "3/1", "2", "1970-01-01", "00:00"]


def test_books_and_cycles_of_files_are_reached_without_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bids = [
        {"id": i, "type": "limit", "owner": f"o{i}", "requ": w, "qtt_requ": 10, "prov": p, "qtt_prov": 10}
        for i, w, p in ((1, "a", "b"), (2, "b", "a"))
    ]
    book, flows = tmp_path / "book.json", tmp_path / "flows.json"
    book.write_text(json.dumps({"cases": [{"id": "c", "class": "x", "bids": bids, "max_cycle": 64}]}))
    nodes = [{"type": "limit", "owner": f"o{i}", "qtt_requ": 1, "qtt_prov": 1, "qtt": 5 + i} for i in range(2)]
    flows.write_text(json.dumps({"flows": [{"nodes": nodes}]}))
    for rules in ((), ("--rules", "openbarter"), ("--rules", "nanobarter")):
        code, out, err = alone(capsys, "market", "clear", str(book), "--json", *rules)
        assert (code, err) == (Exit.DONE, "")
        (case,) = json.loads(out)["cases"]
        assert (len(case["agreements"]), case["remaining"]) == (1, [[1, 0], [2, 0]])
    code, out, err = alone(capsys, "market", "flow", str(flows), "--json")
    assert (code, json.loads(out), err) == (Exit.DONE, {"type": "flows", "flows": [[5, 5]]}, "")
    book.write_text(json.dumps([{**bids[0], "surprise": 1}]))
    code, out, err = alone(capsys, "market", "clear", str(book), "--json")
    assert (code, out) == (Exit.USAGE, "")
    assert "/0/surprise" in err


def test_the_shared_books_come_out_exactly_through_the_command(
    vectors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = vectors / "book-cases.json"
    code, out, _ = alone(capsys, "market", "clear", str(path), "--json", "--rules", "openbarter")
    cases = json.loads(path.read_text())["cases"]
    wanted = [{key: case[key] for key in ("id", "agreements", "remaining")} for case in cases]
    assert (code, json.loads(out)) == (Exit.DONE, {"type": "agreements", "cases": wanted})
    path = vectors / "flow-cases.json"
    code, out, _ = alone(capsys, "market", "flow", str(path), "--json")
    assert (code, json.loads(out)["flows"]) == (0, [each["flow"] for each in json.loads(path.read_text())["flows"]])


def test_the_words_of_a_market_command_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["market", "quote", "--price", "1"]) == Exit.USAGE
    assert "unrecognized arguments" in capsys.readouterr().err


async def test_a_bid_is_posted_and_taken_back_by_hand(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode()
    words = ("--wants", "30d@any", "--quantity", "1GB", "--omega", "3/2", "--best", "--floor", "2")
    code, out, _ = await spoken(node, home, capsys, "market", "bid", *words)
    assert code == Exit.DONE
    assert out.splitlines() == [
        "bid abababababab stands: 5 MiB of 30d:nb1fake for 30d at any issuer",
        "at 3/2, down to 2/1",
    ]
    code, out, _ = await spoken(node, home, capsys, "market", "bid", "--withdraw", "ab", "--json")
    assert (code, json.loads(out)) == (Exit.DONE, {"type": "market_withdraw", "bid": "ab" * 16, "at_work": True})
    assert [asked for asked in node.asked if asked.startswith(("market_bid", "market_w"))] == [
        "market_bid  30d@any 1GB 3/2 2 True",
        "market_withdraw ab",
    ]
    code, out, _ = await spoken(node, home, capsys, "market", "bids", "--json")
    assert (json.loads(out)["type"], [bid["own"] for bid in json.loads(out)["bids"]]) == ("market_book", [True])


async def test_a_bid_that_cannot_be_is_one_line_and_a_hint(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (("--wants", "30d"), ["how much is to be given is missing", "hint: --quantity 1GB"]),
        (("--withdraw", "x", "--best"), ["a bid is posted or taken back, not both", "hint: --withdraw stands alone"]),
        (("--withdraw", "none"), ["no own bid begins with 'none'", "hint: see nbctl market bids"]),
    ):
        code, out, err = await spoken(FakeNode(), home, capsys, "market", "bid", *words)
        assert (code, out, err.splitlines()) == (Exit.USAGE, "", [f"nbctl: {line}" for line in told])
    broke = FakeNode(trouble=refuse(Reason.NO_STOCK, "0 MiB are held"))
    code, _, err = await spoken(broke, home, capsys, "market", "bid", "--quantity", "5")
    assert (code, err) == (Exit.NO_CREDIT, "nbctl: 0 MiB are held\n")
