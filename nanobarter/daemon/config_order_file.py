"""Reads the ``[[order]]`` tables of config.toml; a complaint names the line of the very table that is at fault."""

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, cast, get_type_hints

import msgspec

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.units import LEASE_KINDS_DEFAULT, LeaseKind
from nanobarter.daemon.config import Config, Market
from nanobarter.daemon.config_orders import ORDERS_MAX, OrderRow, both

KEYS = OrderRow.__struct_fields__
TWO_BRACKETS: Final = "write each order as a heading with two brackets: [[order]]"
_WANTED = {
    str: ("a text", "put it in quotes"),
    bool: ("true or false", "write true or false, without quotes"),
    tuple[str, ...]: ("a list", 'write it in brackets, like ["nb1..."]'),
}


def read_orders(content: object, text: str, path: Path) -> tuple[OrderRow, ...]:
    """Return the orders, each checked alone. ``content`` is what TOML has under ``order``. Raises UsageError."""
    reader = _Reader(text, path)
    if not isinstance(content, list):
        reader.complain(0, None, content, "a list of tables is wanted", TWO_BRACKETS)
    tables = cast("list[object]", content)
    if len(tables) > ORDERS_MAX:
        reader.complain(ORDERS_MAX, None, None, "too many orders", f"write at most {ORDERS_MAX}")
    return tuple(reader.order(number, table) for number, table in enumerate(tables))


def check_together(config: Config, text: str, path: Path) -> None:
    """Check the orders of a config against each other and against whom it wants and refuses. Raises UsageError."""
    reader = _Reader(text, path)
    reader.distinct(config.order, config.offer.lease_kinds[0])
    for number, row in enumerate(config.order):
        reader.fitting(number, row, config.market)


class _Reader:
    def __init__(self, text: str, path: Path) -> None:
        self._text, self._path = text, path

    def order(self, number: int, table: object) -> OrderRow:
        if not isinstance(table, dict):
            self.complain(number, None, table, "a table is wanted", TWO_BRACKETS)
        values = cast("dict[str, object]", table)
        kinds = get_type_hints(OrderRow)
        for key, value in values.items():
            if key not in KEYS:
                close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]}?" if close else f"[[order]] knows {', '.join(KEYS)}"
                self.complain(number, key, value, "unknown key", hint)
            try:
                msgspec.convert(value, kinds[key], strict=True)
            except msgspec.ValidationError:
                noun, hint = _WANTED[kinds[key]]
                self.complain(number, key, value, f"{noun} is wanted", hint)
        row = msgspec.convert(values, OrderRow)
        self._check(number, row)
        return row

    def distinct(self, rows: Sequence[OrderRow], own: LeaseKind) -> None:
        """Take orders that make bids of their own. Who is refused is no part of that: such two would be one bid."""
        keys = [row.standing(own).bids(NodeId(bytes(32))) for row in rows]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                hint = "write one order for both, or let them differ in more than whom they refuse"
                self.complain(number, "get", rows[number].get, "the same order stands above already", hint)

    def fitting(self, number: int, row: OrderRow, market: Market) -> None:
        """Take an order that asks nobody whose notes are never wanted, and leaves somebody to ask."""
        if node := both(row.at, market.refuse):
            hint = "take it out of one of them: notes of nodes in [market] refuse are never asked for"
            self.complain(number, "at", list(row.at), f"{node} is in [market] refuse", hint)
        outside = next((node for node in row.at if market.wants and not both((node,), market.wants)), "")
        if outside:
            hint = "add it to [market] wants, or take it out here: only notes of nodes there are asked for"
            self.complain(number, "at", list(row.at), f"{outside} is not in [market] wants", hint)
        if market.wants and all(both((node,), row.refuse) for node in market.wants):
            hint = "take one out of it: only notes of nodes in [market] wants are asked for"
            self.complain(number, "refuse", list(row.refuse), "nobody is left to ask", hint)

    def _check(self, number: int, row: OrderRow) -> None:
        if row.kind and row.kind not in LEASE_KINDS_DEFAULT:
            hint = f"write one of {', '.join(LEASE_KINDS_DEFAULT)}"
            self.complain(number, "kind", row.kind, "not a lease kind", hint)
        if row.at and row.refuse:
            hint = "name those to ask (at) or those to leave out (refuse), not both"
            self.complain(number, "refuse", list(row.refuse), "it is said already whom to ask", hint)
        for key in KEYS:  # each alone, so that the complaint names the key at fault
            value = getattr(row, key)
            alone = OrderRow(get="1MiB") if key == "kind" else msgspec.convert({"get": "1MiB", key: value}, OrderRow)
            try:
                alone.standing(LEASE_KINDS_DEFAULT[0])  # of any kind: only its texts are read
                alone.check()
            except (UsageError, ValueError) as error:
                what, _, remedy = str(error).partition("; ")
                remedy = error.hint if isinstance(error, UsageError) else remedy
                self.complain(number, key, value, what.partition(" is ")[2] or what, remedy)

    def complain(self, number: int, key: str | None, value: object, problem: str, hint: str) -> NoReturn:
        name = f"[[order]] {key} = {_show(value)}" if key else "[[order]]"
        raise UsageError(f"{self._path}:{self._line(number, key)}: {name}: {problem}", hint=hint)

    def _line(self, number: int, key: str | None) -> int:
        """Find the line of a key in the order of this number, else of its heading."""
        seen, heading = -1, 1
        for line_number, line in enumerate(self._text.splitlines(), 1):
            here = seen == number and key is not None and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line)
            alone = re.match(r"\s*(?:\[\s*)?\"?order\"?\s*[\].=]", line)  # no heading of one of several
            if here or (seen < 0 and alone):
                return line_number
            if re.match(r"\s*\[\[\s*order\s*\]\]", line):
                seen += 1
                heading = line_number if seen == number else heading
            elif re.match(r"\s*\[", line) and seen >= number:
                seen = number + 1  # another section: its keys are not the order's
        return heading


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
