"""From the text of config.toml to a checked Config.

Every complaint is a UsageError of one shape, so that a person can go straight to the place:
``FILE:LINE: [section] key = value: what is wrong``, with the remedy as the hint.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import msgspec
from msgspec.structs import replace

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.units import MIB, show_size
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_keys import NODE_LISTS, TEXTS, section_choices, section_keys
from nanobarter.daemon.config_order_file import TWO_BRACKETS, check_together, read_orders
from nanobarter.daemon.config_orders import both, check_nodes

CONFIG_BYTES_MAX: Final = 256 * 1024  # a person's file with a few thousand excludes; more is a mistaken path
SPACE_BYTES_MIN: Final = 64 * MIB  # less cannot hold the shares of a single pack for each of six neighbours

_AT = re.compile(r"^(?P<what>.*) - at `\$\.(?P<section>\w+)(?:\.(?P<key>\w+))?(?:\[(?P<index>\d+)\])?`$")
_EXPECTED = {
    "str": ("a text", "put it in quotes"),
    "bool": ("true or false", "write true or false, without quotes"),
    "array": ("a list", 'write it in brackets, like ["one", "two"]'),
    "object": ("a section", "write it as a heading in brackets of its own"),
}


def load_config(path: Path, *, folders_must_exist: bool = True) -> Config:
    """Return the checked config of a home.

    Raises UsageError with the file, line, key and value at fault, or LocalFault when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)  # and no more of a device, which has no end
        if len(raw) > CONFIG_BYTES_MAX:
            raise UsageError(f"{path} is too large for a config", hint=f"keep it below {CONFIG_BYTES_MAX} bytes")
        text = raw.decode()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint="make a home first: nbctl init") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from None
    except OSError as error:
        raise LocalFault(f"cannot read {path}: {error.strerror}", hint="check its owner and mode") from None
    return parse_config(text, path, folders_must_exist=folders_must_exist)


def parse_config(text: str, path: Path, *, folders_must_exist: bool = True) -> Config:
    """Return the checked config that this text is; ``path`` is named in complaints. Raises UsageError."""
    return _Reader(text, path).read(folders_must_exist=folders_must_exist)


class _Reader:
    """One reading of one file: knows the text, so that complaints can name the line."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path
        self._document: dict[str, Any] = {}

    def read(self, *, folders_must_exist: bool) -> Config:
        try:
            self._document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            self._bad_syntax(error)
        orders = read_orders(self._document.pop("order", []), self._text, self._path)
        self._refuse_unknown()
        try:
            config = replace(msgspec.convert(self._document, Config, strict=True), order=orders)
        except msgspec.ValidationError as error:
            self._bad_type(str(error))
        self._check_values(config)
        self._check_nodes(config)
        check_together(config, self._text, self._path)
        if folders_must_exist:
            self._check_folders(config)
        return config

    def _bad_syntax(self, error: tomllib.TOMLDecodeError) -> NoReturn:
        found = re.search(r"\(at (?:line (\d+)|end of document)", str(error))
        line = int(found[1]) if found and found[1] else max(1, len(self._text.splitlines()))
        what = str(error).split(" (at ")[0]
        hint = 'a line reads key = "value"'
        heading = re.match(r"\s*\[+\s*\"?([\w-]+)", [*self._text.splitlines(), ""][line - 1])
        if heading is not None and what.startswith("Cannot"):  # it stands above already, in another form or the same
            name = heading[1]
            hint = TWO_BRACKETS if name == "order" else f"write [{name}] once, and all its keys below it"
            what = f"[{name}] stands above already"
        raise UsageError(f"{self._path}:{line}: not TOML: {what[:1].lower()}{what[1:]}", hint=hint)

    def _refuse_unknown(self) -> None:
        known = section_keys()
        for section, content in self._document.items():
            if section not in known:
                raise UsageError(
                    f"{self._path}:{self._line(section)}: [{section}] is not a known section",
                    hint=_nearest(section, list(known), "[{}]", "the sections are"),
                )
            if not isinstance(content, dict):
                self._complain(section, None, content, "a section is wanted", f"write it as a heading: [{section}]")
            for key, value in cast("dict[str, object]", content).items():
                if key not in known[section]:
                    hint = _nearest(key, known[section], "{}", f"[{section}] knows")
                    self._complain(section, key, value, "unknown key", hint)

    def _bad_type(self, message: str) -> NoReturn:
        found = _AT.match(message)
        if found is None:  # not met; the file is refused all the same
            raise UsageError(f"{self._path}: {message}")
        section, key, index = found["section"], found["key"], found["index"]
        value = self._document[section][key]
        value = value[int(index)] if index is not None else value
        wanted = re.match(r"Expected `(\w+)`", found["what"])
        if wanted and wanted[1] in _EXPECTED:
            noun, hint = _EXPECTED[wanted[1]]
            self._complain(section, key, value, f"{noun} is wanted", hint)
        choices = section_choices(section, key)
        self._complain(section, key, value, "not one of its values", "write " + " or ".join(f'"{c}"' for c in choices))

    def _check_values(self, config: Config) -> None:
        for section, key, parse in TEXTS:
            value = cast("str | tuple[str, ...]", getattr(getattr(config, section), key))
            for text in (value,) if isinstance(value, str) else value:
                self._check_text(section, key, text, parse)
        if config.offer.space_bytes < SPACE_BYTES_MIN:
            hint = f"offer at least {show_size(SPACE_BYTES_MIN)}"
            self._complain("offer", "space", config.offer.space, "too little space to barter with", hint)
        if not config.offer.kinds:
            self._complain("offer", "kinds", [], "at least one kind is wanted", 'write ["30d"]')
        kinds = config.offer.lease_kinds
        if len(set(kinds)) < len(kinds):
            self._complain("offer", "kinds", list(config.offer.kinds), "a kind is there twice", "write each kind once")
        if config.offer.left_bytes < 0 or min(config.offer.pledges.values()) < MIB:
            hint = "make space larger, or the kinds smaller"
            self._complain("offer", "space", config.offer.space, "too little for its kinds together", hint)
        if config.swap.vote_span <= config.swap.lock_span:
            hint = f"make it longer than lock = {config.swap.lock!r}"
            self._complain("swap", "vote", config.swap.vote, "the vote cannot end before the locks stand", hint)

    def _check_nodes(self, config: Config) -> None:
        for section, key, most in NODE_LISTS:
            nodes = cast("tuple[str, ...]", getattr(getattr(config, section), key))
            try:
                check_nodes(nodes, most)
            except ValueError as error:
                what, _, remedy = str(error).partition("; ")
                self._complain(section, key, list(nodes), what, remedy)
        for key in ("prefer", "wants"):
            nodes = cast("tuple[str, ...]", getattr(config.market, key))
            if node := both(nodes, config.market.refuse):
                self._complain("market", key, list(nodes), f"{node} is in refuse, too", "take it out of one of them")

    def _check_text(self, section: str, key: str, text: str, parse: Callable[[str], object]) -> None:
        try:
            parse(text)
        except UsageError as error:
            self._complain(section, key, text, str(error).partition(": ")[2] or str(error), error.hint)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self._complain(section, key, text, what.removeprefix(f"{text!r} is "), remedy)

    def _check_folders(self, config: Config) -> None:
        for folder in config.backup.folders:
            where = Path(folder).expanduser()
            if not where.is_absolute():
                hint = f"write the whole path, like {json.dumps(str(where.absolute()))}"
                self._complain("backup", "folders", folder, "not an absolute path", hint)
            if not where.exists():
                self._complain("backup", "folders", folder, "no such folder", "make it, mount it, or take it out")
            if not where.is_dir():
                self._complain("backup", "folders", folder, "not a folder", "name the folder that holds it")

    def _complain(self, section: str, key: str | None, value: object, problem: str, hint: str) -> NoReturn:
        line = self._line(section, key)
        name = f"[{section}] {key}" if key else section
        raise UsageError(f"{self._path}:{line}: {name} = {_show(value)}: {problem}", hint=hint)

    def _line(self, section: str, key: str | None = None) -> int:
        """Find the line of a key, else of its section; defaults have no line of their own, so 1 stands for them."""
        current, heading = "", 1
        for number, line in enumerate(self._text.splitlines(), 1):
            if found := re.match(r"\s*\[{1,2}\s*\"?([\w-]+)\"?\s*\]", line):
                current = found[1]
                heading = number if current == section else heading
            elif found := re.match(r"\s*\"?([\w-]+)\"?\s*(?:\.\s*\"?([\w-]+)\"?\s*)?=", line):
                here = (found[1], found[2]) if found[2] or not current else (current, found[1])
                if here in ((section, key), (section, None)):
                    return number
        return heading


def _nearest(word: str, known: list[str], form: str, otherwise: str) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {form.format(close[0])}?" if close else f"{otherwise} {', '.join(known)}"


def _show(value: object) -> str:
    if isinstance(value, dict):
        return "{...}"
    return json.dumps(value, ensure_ascii=False, default=str)
