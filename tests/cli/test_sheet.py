"""At stake: the one paper that brings everything back must carry the right words, and be readable by nobody else."""

import json
import re
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import main
from nanobarter.cli.sheet import WARNING
from nanobarter.core.phrase import make_phrase, seed_of
from nanobarter.core.system import SeededEntropy
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_network import Network
from nanobarter.daemon.config_text import write_config
from nanobarter.daemon.home import Home
from tests.cli.speaking import spoken
from tests.daemon.fake_node import FakeNode

PHRASE, OTHER = (make_phrase(SeededEntropy(number, "phrase")) for number in range(2))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "words").write_text(PHRASE)
    text = write_config(Config(network=Network(bootstrap=("192.0.2.7:4773",))))
    return Home.create(tmp_path / "home", seed_of(PHRASE), text)


def made(home: Home, output: Path, *more: str) -> int:
    words = home.path.parent / "words"
    return main(["--home", str(home.path), "key", "sheet", "--output", str(output), "--phrase-file", str(words), *more])


def words_on(text: str) -> list[str]:
    """Return the words of a sheet in the order of their numbers."""
    found = re.findall(r"(?:<small>|^| )\s?(\d{1,2})(?:</small>)? ([a-z]{3,8})\b", text, re.MULTILINE)
    return [word for _, word in sorted({int(number): word for number, word in found}.items())]


@pytest.mark.parametrize("name", ["sheet.html", "sheet.txt"])
def test_a_sheet_has_the_words_the_command_and_the_warning(
    home: Home, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(home, tmp_path / name) == Exit.DONE
    text = (tmp_path / name).read_text()
    assert words_on(text) == PHRASE.split()
    assert WARNING in text
    assert "nbctl restore --phrase-file - --bootstrap 192.0.2.7:4773" in text
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    said = capsys.readouterr()
    assert "can read everything" in said.out
    assert PHRASE.split()[3] not in said.out.split()


def test_the_code_on_the_sheet_is_the_phrase(home: Home, tmp_path: Path) -> None:
    import segno  # noqa: PLC0415 - as in the command

    assert made(home, tmp_path / "sheet.txt") == Exit.DONE
    drawn = [line for line in (tmp_path / "sheet.txt").read_text().splitlines() if set(line) & set("▀▄█")]
    modules = [[c in top for c in line] for line in drawn for top in ("▀█", "▄█")]
    wanted = [[bool(m) for m in row] for row in segno.make_qr(PHRASE, error="m").matrix_iter(border=2)]
    dark = {
        (x, y) for y, row in enumerate(wanted[1:] if not any(wanted[0]) else wanted) for x, m in enumerate(row) if m
    }
    shown = {(x, y) for y, row in enumerate(modules) for x, m in enumerate(row) if m}
    shift = min(y for _, y in shown) - min(y for _, y in dark)
    assert {(x, y - shift) for x, y in shown} == dark


def test_words_of_another_home_make_no_sheet(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words").write_text(OTHER)
    assert made(home, tmp_path / "sheet.html") == Exit.FAILED
    assert "another home" in capsys.readouterr().err
    assert not (tmp_path / "sheet.html").exists()
    (tmp_path / "words").write_text(PHRASE)
    (tmp_path / "there.txt").write_text("old")
    assert made(home, tmp_path / "there.txt") == Exit.USAGE
    assert (tmp_path / "there.txt").read_text() == "old"
    assert made(home, tmp_path / "sheet.pdf") == Exit.USAGE
    assert made(home, tmp_path / "s.txt", "--bootstrap", "<b>") == Exit.USAGE


async def test_the_peers_of_now_are_on_the_sheet(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, words = FakeNode(), str(tmp_path / "words")
    asked = ("key", "sheet", "--output", str(tmp_path / "sheet.txt"), "--phrase-file", words, "--json")
    code, out, _ = await spoken(node, home, capsys, *asked)
    assert code == Exit.DONE
    assert json.loads(out)["addresses"] == ["127.0.0.1:2"]
    assert "127.0.0.1:2" in (tmp_path / "sheet.txt").read_text()
