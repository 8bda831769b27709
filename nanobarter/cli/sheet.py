"""The recovery sheet: the phrase on paper, as words and as a code, with whom to ask and what to type.

A sheet is made of the words themselves, which are stored nowhere, so whoever makes one types them; they are compared
with the home before anything is written. The page loads nothing and names nothing outside of itself.
"""

import argparse
import hmac
import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nanobarter.cli.client import Client
from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.jobs import read_phrase
from nanobarter.cli.private import write_new
from nanobarter.cli.talk import answer_json, say
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import show_node
from nanobarter.core.keys import identity_of
from nanobarter.core.phrase import seed_of, words_of
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.config_network import parse_host_port
from nanobarter.daemon.home import Home, default_home
from nanobarter.daemon.passphrase import Source, unlock

ADDRESSES_MAX: Final = 8  # any one of them brings everything back; more lines are only more to mistype
WARNING: Final = (
    "Whoever has this sheet can read everything that is backed up, and spend what the node holds. "
    "Keep it where you keep what must not be stolen and must not burn, and not beside the machine."
)
_COLUMNS: Final = 4
_FORMS: Final = (".html", ".txt")


@dataclass(frozen=True)
class Sheet:
    """What stands on a sheet."""

    words: tuple[str, ...]
    node: str
    addresses: tuple[str, ...]
    made: str

    @property
    def command(self) -> str:
        """What to type on an empty machine."""
        where = self.addresses[0] if self.addresses else "HOST:PORT"
        return f"nbctl restore --phrase-file - --bootstrap {where} --target DIR"

    @property
    def cells(self) -> list[list[tuple[int, str]]]:
        """The numbered words, row by row, to be read down the columns."""
        rows = -(-len(self.words) // _COLUMNS)
        numbered = list(enumerate(self.words, 1))
        return [numbered[row::rows] for row in range(rows)]


def sheet(asked: argparse.Namespace) -> int:
    """Write a sheet of the home's phrase to a new file that only its owner may read."""
    path: Path = asked.output
    if path.suffix not in _FORMS:
        raise UsageError(f"{path} is neither an .html nor a .txt", hint="--output sheet.html, to be printed")
    if path.exists():
        raise UsageError(f"{path} exists", hint="name a new file")
    home = unlock(Home.open(asked.home or default_home()), Source(asked.passphrase_file))
    phrase = read_phrase(asked.phrase_file or "-")
    seed = seed_of(phrase)
    if not hmac.compare_digest(seed, home.read_seed()):
        raise CommandFailed("these words are of another home", hint="look for the sheet of this one, now")
    addresses = tuple(asked.bootstrap) or _addresses(home)
    for text in addresses:
        _check_address(text)
    made = Sheet(words_of(phrase), show_node(identity_of(seed).node_id), addresses, f"{datetime.now(UTC):%Y-%m-%d}")
    write_new(path, (as_html(made) if path.suffix == ".html" else as_text(made)).encode())
    if not addresses:
        say("no address of a peer is known yet", "write one by hand on the sheet, or make it again with --bootstrap")
    if asked.json:
        answer_json({"type": "key_sheet", "output": str(path), "addresses": list(addresses)})
    else:
        print(f"{path} is written: print it, then delete the file")
        print(WARNING)
    return Exit.DONE


def _addresses(home: Home) -> tuple[str, ...]:
    """Return whom to ask: the peers that the daemon is connected with, else those of the config."""
    try:
        peers = Client(home).get("/v1/peers")["peers"]
    except CommandFailed:
        peers = list[dict[str, Any]]()
    # One of each peer: several addresses of one are gone together.
    found = [peer["addresses"][0] for peer in peers if peer["connected"] and peer["addresses"]]
    if not found:
        found = list(load_config(home.config_path, folders_must_exist=False).network.bootstrap)
    return tuple(dict.fromkeys(found))[:ADDRESSES_MAX]


def _check_address(text: str) -> None:
    try:
        parse_host_port(text)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise UsageError(f"--bootstrap: {what}", hint=remedy) from None


def _code(text: str) -> Any:
    import segno  # noqa: PLC0415 - only who wants a code pays for it

    return segno.make_qr(text, error="m")


def as_text(made: Sheet) -> str:
    """Return the sheet as plain text, its code in half blocks: dark on the white of paper."""
    lines = ["NANOBARTER RECOVERY SHEET", "", WARNING, ""]
    lines += ["  ".join(f"{number:>2} {word:<9}" for number, word in row).rstrip() for row in made.cells]
    lines += ["", "The same words as a code:", "", *_blocks(made.words), ""]
    lines += ["On an empty machine, with nanobarter installed:", "", f"    {made.command}", ""]
    lines += ["and type the words. Any of these nodes will do, or any other that lives:", ""]
    lines += [f"    {address}" for address in made.addresses] or ["    ______________________"]
    return "\n".join([*lines, "", f"node {made.node}", f"made {made.made}", ""])


def _blocks(words: Sequence[str]) -> list[str]:
    rows = [list(row) for row in _code(" ".join(words)).matrix_iter(border=2)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    halves = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(halves[bool(a), bool(b)] for a, b in zip(one, other, strict=True)).rstrip() for one, other in pairs]


def as_html(made: Sheet) -> str:
    """Return the sheet as a page to print."""
    rows = "\n".join(
        "<tr>" + "".join(f"<td><small>{number}</small> {html.escape(word)}</td>" for number, word in row) + "</tr>"
        for row in made.cells
    )
    addresses = "".join(f"<li><code>{html.escape(one)}</code></li>" for one in made.addresses)
    phrase, command = (_code(text).svg_inline(scale=4, border=2) for text in (" ".join(made.words), made.command))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>nanobarter recovery sheet</title>
<style>
body {{ font: 12pt/1.4 serif; max-width: 17cm; margin: 1cm auto; }}
table {{ border-collapse: collapse; width: 100%; margin: 1em 0; }}
td {{ border: 1px solid #999; padding: .4em .6em; font: 13pt monospace; }}
small {{ color: #666; }}
figure {{ display: inline-block; margin: 0 1cm 0 0; vertical-align: top; }}
.warning {{ border: 2px solid #000; padding: .6em 1em; }}
</style></head><body>
<h1>Recovery sheet</h1>
<p class="warning"><b>{html.escape(WARNING)}</b></p>
<table>
{rows}
</table>
<figure>{phrase}<figcaption>the words</figcaption></figure>
<figure>{command}<figcaption>the command, without the words</figcaption></figure>
<p>On an empty machine, with nanobarter installed:</p>
<p><code>{html.escape(made.command)}</code></p>
<p>and type the words, in order. Any of these nodes will do, or any other that lives:</p>
<ul>{addresses or "<li>______________________</li>"}</ul>
<p><small>node {html.escape(made.node)}, made {made.made}</small></p>
</body></html>
"""
