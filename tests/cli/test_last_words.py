"""At stake: whoever starts a daemon that cannot start is told why and what to do, not only where the log is."""

from pathlib import Path

from nanobarter.cli.last_words import last_words, said_path, wait_last_words
from nanobarter.daemon.home import Home


def test_the_reason_and_the_way_out_are_passed_on(tmp_path: Path) -> None:
    home = Home.create(tmp_path / "home", bytes(64), "")
    said = said_path(home)
    said.write_text(
        "nanobarterd: ready, listening on x\nnanobarterd: WARNING: a disk is away\n"
        "nanobarterd: config.toml:9: unknown key\nnanobarterd: hint: mend it\n"
    )
    assert last_words(home) == wait_last_words(home) == ("config.toml:9: unknown key", "mend it")
    said.write_text("nanobarterd: INFO: hello\nKilled\n")
    message, hint = last_words(home)
    assert (message, str(home.path / "log") in hint) == ("", True)
