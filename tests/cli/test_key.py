"""At stake: that a person can be sure of her sheet without typing it all, and can lock her keys without losing them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import main
from nanobarter.cli.node import make_home
from nanobarter.core.phrase import make_phrase, seed_of
from nanobarter.core.system import SeededEntropy
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home

PHRASE = make_phrase(SeededEntropy(1, "phrase"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home", PHRASE, Config())


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], str]], list[str]]:
    """Let a person sit at the terminal who answers what she is asked."""

    def sits(answer: Callable[[str], str]) -> list[str]:
        asked = list[str]()

        def say(prompt: str) -> str:
            asked.append(prompt)
            return answer(prompt)

        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("getpass.getpass", say)
        return asked

    return sits


def word(prompt: str) -> str:
    return PHRASE.split()[int(prompt.split()[1].rstrip(":")) - 1]


def test_three_words_are_enough(
    home: Home, typed: Callable[[Callable[[str], str]], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = typed(lambda prompt: f" {word(prompt).upper()} ")
    rounds = set[tuple[str, ...]]()
    for _ in range(8):
        asked.clear()
        assert main(["--home", str(home.path), "key", "verify"]) == Exit.DONE
        rounds.add(tuple(asked))
        assert len(set(asked)) == 3
    assert len(rounds) > 1  # at random
    assert "those of this home" in capsys.readouterr().out


def test_one_wrong_word_is_told_by_its_place(
    home: Home, typed: Callable[[Callable[[str], str]], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = typed(lambda prompt: "zoo" if prompt == asked[0] else word(prompt))
    assert main(["--home", str(home.path), "key", "verify"]) == Exit.FAILED
    told = capsys.readouterr().err
    assert f"{asked[0].rstrip(': ')} is another one" in told
    assert word(asked[0]) not in told


def test_a_home_without_the_words_asks_for_all_once(
    home: Home, typed: Callable[[Callable[[str], str]], list[str]]
) -> None:
    home.phrase_path.unlink()
    asked = typed(lambda _prompt: PHRASE)
    assert main(["--home", str(home.path), "key", "verify"]) == Exit.DONE
    assert asked == ["the twenty-four words: "]
    asked = typed(word)
    assert main(["--home", str(home.path), "key", "verify"]) == Exit.DONE
    assert len(asked) == 3


def test_a_passphrase_is_set_changed_and_removed(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("the first one\n")
    new.write_text("the second one\n")

    def key(*words: str) -> int:
        return main(["--home", str(home.path), "key", "passphrase", *words])

    assert key("change", "--new-passphrase-file", str(old)) == Exit.USAGE
    assert key("set", "--new-passphrase-file", str(old)) == Exit.DONE
    assert home.needs_passphrase
    assert key("set", "--new-passphrase-file", str(new)) == Exit.USAGE
    assert key("change", "--passphrase-file", str(new), "--new-passphrase-file", str(new)) == Exit.USAGE
    assert "the passphrase is wrong" in capsys.readouterr().err
    assert home.unlocked("the first one").read_seed() == seed_of(PHRASE)
    assert key("change", "--passphrase-file", str(old), "--new-passphrase-file", str(new)) == Exit.DONE
    assert home.unlocked("the second one").read_seed() == seed_of(PHRASE)
    assert main(["--home", str(home.path), "up"]) == Exit.USAGE
    assert "nobody is there to give it" in capsys.readouterr().err
    assert key("remove", "--passphrase-file", str(new)) == Exit.DONE
    assert home.read_seed() == seed_of(PHRASE)
