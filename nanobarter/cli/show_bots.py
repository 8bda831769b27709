"""The bots as a person reads them."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Final

from nanobarter.cli.table import mib, short, table, when
from nanobarter.daemon import facade_bots as f
from nanobarter.translator.charts import bar

_NODE: Final = re.compile(r"nb1[0-9a-z]+")


def _bots(told: f.Bots) -> Iterator[str]:
    for bot in told.bots:
        yield f"{bot.name:<12} {bot.state:<4} {bot.does}"
        for order in bot.orders:
            verb = "would give" if bot.state == "dry" else "gives"
            gives, wants = (_NODE.sub(lambda node: short(node[0]), text) for text in (order.gives, order.wants))
            waits = ", and waits to be asked" if order.waits else ""
            price = f"{float(Fraction(order.omega)):.4g} for one"
            size = mib(order.quantity_mib)
            yield f"             {verb} up to {size} of {gives} for {wants}, at most {price}{waits}"
        if bot.short:
            yield f"             not all of it is offered: {bot.short}"
    yield from told.over
    if all(bot.state == "off" for bot in told.bots if bot.name in ("trader", "arbitrageur")):
        return
    yield from _limits(told)
    rows = (
        (d.dealer, f"{mib(d.gives_mib)} of {short(d.gives)}", f"{mib(d.gets_mib)} of {short(d.gets)}", when(d.at),
         d.why or "under way")
        for d in (*told.running, *told.declined)
    )  # fmt: skip
    yield ""
    yield from table(("dealer", "gives", "for", "when", ""), rows, "no deals under way, none turned away")
    if told.idle:
        yield f"nothing is dealt in now: {told.idle}"


def _limits(told: f.Bots) -> Iterator[str]:
    b = told.bounds
    yield ""
    for what, have, most in (
        ("of one issuer", b.issuer_mib, b.issuer_max_mib), ("in all", b.total_mib, b.total_max_mib)
    ):  # fmt: skip
        more = " (the keeper's reserve is more already: dealers buy none of it, and may sell)" if have > most else ""
        yield f"{what:<13} {_part(have, most)} {mib(have)} of {mib(most)}{more}"
    for span, lost, most in (("a day", b.loss_day, b.loss_day_max), ("a month", b.loss_month, b.loss_month_max)):
        yield f"{'lost in ' + span:<13} {_part(float(lost), float(most))} {lost} of {most} {told.symbol}"


def _part(have: float, most: float) -> str:
    return bar(have / most if most else 1.0, 12)


TELLERS: Final[dict[str, tuple[Any, Callable[[Any], Iterator[str]]]]] = {"bots": (f.Bots, _bots)}
