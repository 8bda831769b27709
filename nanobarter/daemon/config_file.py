"""From the text of config.toml to a checked Config, and the commented file that ``nbctl init`` writes.

Every complaint is a UsageError of one shape, so that a person can go straight to the place:
``FILE:LINE: [section] key = value: what is wrong``, with the remedy as the hint.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, cast, get_type_hints

import msgspec

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.hours import parse_hours
from nanobarter.core.ids import parse_node
from nanobarter.core.units import MIB, parse_size, parse_span, show_size
from nanobarter.daemon.config import (
    RESERVE_AUTO,
    Config,
    parse_anchor,
    parse_off_or_span,
    parse_offered,
    parse_schedule,
)
from nanobarter.daemon.config_network import check_proxy, parse_host_port, parse_rate
from nanobarter.daemon.terms import parse_price
from nanobarter.storage.retention import parse_keep

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
        if path.stat().st_size > CONFIG_BYTES_MAX:
            raise UsageError(f"{path} is too large for a config", hint=f"keep it below {CONFIG_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
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
        self._refuse_unknown()
        try:
            config = msgspec.convert(self._document, Config, strict=True)
        except msgspec.ValidationError as error:
            self._bad_type(str(error))
        self._check_values(config)
        if folders_must_exist:
            self._check_folders(config)
        return config

    def _bad_syntax(self, error: tomllib.TOMLDecodeError) -> NoReturn:
        found = re.search(r"\(at (?:line (\d+)|end of document)", str(error))
        line = int(found[1]) if found and found[1] else max(1, len(self._text.splitlines()))
        what = str(error).split(" (at ")[0]
        raise UsageError(
            f"{self._path}:{line}: not TOML: {what[:1].lower()}{what[1:]}", hint='a line reads key = "value"'
        )

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
        for section, key, parse in _TEXTS:
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
            if found := re.match(r"\s*\[\s*\"?([\w-]+)\"?\s*\]", line):
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


def _positive_span(text: str) -> None:
    if not parse_span(text):
        raise ValueError(f"{text!r} is no time at all; write it like 90s, 15min, 6h or 30d")


def _reserve(text: str) -> None:
    if text != RESERVE_AUTO:
        parse_size(text)


def _word(text: str) -> None:
    if not text.strip() or not text.isprintable() or len(text) > 32:  # noqa: PLR2004 - a column of the report
        raise ValueError(f"{text!r} is not a name; write one to 32 printable letters")


_TEXTS: Final[tuple[tuple[str, str, Callable[[str], object]], ...]] = (
    ("backup", "schedule", parse_schedule),
    ("backup", "patience", _positive_span),
    ("backup", "keep", parse_keep),
    ("backup", "hours", parse_hours),
    ("backup", "drill", parse_off_or_span),
    ("offer", "space", parse_size),
    ("offer", "kinds", parse_offered),
    ("market", "reserve", _reserve),
    ("market", "approve_above", parse_size),
    *(("market", key, parse_node) for key in ("wants", "prefer", "refuse")),
    ("market", "price", parse_price),
    ("market", "bid_span", _positive_span),
    ("pet", "name", _word),
    ("pet", "symbol", _word),
    ("pet", "anchor", parse_anchor),
    ("network", "listen", parse_host_port),
    ("network", "bootstrap", parse_host_port),
    ("network", "advertise", parse_host_port),
    ("network", "friends", parse_node),
    ("network", "upload", parse_rate),
    ("network", "download", parse_rate),
    ("network", "limit_hours", parse_hours),
    ("network", "proxy", check_proxy),
    *(("swap", key, _positive_span) for key in ("approve", "lock", "vote", "delta", "ask")),
    ("audit", "period", _positive_span),
    ("audit", "grace", _positive_span),
)


def section_keys() -> dict[str, list[str]]:
    """Return the known sections and the keys of each, in their order."""
    hints = get_type_hints(Config)
    return {name: list(hints[name].__struct_fields__) for name in Config.__struct_fields__}


def section_choices(section: str, key: str) -> tuple[str, ...]:
    """Return the values that a key of fixed choices allows."""
    kind = get_type_hints(get_type_hints(Config)[section])[key]
    return tuple(kind.__args__)


_COMMENTS: Final[dict[str, str]] = {
    "backup": "What to keep safe.",
    "backup.folders": "Absolute paths of the folders to back up.",
    "backup.exclude": "Patterns of what to leave out, as in .gitignore.",
    "backup.durability": 'How safe: "normal", or "high" (more shares of each pack may be lost; costs more space).',
    "backup.schedule": '"off" (only by hand) or "every 6h".',
    "backup.patience": "How long a backup waits for others' space before it does with less or gives up.",
    "backup.keep": 'Which snapshots to keep after a scheduled backup: "all", or "daily 7, weekly 4, monthly 12".',
    "backup.hours": 'When scheduled backups may start: "always", or hours of the day like "22:00-06:00".',
    "backup.drill": 'How often a sample is really restored and compared: "30d", or "off".',
    "offer": "What this disk lends to others. It pays for the space that others lend to you.",
    "offer.kinds": 'For how long a lease runs: "7d", "30d", "90d" or "365d"; "7d 2GB" gives a kind its own size.',
    "market": "On which terms to barter.",
    "market.mode": 'How to price: "ticket", "par" (one for one) or "discount" (by reliability).',
    "market.price": 'The most to give for one received, like "3/2"; "auto": par, or twice that with "discount".',
    "market.prefer": "Ids of nodes to ask first.",
    "market.refuse": "Ids of nodes whose notes are never wanted.",
    "market.approve": '"auto": agreements within the policy are approved by themselves; "manual": you are asked.',
    "market.approve_above": "With manual: how much of yours an agreement may take without asking you.",
    "market.reserve": 'Space of others to keep in hand beyond what the folders need; "auto": half of what is offered.',
    "market.wants": "Ids of the only nodes whose notes are wanted; empty: anyone's.",
    "market.bid_span": "How long a bid stands before it is renewed.",
    "pet": "Your own currency, in which the ledger is told. It never leaves this machine.",
    "network": "Where this node listens, and whom it asks first.",
    "network.advertise": "What others should dial, like a router's forwarded port; empty: found out by itself.",
    "network.peers": '"open": anyone; "only": the friends below and those who took an invitation (nbctl invite).',
    "network.friends": 'Ids of the nodes that may connect when peers = "only".',
    "network.upload": 'How much of the line shares may take on their way out: "unlimited", or like "2MiB/s".',
    "network.download": "The same for shares on their way in.",
    "network.limit_hours": 'When these two hold: "always", or hours of the day like "07:00-23:00".',
    "network.lan": "Find nodes on the local network, and be found there; false: neither.",
    "network.dht": "Be a part of the hash table, by which nodes and lost backups are found; false: no UDP at all.",
    "network.map_port": "Ask the home router to forward the port (NAT-PMP).",
    "network.proxy": 'Dial through a SOCKS5 proxy, like "socks5://127.0.0.1:9050" (Tor); empty: directly.',
    "network.relay": 'Carry bytes between peers that cannot dial each other: "off", for "friends", or "open" to all.',
    "network.same_host_ok": "Count nodes on this same machine as different ones: only for demos and tests.",
    "swap": "The clock of an agreement; partners must run the same delta.",
    "bots": 'What acts by itself; "off" turns one off.',
    "bots.keeper": "Keeps the plan: orders space, renews leases, replaces what failed.",
    "bots.pinger": "Asks peers four times an hour whether they are there; reliability is learned from it.",
    "bots.auditor": "Has peers prove what they store. Off: nothing counts as proven after a while.",
    "audit": "How often peers must prove what they store, and how long they may be away.",
}


def write_config(config: Config) -> str:
    """Return the commented text of a config: every key is there, so that the file explains itself."""
    lines = ["# nanobarter: what this node does for you. Each key is explained in docs/config.md.", ""]
    for section, keys in section_keys().items():
        lines += [f"# {_COMMENTS[section]}", f"[{section}]"]
        for key in keys:
            value = getattr(getattr(config, section), key)
            if comment := _COMMENTS.get(f"{section}.{key}"):
                lines.append(f"# {comment}")
            lines.append(f"{key} = {_toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    # JSON's strings, booleans and lists are TOML's too, as long as DEL is escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
