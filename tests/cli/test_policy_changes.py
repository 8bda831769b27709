"""A person who tries another policy accepts what she is told of it: no line of it may change unseen."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nanobarter.daemon.home import Home
from tests.cli.test_economy import alone

NOW = """
[backup]
folders = ["{folder}"]
{backup}
[offer]
{offer}
[market]
{market}
{rest}
"""


@pytest.fixture
def tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[str, dict[str, dict[str, str]]]]:
    """Return what is told of another policy, in words and as JSON."""

    def length(found: os.stat_result) -> int:
        return found.st_size

    monkeypatch.setattr("nanobarter.storage.measuring.stored_bytes", length)
    folder, home, other = tmp_path / "docs", str(tmp_path / "home"), tmp_path / "other.toml"
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        file.truncate(3 * 10**9)
    Home.create(Path(home), bytes(64), "")

    def text(**sections: str) -> str:
        return NOW.format(**({"folder": str(folder), "backup": "", "offer": "", "market": "", "rest": ""} | sections))

    (tmp_path / "home" / "config.toml").write_text(text())

    def try_it(**sections: str) -> tuple[str, dict[str, dict[str, str]]]:
        other.write_text(text(**sections))
        words = ("--home", home, "policy", "test", str(other), "--peers", "6")
        told = alone(capsys, *words)[1].split("compared with what holds now:\n")[1]
        return told, json.loads(alone(capsys, *words, "--json")[1])["changes"]

    return try_it


Tried = Callable[..., tuple[str, dict[str, dict[str, str]]]]


def test_nothing_is_told_where_nothing_changes(tried: Tried) -> None:
    assert tried() == ("  nothing changes\n", {})


@pytest.mark.parametrize(
    ("sections", "wanted"),
    [
        (
            {"backup": 'durability = "high"\nschedule = "every 6h"'},
            {"durability", "shares", "chance", "at one peer", "upload", "lend", "cost", "in all", "backup",
             "on always", "on 16 hours a day", "on 8 hours a day"},
        ),
        ({"offer": 'space = "40GB"'}, {"offer", "reserve", "in all"}),
        ({"offer": 'kinds = ["90d"]'}, {"leases", "cost"}),
        ({"market": 'mode = "par"'}, {"trade", "in all", "on always", "on 16 hours a day", "on 8 hours a day"}),
        ({"market": 'budget = "5"\napprove = "manual"'}, {"budget", "approve"}),
        ({"market": 'back_up = "6GB for 4GB"'},
         {"planned for", "at one peer", "upload", "lend", "cost", "bargain", "in all", "enough",
          "on always", "on 16 hours a day", "on 8 hours a day"}),
        ({"rest": '[[order]]\nget = "50GB"\nkind = "90d"'}, {"order 1", "beyond", "in all"}),
        ({"rest": '[bots]\ntrader = "on"\nper_issuer = "5%"'}, {"trader", "dealers"}),
        ({"rest": '[network]\nupload = "100KiB/s"'}, {"upload"}),
    ],
)  # fmt: skip
def test_every_line_that_changes_is_told_in_words_and_as_json(
    tried: Tried, sections: dict[str, str], wanted: set[str]
) -> None:
    told, found = tried(**sections)
    assert found.keys() | {"enough"} == wanted | {"enough"}
    assert len(told.splitlines()) == len(found)
    for name, each in found.items():
        assert each["now"] != each["then"]
        assert any(
            line.split("  ")[1] == name and line.endswith(f"{each['now']} -> {each['then']}")
            for line in told.splitlines()
        )


def test_an_order_for_more_than_is_offered_is_told_before_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(tmp_path / "home")
    Home.create(Path(home), bytes(64), "")
    other = tmp_path / "other.toml"
    other.write_text('[offer]\nspace = "10GB"\n\n[[order]]\nget = "50GB"\n')
    told = "the orders may give 50.0 GB of your 30d space, and 10.0 GB of it is offered"
    assert told in alone(capsys, "--home", home, "policy", "test", str(other))[1]
    answer = json.loads(alone(capsys, "--home", home, "policy", "test", str(other), "--json")[1])
    assert told in answer["then"]["orders_beyond_offer"]
    assert not answer["now"]["orders_beyond_offer"]
