"""Amounts, instants and spans: integers that do not mix.

A quantity is a whole number of MiB of one quality. An instant is wall time in milliseconds since 1970 UTC, a
span is a length of time in milliseconds. Floats are for display and statistics only.
"""

import os
import re
from typing import TYPE_CHECKING, Annotated, Final, NewType

from msgspec import Meta

QUANTITY_MAX: Final = 2**60  # above any disk; keeps sums of a full book inside 64 bits
INSTANT_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999
SIZE_MAX: Final = 10**18  # that a text may say: what one pays for it at the highest price is still a quantity
SPAN_MAX: Final = 100 * 366 * 86_400_000  # that a text may say

if TYPE_CHECKING:
    Quantity = NewType("Quantity", int)
    Instant = NewType("Instant", int)
    Span = NewType("Span", int)
    LeaseKind = NewType("LeaseKind", str)
else:
    # The bounds ride on the type, so that every decoder holds them (core.canonical).
    Quantity = NewType("Quantity", Annotated[int, Meta(ge=0, le=QUANTITY_MAX)])
    Instant = NewType("Instant", Annotated[int, Meta(ge=0, le=INSTANT_MAX)])
    Span = NewType("Span", Annotated[int, Meta(ge=0, le=INSTANT_MAX)])
    LeaseKind = NewType("LeaseKind", Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}d\Z", max_length=5)])

MIB: Final = 1024 * 1024
SECOND: Final = Span(1000)
MINUTE: Final = Span(60 * SECOND)
HOUR: Final = Span(60 * MINUTE)
DAY: Final = Span(int(float(os.environ.get("NANOBARTER_TEST_DAY_SECONDS") or 86_400) * SECOND))
"""How long a day is. Only tests make it shorter, to see weeks of leases, keysets and scores go by; spans that the
network's speed sets are given in hours, minutes and seconds, and stay. All nodes of a market need the same day."""

LEASE_KINDS_DEFAULT: Final = (LeaseKind("7d"), LeaseKind("30d"), LeaseKind("90d"), LeaseKind("365d"))

_SIZE = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?\s*$", re.IGNORECASE)
_SPAN = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h|d)\s*$")
_SIZE_FACTOR = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SPAN_FACTOR = {"ms": 1, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}


def after(start: Instant, span: Span) -> Instant:
    """Return the instant one span later, capped at the last representable one."""
    return Instant(min(start + span, INSTANT_MAX))


def before(end: Instant, span: Span) -> Instant:
    """Return the instant one span earlier, never below 1970."""
    return Instant(max(end - span, 0))


def span_between(start: Instant, end: Instant) -> Span:
    """Return how long it is from start to end; zero when end is not later."""
    return Span(max(end - start, 0))


def term(kind: LeaseKind) -> Span:
    """Return how long a lease of this kind lasts: ``30d`` is thirty days."""
    return Span(int(kind[:-1]) * DAY)


def quantity_for(size_bytes: int) -> Quantity:
    """Return the whole number of MiB that holds so many bytes (rounded up)."""
    return Quantity(-(-size_bytes // MIB))


def parse_size(text: str) -> int:
    """Return the bytes that ``"12 GB"``, ``"64MiB"`` or ``"4096"`` mean.

    Decimal and binary units are told apart as in restic and IEC 80000-13. Raises ValueError, naming the text.
    """
    found = _SIZE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size; write it like 10GB or 512MiB")
    size = float(found[1]) * _SIZE_FACTOR[(found[2] or "B").lower()]  # may be infinite
    if size > SIZE_MAX:
        raise ValueError(f"{text!r} is more than there is anywhere; write at most 1000000TB")
    return int(size)


def parse_span(text: str) -> Span:
    """Return the span that ``"15min"``, ``"2s"`` or ``"30d"`` means. Raises ValueError, naming the text."""
    found = _SPAN.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a span of time; write it like 90s, 15min, 6h or 30d")
    span = float(found[1]) * _SPAN_FACTOR[found[2]]  # may be infinite
    if span > SPAN_MAX:
        raise ValueError(f"{text!r} is longer than anybody waits; write at most a hundred years, as 36500d")
    return Span(int(span))


def show_size(size_bytes: int) -> str:
    """Return bytes as a person reads them, in decimal units: ``12.3 GB``."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 - the step between decimal units
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
