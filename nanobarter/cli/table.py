"""How amounts, instants and rows are written for a person."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from nanobarter.core.units import MIB, show_size


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], nothing: str) -> Iterator[str]:
    """Return aligned columns, or one line that says there is nothing."""
    body = list(rows)
    if not body:
        yield nothing
        return
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    for row in (head, *body):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def when(instant: int | None) -> str:
    """Return an instant in UTC, to the minute."""
    return "never" if instant is None else datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def mib(count: int) -> str:
    """Return an amount of MiB as a person reads it."""
    return show_size(count * MIB)


def short(node: str) -> str:
    """Return the beginning of a node's id, enough to tell neighbours apart."""
    return node[:10]
