"""What an audit finds, and reading stored bytes without believing them."""

from dataclasses import dataclass
from typing import TypeVar

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.units import Quantity
from nanobarter.mint.rows import ROW_BYTES_MAX

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One thing that does not add up: the row, the MiB that are off or in doubt, and what is wrong."""

    row: str
    quantity: Quantity
    problem: str


def found(table: str, name: object, quantity: int, problem: str) -> Finding:
    """Return a finding about one row of a table."""
    shown = name.hex() if isinstance(name, bytes) else str(name)
    return Finding(f"{table} {shown}", Quantity(quantity), problem)


def read(data: bytes, kind: type[T], *, size_max: int = ROW_BYTES_MAX) -> T | None:
    """Return what these bytes are, or None."""
    try:
        return decode(data, kind, size_max=size_max)
    except Malformed:
        return None
