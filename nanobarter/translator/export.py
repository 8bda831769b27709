"""The book in the words of plain-text accounting: hledger, beancount, or one row per posting.

Amounts are MiB of a commodity per quality; no prices are written, so each program balances every entry to zero by
itself. Sources: the hledger manual ("Journal format"), the Beancount language syntax (accounts begin with capitals,
a commodity has at most 24 capital letters, digits, dots, dashes and underscores).
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

from nanobarter.core.ids import show_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant
from nanobarter.translator.ledger import Entry

Format = Literal["hledger", "beancount", "csv"]
_NAME_LETTERS = 15  # of a node's name: 55 bits keep qualities apart, and beancount takes 24 in all


def export(entries: Iterable[Entry], form: Format) -> str:
    """Return the entries as one text."""
    match form:
        case "hledger":
            return _journal(list(entries))
        case "beancount":
            return _beancount(list(entries))
        case "csv":
            return _csv(entries)


def commodity(quality: Quality) -> str:
    """Return a quality's name in the book: the same in all three formats."""
    return f"{show_node(quality.issuer)[:_NAME_LETTERS].upper()}.{quality.kind.upper()}"


def _day(at: Instant) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def _journal(entries: list[Entry]) -> str:
    """Declare accounts and commodities, so that ``hledger check --strict`` finds what is not meant."""
    entries = sorted(entries, key=lambda entry: (_day(entry.at), entry.number))
    postings = [posting for entry in entries for posting in entry.postings]
    lines = [f"account {account}" for account in sorted({p.account for p in postings})]
    lines += [f'commodity 1. "{name}"' for name in sorted({commodity(p.quality) for p in postings})]
    return "\n".join([*lines, "", *map(_hledger, entries)])


def _hledger(entry: Entry) -> str:
    lines = [f"{_day(entry.at)} {entry.text.replace(';', ',')}  ; entry {entry.number}"]
    lines += [f'    {p.account}  {p.amount} "{commodity(p.quality)}"' for p in entry.postings]
    return "\n".join(lines) + "\n"


def _beancount(entries: list[Entry]) -> str:
    accounts = sorted({_titled(p.account) for entry in entries for p in entry.postings})
    first = min((_day(entry.at) for entry in entries), default="1970-01-01")
    return "\n".join([*(f"{first} open {account}" for account in accounts), "", *_transactions(entries)])


def _transactions(entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        text = entry.text.replace("\\", "/").replace('"', "'")
        yield f'{_day(entry.at)} * "{text}"'
        yield from (f"  {_titled(p.account)}  {p.amount} {commodity(p.quality)}" for p in entry.postings)
        yield ""


def _titled(account: str) -> str:
    return ":".join(part[:1].upper() + part[1:] for part in account.split(":"))


def _csv(entries: Iterable[Entry]) -> str:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(("entry", "date", "text", "account", "amount_mib", "commodity"))
    for entry in entries:
        for p in entry.postings:
            writer.writerow((entry.number, _day(entry.at), entry.text, p.account, p.amount, commodity(p.quality)))
    return held.getvalue()
