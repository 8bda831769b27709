"""A file that is read other than it was meant trades what nobody offered; a fault must be told with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from nanobarter.cli.market_files import clear, flow

Capture = pytest.CaptureFixture[str]


def a_bid(**changes: Any) -> dict[str, Any]:
    bid = {"id": 1, "type": "limit", "owner": "o1", "requ": "a", "qtt_requ": 10, "prov": "b", "qtt_prov": 10}
    return {key: value for key, value in {**bid, **changes}.items() if value is not None}


def back(**changes: Any) -> dict[str, Any]:
    return a_bid(**{"id": 2, "owner": "o2", "requ": "b", "prov": "a", **changes})


def written(folder: Path, content: object) -> Path:
    path = folder / "book.json"
    path.write_text(json.dumps(content))
    return path


def cleared(folder: Path, capsys: Capture, content: object, *, openbarter: bool = False) -> Any:
    assert clear(written(folder, content), "openbarter" if openbarter else "own", as_json=True) == 0
    return json.loads(capsys.readouterr().out)


def test_a_bare_list_is_one_book_without_an_id(tmp_path: Path, capsys: Capture) -> None:
    transfers = [
        {"bid": 2, "to_bid": 1, "from": "o2", "to": "o1", "quality": "a", "quantity": 10},
        {"bid": 1, "to_bid": 2, "from": "o1", "to": "o2", "quality": "b", "quantity": 10},
    ]
    assert cleared(tmp_path, capsys, [a_bid(), back(qtt_requ=20, qtt_prov=20)]) == {
        "type": "agreements",
        "cases": [{"id": None, "agreements": [{"trigger": 2, "transfers": transfers}], "remaining": [[1, 0], [2, 10]]}],
    }


def test_only_openbarter_lets_an_owner_trade_with_himself(tmp_path: Path, capsys: Capture) -> None:
    book = [a_bid(), back(owner="o1")]
    assert cleared(tmp_path, capsys, book)["cases"][0]["agreements"] == []
    assert len(cleared(tmp_path, capsys, book, openbarter=True)["cases"][0]["agreements"]) == 1


def test_a_floor_holds_here_and_not_there(tmp_path: Path, capsys: Capture) -> None:
    book = [a_bid(type="best"), back(type="best", qtt_requ=40, floor=[1, 4])]
    assert cleared(tmp_path, capsys, book)["cases"][0]["agreements"] == []
    assert len(cleared(tmp_path, capsys, book, openbarter=True)["cases"][0]["agreements"]) == 1


def test_refused_issuers_and_discounts_are_read(tmp_path: Path, capsys: Capture) -> None:
    wide: dict[str, Any] = {"requ": "*9d:", "prov": "9d:x"}
    offer = back(requ="9d:x", prov="9d:y", qtt_prov=20)
    assert len(cleared(tmp_path, capsys, [a_bid(**wide), offer])["cases"][0]["agreements"]) == 1
    refusing = a_bid(**wide, refuse=["y"])
    assert cleared(tmp_path, capsys, [refusing, offer])["cases"][0]["agreements"] == []
    for numerator, agreements in ((1, 1), (2, 0)):
        discounting = a_bid(**wide, discount={"y": [1, numerator + 1]})
        assert len(cleared(tmp_path, capsys, [discounting, offer])["cases"][0]["agreements"]) == agreements


def test_keys_beside_the_bids_are_ignored(tmp_path: Path, capsys: Capture) -> None:
    case = {"id": "x", "class": 1, "agreements": 2, "remaining": 3, "bids": [a_bid()]}
    assert cleared(tmp_path, capsys, {"format": "any", "cases": [case]})["cases"] == [
        {"id": "x", "agreements": [], "remaining": [[1, 10]]}
    ]


FAULTS: list[tuple[Any, str]] = [
    (3, "/: wanted a list of bids"),
    ({}, '/: an object lacks the key "cases"'),
    ({"cases": [{}]}, '/cases/0: a case lacks the key "bids"'),
    ({"cases": [{"bids": [a_bid(), a_bid(colour=1)]}]}, "/cases/0/bids/1/colour: unknown key of a bid"),
    ([a_bid(**{"a/b~": 1})], "/0/a~1b~0: unknown key"),
    ([a_bid(owner=None)], '/0: a bid lacks the key "owner"'),
    ([a_bid(), back(id=1)], "/1/id: the id 1 is used twice"),
    ([a_bid(), back(id="1")], "/1/id: ids of one book"),
    ([a_bid(id=True)], "/0/id: wanted an integer or a text, found true"),
    ([a_bid(type="market")], '/0/type: wanted "limit" or "best", found "market"'),
    ([a_bid(qtt_prov=0)], "/0/qtt_prov: wanted an integer from 1"),
    ([a_bid(qtt_prov=1.0)], "/0/qtt_prov: wanted an integer from 1"),
    ([a_bid(qtt_requ=2**63)], "/0/qtt_requ: wanted an integer from 1"),
    ([a_bid(prov="*b")], "/0/prov: wanted one quality"),
    ([a_bid(floor=[1])], "/0/floor: wanted [numerator, denominator]"),
    ([a_bid(floor=[1, 0])], "/0/floor/1: wanted an integer from 1"),
    ([a_bid(refuse="y")], "/0/refuse: wanted a list of issuers"),
    ([a_bid(discount={"y": 2})], "/0/discount/y: wanted [numerator, denominator]"),
    ({"cases": [{"id": float("nan"), "bids": []}]}, "/cases/0/id: wanted an integer or a text, found NaN"),
    ({"cases": [{"id": ["x"], "bids": []}]}, "/cases/0/id: wanted an integer or a text"),
    ({"cases": [{"max_cycle": 1, "bids": []}]}, "/cases/0/max_cycle: wanted an integer from 2"),
]


@pytest.mark.parametrize(("content", "place"), FAULTS)
def test_a_fault_is_told_with_its_place(tmp_path: Path, capsys: Capture, content: object, place: str) -> None:
    assert clear(written(tmp_path, content), "own", as_json=True) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("nbctl: ")
    assert place in shown.err


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"qtt_prov": 10', '"qtt_prov": ' + "9" * 5000, "/0/qtt_prov: wanted an integer from 1"),
        ('"id": 1', '"id": ' + "9" * 5000, "/0/id: wanted an integer or a text"),
        ('"qtt_prov": 10', '"qtt_prov": 10, "qtt_prov": 20', "/0/qtt_prov: the key is given twice"),
    ],
)
def test_numbers_too_long_and_keys_given_twice_have_a_place(
    tmp_path: Path, capsys: Capture, old: str, new: str, place: str
) -> None:
    path = tmp_path / "book.json"
    path.write_text(json.dumps([a_bid()]).replace(old, new))
    assert clear(path, "own", as_json=True) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert place in shown.err


def test_names_are_shown_without_what_a_terminal_obeys(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, [a_bid(owner="\x1b[2J"), back(owner="\ud800")])
    assert clear(path, "own", as_json=False) == 0
    assert "\\x1b[2J gives 10 b to \\ud800" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[", "[NaN", "[" * 100_000, "\x00"])
def test_what_is_not_json_is_refused(tmp_path: Path, capsys: Capture, text: str) -> None:
    path = tmp_path / "book.json"
    path.write_text(text)
    assert clear(path, "own", as_json=True) == 2
    assert flow(path, as_json=True) == 2
    assert clear(tmp_path / "absent.json", "own", as_json=True) == 2
    assert capsys.readouterr().out == ""


def a_node(**changes: Any) -> dict[str, Any]:
    return {"type": "limit", "owner": "o1", "qtt_requ": 10, "qtt_prov": 10, "qtt": 10, **changes}


def test_a_flow_without_whole_quantities_is_null(tmp_path: Path, capsys: Capture) -> None:
    cycles = [
        [a_node(), a_node(owner="o2", qtt=3)],
        [a_node(), a_node(owner="o2", qtt_prov=9)],
        [a_node(), a_node(owner="o2", qtt=0)],
        [a_node(type="best", qtt_prov=1, qtt_requ=100, qtt=1), a_node(type="best", owner="o2", qtt=1)],
    ]
    assert flow(written(tmp_path, {"flows": [{"nodes": nodes} for nodes in cycles]}), as_json=True) == 0
    flows = json.loads(capsys.readouterr().out)["flows"]
    assert flows[:3] == [[3, 3], None, None]


def test_a_fault_in_a_flow_is_told_with_its_place(tmp_path: Path, capsys: Capture) -> None:
    assert flow(written(tmp_path, {"flows": [{"nodes": [a_node(), a_node(qtt=-1)]}]}), as_json=True) == 2
    assert "/flows/0/nodes/1/qtt: wanted an integer from 0" in capsys.readouterr().err
    assert flow(written(tmp_path, [{"nodes": [a_node()]}]), as_json=True) == 2
    assert "/0/nodes: a cycle has 2 to 64 bids, not 1" in capsys.readouterr().err
