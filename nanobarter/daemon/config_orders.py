"""``[[order]]`` of config.toml: space of others to hold beyond what the folders need, and on which terms."""

import re
from typing import Final

from nanobarter.core.ids import NodeId, parse_node
from nanobarter.core.units import MIB, LeaseKind, Quantity, parse_size, show_size
from nanobarter.daemon.section import Section
from nanobarter.matching.wire import Ratio
from nanobarter.translator.standing import NODES_MAX, STANDING_MAX, Standing, price_for

ORDERS_MAX: Final = STANDING_MAX
PRICE_AUTO: Final = "auto"
NAME_MAX: Final = 64
CHEAPEST: Final = 1000  # the finest price: a MiB for so many received
_BACK_UP: Final = re.compile(r"\s*(\S.*?)\s+for\s+(\S.*?)\s*")


class OrderRow(Section, frozen=True, kw_only=True):
    """One ``[[order]]``."""

    get: str = ""
    kind: str = ""
    give: str = ""
    price: str = PRICE_AUTO
    at: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    once: bool = False
    name: str = ""

    def standing(self, own: LeaseKind) -> Standing:
        """Return what it means; our own space of the kind ``own`` pays for it. Raises ValueError, naming the text."""
        get = _quantity(self.get, "get")
        give = _quantity(self.give, "give") if self.give else None
        nodes = tuple(parse_node(text) for text in self.at)
        return Standing(
            get,
            LeaseKind(self.kind) if self.kind else own,
            own,
            price_for(get, give, parse_price(self.price)),
            nodes,
            tuple(parse_node(text) for text in self.refuse),
            self.once,
            self._name(),
        )

    def _name(self) -> str:
        if len(self.name) > NAME_MAX or not self.name.isprintable():
            raise ValueError(f"{self.name!r} is not a name; write at most {NAME_MAX} printable letters")
        return self.name

    def check(self) -> None:
        """Take the lists of nodes. Raises ValueError or UsageError."""
        check_nodes(self.at, NODES_MAX)
        check_nodes(self.refuse, NODES_MAX)


def check_nodes(nodes: tuple[str, ...], most: int) -> None:
    """Take ids of nodes, each once and no more than so many. Raises ValueError or UsageError."""
    if len(nodes) > most:
        raise ValueError(f"{len(nodes)} nodes are too many; name at most {most}")
    seen = set[NodeId]()
    for text in nodes:
        node = parse_node(text)
        if node in seen:
            raise ValueError(f"{text!r} is there twice; write it once")
        seen.add(node)


def both(nodes: tuple[str, ...], others: tuple[str, ...]) -> str:
    """Return the first of these ids that is among the others, too; empty: there is none."""
    known = set(map(parse_node, others))
    return next((text for text in nodes if parse_node(text) in known), "")


def _quantity(text: str, key: str) -> Quantity:
    if not text:
        raise ValueError(f'{text!r} is missing; say how much, like {key} = "10GB"')
    size = parse_size(text)
    if size < MIB:
        raise ValueError(f"{text!r} is too little to trade; at least 1MiB")
    return Quantity(size // MIB)


def parse_back_up(text: str) -> tuple[int, Quantity] | None:
    """Return the bytes of folders and the MiB lent at most of ``"50GB for 40GB"``, None for ``"off"``.

    Raises ValueError, naming the text.
    """
    if text == "off":
        return None
    found = _BACK_UP.fullmatch(text)
    try:
        planned, most = map(parse_size, found.groups() if found is not None else ("", ""))
    except ValueError:
        raise ValueError(f'{text!r} is not such a bargain; write it like 50GB for 40GB, or "off"') from None
    if planned < MIB:
        raise ValueError(f'{text!r} is a plan for less than 1MiB of folders; say how much shall be kept safe, or "off"')
    if most < MIB:
        raise ValueError(f'{text!r} is too little given; at least 1MiB is traded, so give more than that, or "off"')
    if most * CHEAPEST < planned:
        raise ValueError(f"{text!r} is less than a thousandth given for one received; no price is so low, so give more")
    return planned, Quantity(most // MIB)


def show_bargain(planned: int, needed: int, most: int, price: Ratio) -> str:
    """Tell in words what a bargain plans for, in bytes, and the price that follows for the space that this needs."""
    return (
        f"the bargain (back_up): for {show_size(planned)} of folders, which need {show_size(needed)} of others' space,"
        f" at most {show_size(most)} of yours is given, so at most {price[0] / price[1]:.2g} for one received;"
        " while nobody sells so cheap, it waits"
    )


def parse_price(text: str) -> Ratio | None:
    """Return the ratio of ``"3/2"``, None for ``"auto"``. Raises ValueError, naming the text."""
    if text == PRICE_AUTO:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})(?:/([1-9][0-9]{0,5}))?", text)
    if found is None:
        raise ValueError(f'{text!r} is not a price; write "auto", or what to give for what is received, like "3/2"')
    return int(found[1]), int(found[2] or 1)
