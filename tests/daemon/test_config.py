"""At stake: a person with a typo in her config finds the place and the remedy at once, and nothing starts."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.units import HOUR, LeaseKind
from nanobarter.daemon.config import Backup, Config, Offer, parse_anchor
from nanobarter.daemon.config_file import load_config, parse_config
from nanobarter.daemon.config_network import parse_host_port
from nanobarter.daemon.config_text import write_config
from nanobarter.matching.wire import BidBody
from nanobarter.translator.orders import bid_for

FILE = Path("/h/config.toml")
TWO_BRACKETS = "write each order as a heading with two brackets: [[order]]"

# Each line: the text, the whole message, the hint.
WRONG = [
    ('[offer]\nspase = "1GB"', 'config.toml:2: [offer] spase = "1GB": unknown key', "did you mean space?"),
    ('[offer]\nxyz = "1GB"', 'config.toml:2: [offer] xyz = "1GB": unknown key', "[offer] knows space, kinds"),
    ("\n[ofer]\n", "config.toml:2: [ofer] is not a known section", "did you mean [offer]?"),
    ("offer = 3", "config.toml:1: offer = 3: a section is wanted", "write it as a heading: [offer]"),
    (
        '\n[[offer]]\nspace = "1GB"',
        'config.toml:2: offer = [{"space": "1GB"}]: a section is wanted',
        "write it as a heading: [offer]",
    ),
    (
        '[offer]\nspace = "1GB"\n[pet]\n[offer]',
        "config.toml:4: not TOML: [offer] stands above already",
        "write [offer] once, and all its keys below it",
    ),
    ('[pet]\n[order]\nget = "1GB"', "config.toml:2: [[order]]: a list of tables is wanted", TWO_BRACKETS),
    ('\norder.get = "1GB"', "config.toml:2: [[order]]: a list of tables is wanted", TWO_BRACKETS),
    (
        '[order]\nget = "1GB"\n[order]\nget = "2GB"',
        "config.toml:3: not TOML: [order] stands above already",
        TWO_BRACKETS,
    ),
    (
        '[order]\nget = "1GB"\n[[order]]\nget = "2GB"',
        "config.toml:3: not TOML: [order] stands above already",
        TWO_BRACKETS,
    ),
    ("[offer]\n\nspace = 10", "config.toml:3: [offer] space = 10: a text is wanted", "put it in quotes"),
    (
        '[offer]\nspace = "ten"',
        'config.toml:2: [offer] space = "ten": not a size',
        "write it like 10GB or 512MiB",
    ),
    (
        '[[order]]\nget = "301MB"\ngive = "99007199254740993TB"',
        'config.toml:3: [[order]] give = "99007199254740993TB": more than there is anywhere',
        "write at most 1000000TB",
    ),
    (
        f'[pet]\nanchor = "1 GB for 30 days = {"9" * 400}"',
        f'config.toml:2: [pet] anchor = "1 GB for 30 days = {"9" * 400}": not an anchor',
        "write it like 1 GB for 30 days on a 95 % peer = 10",
    ),
    (
        '[audit]\ngrace = "99999999999999d"',
        'config.toml:2: [audit] grace = "99999999999999d": longer than anybody waits',
        "write at most a hundred years, as 36500d",
    ),
    (
        '[offer]\nspace = "1MB"',
        'config.toml:2: [offer] space = "1MB": too little space to barter with',
        "offer at least 67.1 MB",
    ),
    (
        '[offer]\nkinds = ["31d"]',
        'config.toml:2: [offer] kinds = "31d": not a lease kind',
        "write one of 7d, 30d, 90d, 365d",
    ),
    ("[offer]\nkinds = []", "config.toml:2: [offer] kinds = []: at least one kind is wanted", 'write ["30d"]'),
    (
        '[offer]\nkinds = ["30d", 7]',
        "config.toml:2: [offer] kinds = 7: a text is wanted",
        "put it in quotes",
    ),
    (
        '[network]\nsame_host_ok = "yes"',
        'config.toml:2: [network] same_host_ok = "yes": true or false is wanted',
        "write true or false, without quotes",
    ),
    (
        '[network]\nlisten = "here"',
        'config.toml:2: [network] listen = "here": not an address',
        "write it like 192.0.2.7:4773",
    ),
    (
        '[network]\nupload = "2MiB"',
        'config.toml:2: [network] upload = "2MiB": not a rate',
        'write it like 2MiB/s, at least 16KiB/s, or "unlimited"',
    ),
    (
        '[backup]\nhours = "22-6"',
        'config.toml:2: [backup] hours = "22-6": not a part of the day',
        'write it like 22:00-06:00, or "always"',
    ),
    (
        '[backup]\ndrill = "monthly"',
        'config.toml:2: [backup] drill = "monthly": not a span of time',
        'write it like 30d, or "off"',
    ),
    (
        '[network]\nbootstrap = "a:1"',
        'config.toml:2: [network] bootstrap = "a:1": a list is wanted',
        'write it in brackets, like ["one", "two"]',
    ),
    (
        '[market]\nmode = "free"',
        'config.toml:2: [market] mode = "free": not one of its values',
        'write "ticket" or "par" or "discount"',
    ),
    (
        '[market]\nwants = ["nb1x"]',
        'config.toml:2: [market] wants = "nb1x": its length is impossible',
        "copy the whole nb1... text",
    ),
    (
        '[market]\nbid_span = "0s"',
        'config.toml:2: [market] bid_span = "0s": no time at all',
        "write it like 90s, 15min, 6h or 30d",
    ),
    (
        '[market]\nbid_span = "31d"',
        'config.toml:2: [market] bid_span = "31d": longer than others keep a bid',
        "write at most 30d",
    ),
    (
        '[swap]\ndelta = "1ms"',
        'config.toml:2: [swap] delta = "1ms": too short for a slow issuer, and a ring could rob you',
        "write at least 3s",
    ),
    (
        '[swap]\nask = "8d"',
        'config.toml:2: [swap] ask = "8d": longer than partners keep a question',
        "write at most 7d",
    ),
    (
        '[swap]\nlock = "30s"\nvote = "20s"',
        'config.toml:3: [swap] vote = "20s": the vote cannot end before the locks stand',
        "make it longer than lock = '30s'",
    ),
    (
        '[backup]\nschedule = "daily"',
        'config.toml:2: [backup] schedule = "daily": not a schedule',
        'write "off" or "every 6h"',
    ),
    (
        '[backup]\nfolders = ["/nowhere/at/all"]',
        'config.toml:2: [backup] folders = "/nowhere/at/all": no such folder',
        "make it, mount it, or take it out",
    ),
    (
        '[backup]\nfolders = ["/etc/passwd"]',
        'config.toml:2: [backup] folders = "/etc/passwd": not a folder',
        "name the folder that holds it",
    ),
    (
        '[pet]\nanchor = "1 apple"',
        'config.toml:2: [pet] anchor = "1 apple": not an anchor',
        "write it like 1 GB for 30 days on a 95 % peer = 10",
    ),
    (
        '[market]\nback_up = "0GB for 50GB"',
        'config.toml:2: [market] back_up = "0GB for 50GB": a plan for less than 1MiB of folders',
        'say how much shall be kept safe, or "off"',
    ),
    (
        '[market]\nback_up = "1GB for 1MB"',
        'config.toml:2: [market] back_up = "1GB for 1MB": too little given',
        'at least 1MiB is traded, so give more than that, or "off"',
    ),
    ('[pet]\nname = ""', 'config.toml:2: [pet] name = "": not a name', "write one to 32 printable letters"),
    ("[offer]\nspace = ", "config.toml:2: not TOML: invalid value", 'a line reads key = "value"'),
    (
        "[audit]\ngrace = '2'",
        'config.toml:2: [audit] grace = "2": not a span of time',
        "write it like 90s, 15min, 6h or 30d",
    ),
]


@pytest.mark.parametrize(("text", "message", "hint"), WRONG, ids=[text for text, _, _ in WRONG])
def test_each_mistake_is_told_by_place_value_and_remedy(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(text, FILE)
    assert (str(caught.value), caught.value.hint) == (f"/h/{message}", hint)


def test_a_home_without_config_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.toml does not exist") as caught:
        load_config(tmp_path / "config.toml")
    assert caught.value.hint == "make a home first: nbctl init"


def test_a_file_without_an_end_is_no_config() -> None:
    with pytest.raises(UsageError, match="too large for a config"):
        load_config(Path("/dev/zero"))


def test_an_empty_config_is_the_default_one() -> None:
    assert parse_config("", FILE) == Config()
    assert Config().backup.every is None
    assert Config().network.listen_address == ("0.0.0.0", 4773)  # noqa: S104 - the default is said


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1), max_size=3),
    st.integers(64, 10**6),
    st.sampled_from(["off", "every 6h", "every 15min"]),
)
def test_what_is_written_is_what_is_read(excludes: list[str], space: int, schedule: str) -> None:
    config = Config(backup=Backup(exclude=tuple(excludes), schedule=schedule), offer=Offer(space=f"{space}MiB"))
    assert parse_config(write_config(config), FILE) == config


@pytest.mark.parametrize(
    "symbol",
    ["1", "-", "a-c", "+", ".5", "kr.", ",", "%", "a c", "\N{NO-BREAK SPACE}", "MiB", "mb", "B", "k", "d", "bytes",
     "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}", "\N{SQUARE MB}", "\N{FULLWIDTH LATIN CAPITAL LETTER B}",
     "\N{MINUS SIGN}", "\N{VULGAR FRACTION ONE HALF}", "", " ", "a" * 13, "\t", "\N{RIGHT-TO-LEFT OVERRIDE}"],
)  # fmt: skip
def test_a_symbol_never_reads_as_part_of_the_figure_before_it(symbol: str) -> None:
    with pytest.raises(UsageError, match=r"config\.toml:2: \[pet\] symbol = ") as caught:
        parse_config(f"[pet]\nsymbol = {json.dumps(symbol, ensure_ascii=False)}", FILE)
    assert json.dumps(symbol, ensure_ascii=False) in str(caught.value)
    assert "like ac or €" in caught.value.hint


@pytest.mark.parametrize("symbol", ["ac", "€", "R$", "nuts", "Kč", "\N{CHESTNUT}", "\N{CJK UNIFIED IDEOGRAPH-5186}"])
def test_letters_and_signs_of_currencies_are_symbols(symbol: str) -> None:
    assert parse_config(f"[pet]\nsymbol = {json.dumps(symbol, ensure_ascii=False)}", FILE).pet.symbol == symbol


@given(st.text())
def test_any_text_is_a_config_or_a_usage_error(text: str) -> None:
    try:
        parse_config(text, FILE)
    except UsageError as error:
        assert str(error).startswith("/h/config.toml")  # noqa: PT017 - either outcome is right


def test_values_mean_what_they_say() -> None:
    assert parse_config('[backup]\nschedule = "every 6h"', FILE).backup.every == 6 * HOUR
    assert parse_host_port("[::1]:80") == ("::1", 80)
    anchor = parse_anchor("2 GB for 30 days = 2.5 nuts")
    assert (anchor.size_bytes, anchor.days, anchor.reliability_percent, anchor.worth) == (
        2 * 10**9,
        30,
        95,
        Fraction(5, 2),
    )


def test_the_largest_sizes_of_an_order_still_make_a_bid() -> None:
    for text in ('get = "1MiB"\ngive = "1000000TB"', 'get = "1000000TB"\nprice = "999999"'):
        (row,) = parse_config(f"[[order]]\n{text}", FILE).order
        (order,) = row.standing(LeaseKind("30d")).orders({}, 0, NodeId(bytes(32)))
        assert decode(encode(bid_for(order, NodeId(bytes(32)))), BidBody, size_max=4096).quantity == order.quantity
