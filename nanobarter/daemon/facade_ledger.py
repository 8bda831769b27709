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


class Report(Shape, frozen=True, kw_only=True, tag="report"):
    """Tell of one month (``2026-11``) in few lines."""

    currency: Currency
    month: str
    lines: tuple[str, ...] = ()
    total: str = ""
