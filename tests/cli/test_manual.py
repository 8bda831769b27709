"""At stake: a key, command, exit code or route that the manual does not know is a trap for whoever relies on it."""

import argparse
import json
import re
from pathlib import Path
from typing import cast

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import parser
from nanobarter.daemon.api_routes import routes_of
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_keys import section_choices, section_keys
from tests.daemon.fake_node import FakeNode

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONFIG = (DOCS / "config.md").read_text()
CLI = (DOCS / "cli.md").read_text()


def commands_of(top: argparse.ArgumentParser, before: str = "") -> dict[str, argparse.ArgumentParser]:
    found = dict[str, argparse.ArgumentParser]()
    for action in top._actions:
        choices = cast("object", action.choices)
        for name, command in cast("dict[str, object]", choices if isinstance(choices, dict) else {}).items():
            assert isinstance(command, argparse.ArgumentParser)
            found[before + name] = command
            found |= commands_of(command, f"{before}{name} ")
    return found


def test_every_key_is_documented_with_its_default() -> None:
    for section, keys in section_keys().items():
        text = CONFIG.split(f"## [{section}]")[1].split("\n## ")[0]
        assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == keys, section
        for key in keys:
            default = cast("object", getattr(getattr(Config(), section), key))
            told = "unset" if default == "" else json.dumps(default)
            row = next(line for line in text.splitlines() if line.startswith(f"| `{key}`"))
            assert told in row, (section, key)
    for section, key in (("market", "mode"), ("market", "approve"), ("backup", "durability")):
        assert all(f'"{choice}"' in CONFIG for choice in section_choices(section, key))


def test_every_command_is_documented_and_none_else() -> None:
    rows = re.findall(r"^\| `((?:[a-z]+(?:-[a-z]+)* ?)+)", CLI.split("## Commands")[1].split("\n## ")[0], re.MULTILINE)
    told = {" ".join(word for word in row.split() if word.islower()) for row in rows}
    assert told == set(commands_of(parser())) - {"key", "key passphrase", "mint", "note", "draft", "sim", "market show"}


def test_every_exit_code_is_documented() -> None:
    table = CLI.split("## Exit codes")[1].split("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+)", table, re.MULTILINE)] == sorted(Exit)


def test_every_route_is_documented() -> None:
    told = re.findall(r"^\| `(GET|POST) ([^`?]+)", CLI, re.MULTILINE)
    assert set(told) == set(routes_of(FakeNode()))


def test_every_command_has_help() -> None:
    for name, command in commands_of(parser()).items():
        assert command.description, name
        assert all(a.help for a in command._actions if a.option_strings), name
