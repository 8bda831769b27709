"""What a node tells of its ledger, in the pet currency. See ``facade``."""

from nanobarter.daemon.shape import Part, Shape


class Currency(Part, frozen=True, kw_only=True):
    """The person's own currency."""

    name: str
    symbol: str


class Posting(Part, frozen=True, kw_only=True):
    """One line of an entry; ``amount`` counts MiB of the commodity, ``value`` is in the pet currency or empty."""

    account: str
    commodity: str
    amount: int
    value: str = ""


class LedgerEntry(Part, frozen=True, kw_only=True):
    """One thing that happened; its postings sum to zero per commodity."""

    entry: int
    at: int
    text: str
    postings: tuple[Posting, ...] = ()


class Ledger(Shape, frozen=True, kw_only=True, tag="ledger"):
    """What happened, oldest first."""

    currency: Currency
    entries: tuple[LedgerEntry, ...] = ()


class BalanceRow(Part, frozen=True, kw_only=True):
    """What stands in one account; ``source`` says where the rate came from."""

    account: str
    commodity: str
    amount: int
    value: str = ""
    source: str = ""


class Balance(Shape, frozen=True, kw_only=True, tag="balance"):
    """What stands where, and its sum in the pet currency."""

    currency: Currency
    rows: tuple[BalanceRow, ...] = ()
    total: str = ""


class Bar(Part, frozen=True, kw_only=True):
    """One bar of a chart, and what stands beside it."""

    label: str
    value: float
    text: str


class Line(Part, frozen=True, kw_only=True):
    """One line of a chart, a value for each day; ``text`` is its last."""

    label: str
    values: tuple[float, ...]
    text: str


class Chart(Part, frozen=True, kw_only=True):
    """A small chart of bars or of lines. A bar is full at ``full``; 0: at the longest."""

    name: str
    title: str
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    full: float = 0.0


class Report(Shape, frozen=True, kw_only=True, tag="report"):
    """Tell of one month (``2026-11``) in few lines; ``attention`` is what needs the person's, mostly nothing.

    ``unit``: what the currency is tied to, in the words of the config.
    """

    currency: Currency
    month: str
    lines: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    total: str = ""
    unit: str = ""


class RateRow(Part, frozen=True, kw_only=True):
    """What a gigabyte of one quality is worth (empty: nobody knows), by what, and since when the oldest of it is."""

    quality: str
    issuer: str
    own: bool
    worth: str
    source: str
    since: int | None = None


class Rates(Shape, frozen=True, kw_only=True, tag="rates"):
    """What a gigabyte is worth: the own first, then what is held or was traded here, then the dearest.

    ``left_out``: how many more are known.
    """

    currency: Currency
    rates: tuple[RateRow, ...] = ()
    left_out: int = 0
