"""What openBarter 2.1.0 did with the same bids is the one outside judge of the whole matcher."""

import json
from pathlib import Path
from typing import Any

import pytest

from nanobarter.cli.market_files import clear, flow


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_every_book_comes_out_exactly(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = vectors / "book-cases.json"
    cases = json.loads(path.read_text())["cases"]
    assert clear(path, "openbarter", as_json=True) == 0
    answer = printed(capsys)
    assert answer["type"] == "agreements"
    for case, mine in zip(cases, answer["cases"], strict=True):
        assert mine == {key: case[key] for key in ("id", "agreements", "remaining")}


def test_every_flow_comes_out_exactly(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = vectors / "flow-cases.json"
    assert flow(path, as_json=True) == 0
    expected = [case["flow"] for case in json.loads(path.read_text())["flows"]]
    assert printed(capsys) == {"type": "flows", "flows": expected}
