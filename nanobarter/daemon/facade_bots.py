"""What a person asks of the bots: what each does or would do, and how much of its limits is used."""

from typing import Literal, Protocol

from nanobarter.daemon.shape import Part, Shape

BotName = Literal["keeper", "pinger", "auditor", "trader", "arbitrageur"]
BotState = Literal["on", "off", "dry"]
"""dry: it orders nothing and only tells what it would order."""


class BotOrder(Part, frozen=True, kw_only=True):
    """One order that a bot has made, or would make: at most ``omega`` given for one received."""

    gives: str
    wants: str
    quantity_mib: int
    omega: str
    waits: bool


class BotRow(Part, frozen=True, kw_only=True):
    """One bot. ``does`` says in words what it is for, ``orders`` what it wants now.

    ``short``: why not all of that is offered to others; empty when it is.
    """

    name: BotName
    state: BotState
    does: str
    orders: tuple[BotOrder, ...] = ()
    short: str = ""


class DealRow(Part, frozen=True, kw_only=True):
    """A deal of a dealer: agreed to and under way, or turned away (``why``)."""

    dealer: str
    gives: str
    gives_mib: int
    gets: str
    gets_mib: int
    at: int
    why: str = ""


class DealerBounds(Part, frozen=True, kw_only=True):
    """How far the dealers may go, and how far they are; losses are texts in the pet currency."""

    issuer_max_mib: int
    issuer_mib: int
    total_max_mib: int
    total_mib: int
    loss_day: str
    loss_day_max: str
    loss_month: str
    loss_month_max: str


class Bots(Shape, frozen=True, kw_only=True, tag="bots"):
    """What acts by itself. ``idle`` says why the dealers deal in nothing now; empty: they do.

    ``over``: the orders of the config that stood once and were carried out.
    """

    symbol: str
    bots: tuple[BotRow, ...]
    bounds: DealerBounds
    running: tuple[DealRow, ...] = ()
    declined: tuple[DealRow, ...] = ()
    idle: str = ""
    over: tuple[str, ...] = ()


class BotsFacade(Protocol):
    """The bots of one node."""

    async def bots(self) -> Bots:
        """Tell what each bot does or would do."""
        ...
