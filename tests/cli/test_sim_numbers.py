"""At stake: a number that cannot be is told with its bounds at once; no hour of simulation is lost at its end."""

import json
from pathlib import Path

import pytest

from nanobarter.cli.main import main

SMALL = ("sim", "market", "--nodes", "4", "--days", "2", "--shock", "none", "--json")

WRONG = [
    ("market --seed -1", "argument --seed: -1 is not from 0 to 9223372036854775807"),
    ("market --nodes 1", "argument --nodes: 1 is not from 2 to 2000"),
    ("market --days 0", "argument --days: 0 is not from 1 to 3650"),
    ("market --runs 0", "argument --runs: 0 is not from 1 to 1000"),
    ("market --partners 0", "argument --partners: 0 is not from 2 to 8"),
    ("market --since -5", "argument --since: -5 is not from 0 to 3649"),
    ("market --since 400 --days 10", "--since: day 400 never comes in 10 days"),
    ("market --shock games --days 30", "--since: day 30 never comes in 30 days"),
    ("swap --seed -1", "argument --seed: -1 is not from 0 to"),
    ("swap --replay -1", "argument --replay: -1 is not from 0 to"),
    ("swap --runs 0", "argument --runs: 0 is not from 1 to 1000000"),
    ("swap --parties \N{SUPERSCRIPT TWO}", "is no number of parties"),
    ("gossip --seed -1", "argument --seed: -1 is not from 0 to"),
    ("gossip --nodes 19", "argument --nodes: 19 is not from 20 to 5000"),
    ("gossip --items 1e3", "argument --items: '1e3' is not a whole number"),
    ("market-efficiency --seed -1", "argument --seed: -1 is not from 0 to"),
    ("market-efficiency --runs 0", "argument --runs: 0 is not from 1 to 1000"),
    ("market-efficiency --nodes 50,2001", "--nodes: 2001 is not from 2 to 2000"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[words for words, _ in WRONG])
def test_each_number_that_cannot_be_is_named(capsys: pytest.CaptureFixture[str], words: str, message: str) -> None:
    assert main(["sim", *words.split()]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert (told.out, "bug" in told.err) == ("", False)


def test_charts_that_cannot_be_made_are_told_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "charts"):
        assert main([*SMALL, "--charts", str(folder)]) == 2
        told = capsys.readouterr()
        assert (told.out, f"--charts: no files can be made in {folder}" in told.err) == ("", True)


def test_the_answer_is_told_though_its_charts_are_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad_part.svg").mkdir()
    assert main([*SMALL, "--charts", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["type"] == "sim_market"
    assert "bad_part.svg" in told.err
