"""``[bots]`` of config.toml: what acts by itself, and how far the dealers may go."""

import re
from fractions import Fraction
from typing import Literal

from nanobarter.daemon.section import Section

Switch = Literal["on", "off"]

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)\s*%")


class Bots(Section, frozen=True, kw_only=True):
    """``[bots]``: what acts by itself. ``dry_run``: those that order only tell what they would do."""

    keeper: Switch = "on"
    pinger: Switch = "on"
    auditor: Switch = "on"
    trader: Switch = "off"
    arbitrageur: Switch = "off"
    dry_run: bool = False
    per_issuer: str = "2%"
    loss_day: str = "0.1%"
    loss_month: str = "1%"

    @property
    def issuer_part(self) -> Fraction:
        """What dealers may hold of one issuer, as a part of what is offered."""
        return parse_percent(self.per_issuer)

    @property
    def loss_parts(self) -> tuple[Fraction, Fraction]:
        """What dealers may lose in a day and in a month, as parts of what is offered."""
        return parse_percent(self.loss_day), parse_percent(self.loss_month)


def parse_percent(text: str) -> Fraction:
    """Return the part that ``"2%"`` means, 0 to 1. Raises ValueError, naming the text."""
    found = _PERCENT.fullmatch(text)
    if found is None or Fraction(found[1]) > 100:  # noqa: PLR2004 - all of it
        raise ValueError(f"{text!r} is not a part; write it like 2% or 0.5%, up to 100%")
    return Fraction(found[1]) / 100
