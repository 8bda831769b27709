"""Which sections and keys config.toml knows, and what the text of each must mean."""

import unicodedata
from collections.abc import Callable
from typing import Final, get_type_hints

from nanobarter.core.hours import parse_hours
from nanobarter.core.ids import parse_node
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, SECOND, Span, parse_size, parse_span
from nanobarter.daemon.config import (
    RESERVE_AUTO,
    Config,
    parse_anchor,
    parse_budget,
    parse_off_or_span,
    parse_offered,
    parse_schedule,
)
from nanobarter.daemon.config_bots import parse_percent
from nanobarter.daemon.config_network import check_proxy, parse_host_port, parse_rate
from nanobarter.daemon.config_orders import parse_back_up, parse_price
from nanobarter.storage.retention import parse_keep

_BID_SPAN_MAX: Final = Span(LIMITS.item_valid_max - DAY)  # a clock that is ahead must not make a bid live too long
_DELTA_MIN: Final = Span(3 * SECOND)

_SYMBOL_MAX: Final = 12  # it stands behind each figure, also in narrow columns
_OF_SYMBOLS: Final = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Sc", "So")  # letters, currencies, pictures; no signs
_PREFIXES: Final = ("", *(p + i for p in "kmgtpezy" for i in ("", "i")))
_UNITS: Final = frozenset(
    {p + unit for p in _PREFIXES for unit in ("", "b", "bit", "bits", "byte", "bytes")}
    | {"s", "ms", "min", "h", "d", "day", "days"}
)
"""What sizes and spans of time are told in, without regard to case."""


def section_keys() -> dict[str, list[str]]:
    """Return the known sections and the keys of each, in their order; ``[[order]]`` is read by itself."""
    hints = get_type_hints(Config)
    return {name: list(hints[name].__struct_fields__) for name in Config.__struct_fields__ if name != "order"}


def section_choices(section: str, key: str) -> tuple[str, ...]:
    """Return the values that a key of fixed choices allows."""
    kind = get_type_hints(get_type_hints(Config)[section])[key]
    return tuple(kind.__args__)


def _positive_span(text: str) -> None:
    if not parse_span(text):
        raise ValueError(f"{text!r} is no time at all; write it like 90s, 15min, 6h or 30d")


def _span_that(fits: Callable[[Span], bool], why_not: str) -> Callable[[str], None]:
    """Return the check of a span that has a bound; ``why_not`` says what is wrong beyond it, and a way out."""

    def check(text: str) -> None:
        _positive_span(text)
        if not fits(parse_span(text)):
            raise ValueError(f"{text!r} is {why_not}")

    return check


_bid_span = _span_that(lambda span: span <= _BID_SPAN_MAX, "longer than others keep a bid; write at most 30d")
_delta = _span_that(
    lambda span: span >= _DELTA_MIN, "too short for a slow issuer, and a ring could rob you; write at least 3s"
)
_ask_span = _span_that(
    lambda span: span <= LIMITS.swap_question_life_max, "longer than partners keep a question; write at most 7d"
)


def _reserve(text: str) -> None:
    if text != RESERVE_AUTO:
        parse_size(text)


def _word(text: str) -> None:
    if not text.strip() or not text.isprintable() or len(text) > 32:  # noqa: PLR2004 - a column of the report
        raise ValueError(f"{text!r} is not a name; write one to 32 printable letters")


def _symbol(text: str) -> None:
    """Take what stands behind a figure: nothing there may read as part of the figure, or as another unit."""
    if not text.strip() or not text.isprintable() or len(text) > _SYMBOL_MAX:
        raise ValueError(f"{text!r} is not a symbol; write one to {_SYMBOL_MAX} letters, like ac or €")
    plain = unicodedata.normalize("NFKC", text)  # a size in wide letters, or in one sign, is a size all the same
    if plain.casefold() in _UNITS:
        raise ValueError(f"{text!r} is a unit of its own; write one to {_SYMBOL_MAX} other letters, like ac or €")
    if any(unicodedata.category(letter) not in _OF_SYMBOLS for letter in (*text, *plain)):
        raise ValueError(f"{text!r} is not apart from a number before it; write letters alone, like ac or €")


TEXTS: Final[tuple[tuple[str, str, Callable[[str], object]], ...]] = (
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
    ("market", "bid_span", _bid_span),
    ("market", "budget", parse_budget),
    ("market", "back_up", parse_back_up),
    ("pet", "name", _word),
    ("pet", "symbol", _symbol),
    ("pet", "anchor", parse_anchor),
    ("network", "listen", parse_host_port),
    ("network", "bootstrap", parse_host_port),
    ("network", "advertise", parse_host_port),
    ("network", "friends", parse_node),
    ("network", "upload", parse_rate),
    ("network", "download", parse_rate),
    ("network", "limit_hours", parse_hours),
    ("network", "proxy", check_proxy),
    *(("swap", key, _positive_span) for key in ("approve", "lock", "vote")),
    ("swap", "delta", _delta),
    ("swap", "ask", _ask_span),
    ("audit", "period", _positive_span),
    ("audit", "grace", _positive_span),
    *(("bots", key, parse_percent) for key in ("per_issuer", "loss_day", "loss_month")),
)

_REFUSED_MAX: Final = 48  # one bid names 64 at most: beside them those whom an order refuses, and convicts
_NODES_MAX: Final = 4096  # what fits into a config

NODE_LISTS: Final = (
    ("market", "refuse", _REFUSED_MAX),
    ("market", "prefer", _NODES_MAX),
    ("market", "wants", _NODES_MAX),
    ("network", "friends", _NODES_MAX),
)
"""The lists of ids of nodes, each id once, and how many they may hold."""
