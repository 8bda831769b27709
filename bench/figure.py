"""One measured figure, as ``python -m bench`` prints it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A name, its value (None: could not be had, the note says why) and its unit.

    ``anchor`` is another program's figure to compare with, as (its name, its value).
    """

    name: str
    value: float | None
    unit: str
    note: str = ""
    anchor: tuple[str, float] | None = None
