"""At stake: the keys of a person, readable by nobody without the passphrase, and never lost by setting one."""

from pathlib import Path
from typing import Final

import pytest

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.system import SeededEntropy
from nanobarter.daemon.home import Home
from nanobarter.daemon.passphrase import Source, find, unlock
from nanobarter.daemon.phrase_file import keep_phrase, kept_phrase
from nanobarter.daemon.seed_file import check_new, is_wrapped, unwrap, wrap

SEED: Final = bytes(range(64))
WORDS: Final = "correct horse Größe"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", SEED, "")


@pytest.fixture(scope="module")
def wrapped() -> bytes:
    return wrap(SEED, WORDS, SeededEntropy(1, "wrap"))


def test_only_the_passphrase_opens_the_seed(wrapped: bytes, home: Home) -> None:
    home.write_seed(wrapped)
    assert home.needs_passphrase
    assert SEED.hex() not in home.seed_path.read_text()
    with pytest.raises(UsageError, match="locked by a passphrase"):
        home.read_seed()
    with pytest.raises(UsageError, match="the passphrase is wrong"):
        home.unlocked("correct horse")
    opened = home.unlocked("correct horse Gro\u0308\u00dfe")  # the same letters, typed on another keyboard
    assert opened.read_seed() == SEED
    assert SEED.hex() not in repr(opened)
    assert not opened.needs_passphrase


def test_a_changed_cost_or_salt_is_no_way_in(wrapped: bytes) -> None:
    text = wrapped.decode()
    with pytest.raises(UsageError, match="the passphrase is wrong"):
        unwrap(text.replace("t=3 m=65536 p=4", "t=1 m=64 p=1"), WORDS)
    for harm in ("m=65536 p=4", "p=4", "t=3"):
        with pytest.raises(LocalFault, match="damaged"):
            unwrap(text.replace(harm, ""), WORDS)
    with pytest.raises(LocalFault, match="damaged"):
        unwrap(text.replace("m=65536", "m=999999999999"), WORDS)
    with pytest.raises(LocalFault, match="damaged"):
        unwrap(text[:-5], WORDS)


def test_a_disk_that_refuses_leaves_the_old_file(wrapped: bytes, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_from: Path, _to: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LocalFault, match="No space left"):
        home.write_seed(wrapped)
    assert home.read_seed() == SEED


def test_a_crash_before_the_rename_leaves_the_old_file(wrapped: bytes, home: Home) -> None:
    home.seed_path.with_name("seed.new").write_bytes(wrapped[:40])
    assert home.read_seed() == SEED
    home.write_seed(wrapped)
    assert is_wrapped(home.seed_path.read_text())
    assert home.seed_path.stat().st_mode & 0o777 == 0o600


def test_where_a_passphrase_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nanobarter.passphrase").write_text("from systemd\n")
    (tmp_path / "file").write_bytes(b"from a file\r\nand no more")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(UsageError, match="nobody is there to give it"):
        find(Source(), "")
    with pytest.raises(UsageError, match="cannot read the passphrase"):
        find(Source(str(tmp_path / "none")), "")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert find(Source(), "") == "from systemd"
    assert find(Source(str(tmp_path / "file")), "") == "from a file"


def test_an_open_home_asks_for_nothing(home: Home) -> None:
    assert unlock(home).read_seed() == SEED


@pytest.mark.parametrize("bad", ["", "short", "x" * 2000])
def test_what_is_no_passphrase(bad: str) -> None:
    with pytest.raises(UsageError, match="the passphrase is"):
        check_new(bad)


def test_the_words_are_kept_for_who_has_the_seed(home: Home) -> None:
    assert kept_phrase(home) == ()
    keep_phrase(home, SEED, "One two\n three")
    assert kept_phrase(home) == ("one", "two", "three")
    assert b"two" not in home.phrase_path.read_bytes()
    sealed = home.phrase_path.read_bytes()
    home.phrase_path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert kept_phrase(home) == ()
