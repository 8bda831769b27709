"""JSON values that know their place in the file, so that a fault is told as a JSON pointer (RFC 6901)."""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from nanobarter.matching.bids import Ratio

QUANTITY_MAX: Final = 2**62
_DIGITS_MAX: Final = 4000  # of a number; Python reads 4300 at most


class Fault(Exception):
    """The file breaks its format, at a place."""

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__(f"{pointer or '/'}: {problem}")


class _Object(dict[str, Any]):
    """A JSON object that knows which key of it was given twice, if any."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: str | None = None
        if len(self) < len(pairs):
            keys = [key for key, _ in pairs]
            self.twice = next(key for place, key in enumerate(keys) if key in keys[:place])


def _number(text: str) -> int | float:
    """Return a whole number; one that is too long to be read becomes an infinite one, refused where it stands."""
    return int(text) if len(text) <= _DIGITS_MAX else float(text)


@dataclass(frozen=True)
class Node:
    """A JSON value and its place in the file."""

    value: Any
    pointer: str = ""

    def fault(self, wanted: str) -> Fault:
        """Return what is wrong with this value."""
        found = json.dumps(self.value)
        return Fault(self.pointer, f"wanted {wanted}, found {found if len(found) <= 60 else found[:57] + '...'}")  # noqa: PLR2004 - a line of a terminal

    def items(self, wanted: str) -> list["Node"]:
        """Return the members of an array."""
        value: object = self.value
        if not isinstance(value, list):
            raise self.fault(wanted)
        return [Node(each, f"{self.pointer}/{i}") for i, each in enumerate(cast("list[Any]", value))]

    def fields(self, wanted: str) -> dict[str, "Node"]:
        """Return the members of an object, whose keys are distinct."""
        value: object = self.value
        if not isinstance(value, dict):
            raise self.fault(wanted)
        fields = cast("dict[str, Any]", value)
        if isinstance(value, _Object) and value.twice is not None:
            raise Fault(f"{self.pointer}/{_escaped(value.twice)}", "the key is given twice")
        return {key: Node(each, f"{self.pointer}/{_escaped(key)}") for key, each in fields.items()}

    def exactly(self, what: str, keys: tuple[str, ...], options: tuple[str, ...] = ()) -> dict[str, "Node"]:
        """Return the members of an object that has these keys, maybe the options, and no others."""
        fields = self.fields(what)
        for key, each in fields.items():
            if key not in keys and key not in options:
                raise Fault(each.pointer, f"unknown key of {what}")
        for key in keys:
            if key not in fields:
                raise Fault(self.pointer, f"{what} lacks the key {json.dumps(key)}")
        return fields

    def integer(self, low: int = 1, high: int = QUANTITY_MAX) -> int:
        """Return a whole number within bounds."""
        if type(self.value) is not int or not low <= self.value <= high:
            raise self.fault(f"an integer from {low} to {high}")
        return self.value

    def text(self) -> str:
        """Return a text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.fault("a text")
        return self.value

    def name(self) -> int | str:
        """Return what names something."""
        if type(self.value) is int:
            return self.value
        if not isinstance(self.value, str) or not self.value:
            raise self.fault("an integer or a text")
        return self.value

    def ratio(self) -> Ratio:
        """Return a numerator and a denominator."""
        parts = self.items("[numerator, denominator]")
        if len(parts) != 2:  # noqa: PLR2004 - a numerator and a denominator
            raise self.fault("[numerator, denominator]")
        return (parts[0].integer(), parts[1].integer())

    def limit(self) -> bool:
        """Tell whether a bid has a limit."""
        if self.value not in ("limit", "best"):
            raise self.fault('"limit" or "best"')
        return self.value == "limit"


def parse(text: str) -> Node:
    """Return the value of a text. Raises json.JSONDecodeError, and RecursionError when it is nested too deeply."""
    return Node(json.loads(text, object_pairs_hook=_Object, parse_int=_number))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
