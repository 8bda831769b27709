"""What the person wants of her node: the sections of config.toml, their defaults and what their texts mean.

A value is kept as it was written (``space = "10GB"``) and read by a property beside it (``space_bytes``).
``config_file.load_config`` is the only door: whatever it returns has been checked, so the properties do not
fail. Every key is described in docs/config.md; a test holds the two together.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from nanobarter.core.hours import ALWAYS, Hours, parse_hours
from nanobarter.core.ids import NodeId, parse_node
from nanobarter.core.units import LEASE_KINDS_DEFAULT, MIB, LeaseKind, Quantity, Span, parse_size, parse_span
from nanobarter.daemon.config_bots import Bots
from nanobarter.daemon.config_network import Network
from nanobarter.daemon.config_orders import PRICE_AUTO, OrderRow, parse_back_up
from nanobarter.daemon.section import Section
from nanobarter.storage.retention import KEEP_ALL, holds_back, parse_keep

RESERVE_AUTO: Final = "auto"
"""Half of what is offered: enough for newcomers to trade with, and the other half for one's own folders."""

Durability = Literal["normal", "high"]
MarketMode = Literal["ticket", "par", "discount"]
Approval = Literal["auto", "manual"]

_ANCHOR = re.compile(
    r"^\s*(?P<size>[0-9.]+\s*[KMGT]?i?B)\s+for\s+(?P<days>[1-9][0-9]{0,3})\s+days?"
    r"(?:\s+on\s+an?\s+(?P<percent>[1-9][0-9]?)\s*%\s+peer)?"
    r"\s*=\s*(?P<worth>[0-9]{1,12}(?:\.[0-9]{1,6})?)(?:\s+\S+)?\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Anchor:
    """What the pet currency is tied to: so much space, for so long, on a peer this reliable, is worth ``worth``."""

    size_bytes: int
    days: int
    reliability_percent: int
    worth: Fraction


class Backup(Section, frozen=True, kw_only=True):
    """``[backup]``: what to keep safe, how safe, how often."""

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    durability: Durability = "normal"
    schedule: str = "off"
    patience: str = "10min"
    keep: str = KEEP_ALL
    hours: str = ALWAYS
    drill: str = "30d"

    @property
    def every(self) -> Span | None:
        """How long after a backup the next one starts by itself; None when only by hand."""
        return parse_schedule(self.schedule)

    @property
    def start_hours(self) -> Hours:
        """In which hours of the day, by the machine's own clock, backups start by themselves."""
        return parse_hours(self.hours)

    @property
    def drill_span(self) -> Span | None:
        """How long after a drill the next one starts by itself; None when only by hand."""
        return parse_off_or_span(self.drill)

    @property
    def holds(self) -> Span | None:
        """How far back versions are sure to be kept; None: all of them."""
        return holds_back(parse_keep(self.keep), self.every)

    @property
    def patience_span(self) -> Span:
        """How long a backup waits for others' space before it does with less, or says that there is too little."""
        return parse_span(self.patience)


class Offer(Section, frozen=True, kw_only=True):
    """``[offer]``: what this node lends to others."""

    space: str = "10GB"
    kinds: tuple[str, ...] = ("30d",)

    @property
    def space_bytes(self) -> int:
        """The bytes of this disk that are pledged to others."""
        return parse_size(self.space)

    @property
    def lease_kinds(self) -> tuple[LeaseKind, ...]:
        """The kinds of lease that this node issues notes for."""
        return tuple(kind for kind, _ in map(parse_offered, self.kinds))

    @property
    def pledges(self) -> dict[LeaseKind, int]:
        """The bytes pledged of each kind: its own size, or an even share of what those with one leave over."""
        sizes = dict(map(parse_offered, self.kinds))
        sharing = sum(size is None for size in sizes.values())
        return {kind: self.left_bytes // sharing if size is None else size for kind, size in sizes.items()}

    @property
    def left_bytes(self) -> int:
        """The bytes that kinds with a size of their own leave to the others; below zero when they are too large."""
        return self.space_bytes - sum(size or 0 for _, size in map(parse_offered, self.kinds))


class Market(Section, frozen=True, kw_only=True):
    """``[market]``: on which terms the translator barters."""

    mode: MarketMode = "discount"
    price: str = PRICE_AUTO
    prefer: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    approve: Approval = "auto"
    approve_above: str = "0B"
    reserve: str = RESERVE_AUTO
    wants: tuple[str, ...] = ()
    bid_span: str = "1h"
    budget: str = "off"
    back_up: str = "off"

    @property
    def bargain(self) -> tuple[int, Quantity] | None:
        """So many bytes of folders shall be backed up for so many MiB lent at most; None: no such bargain."""
        return parse_back_up(self.back_up)

    @property
    def budget_amount(self) -> Fraction | None:
        """How much of the own space the bots may give away in a month, in the pet currency; None: no bound."""
        return parse_budget(self.budget)

    def reserve_bytes(self, offered_bytes: int) -> int:
        """Return the space of others to keep in hand beyond what the folders need."""
        return offered_bytes // 2 if self.reserve == RESERVE_AUTO else parse_size(self.reserve)

    @property
    def asks_above(self) -> Quantity | None:
        """Of drafts that take more MiB of ours than this the person is asked; None: of none."""
        return Quantity(parse_size(self.approve_above) // MIB) if self.approve == "manual" else None

    @property
    def wanted_issuers(self) -> tuple[NodeId, ...]:
        """The issuers whose notes alone are wanted; empty means anyone's."""
        return tuple(parse_node(text) for text in self.wants)

    @property
    def bid_lifetime(self) -> Span:
        """How long a bid stands before it is renewed."""
        return parse_span(self.bid_span)


class Pet(Section, frozen=True, kw_only=True):
    """``[pet]``: the person's own currency, for telling only; it never leaves the machine."""

    name: str = "acorn"
    symbol: str = "ac"
    anchor: str = "1 GB for 30 days on a 95 % peer = 10"

    @property
    def anchor_rate(self) -> Anchor:
        """What the currency is tied to."""
        return parse_anchor(self.anchor)


class Swap(Section, frozen=True, kw_only=True):
    """``[swap]``: the clock of an agreement. Every party must run the same delta."""

    approve: str = "10s"
    lock: str = "60s"
    vote: str = "120s"
    delta: str = "15min"
    ask: str = "24h"

    @property
    def approve_span(self) -> Span:
        """How long the proposer waits for approvals."""
        return parse_span(self.approve)

    @property
    def lock_span(self) -> Span:
        """From the agreed start until every lock must stand."""
        return parse_span(self.lock)

    @property
    def vote_span(self) -> Span:
        """From the agreed start until every vote must be heard; longer than ``lock``."""
        return parse_span(self.vote)

    @property
    def delta_span(self) -> Span:
        """The distance between the deadlines of neighbours in the ring."""
        return parse_span(self.delta)

    @property
    def ask_span(self) -> Span:
        """How long a draft of ours that waits for persons lives."""
        return parse_span(self.ask)


class Audit(Section, frozen=True, kw_only=True):
    """``[audit]``: how often peers must prove what they store."""

    period: str = "14d"
    grace: str = "72h"

    @property
    def period_span(self) -> Span:
        """Within this span every share is challenged once."""
        return parse_span(self.period)

    @property
    def grace_span(self) -> Span:
        """How long a peer may be offline before its shares count as lost."""
        return parse_span(self.grace)


class Config(Section, frozen=True, kw_only=True):
    """The whole of config.toml."""

    backup: Backup = Backup()
    offer: Offer = Offer()
    market: Market = Market()
    pet: Pet = Pet()
    network: Network = Network()
    swap: Swap = Swap()
    audit: Audit = Audit()
    bots: Bots = Bots()
    order: tuple[OrderRow, ...] = ()


def parse_budget(text: str) -> Fraction | None:
    """Return the amount of ``"100"``, None for ``"off"``. Raises ValueError, naming the text."""
    if text == "off":
        return None
    if not re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,2})?", text):
        raise ValueError(f'{text!r} is not an amount; write it like 100 or 12.50, in your own currency, or "off"')
    return Fraction(text)


def parse_offered(text: str) -> tuple[LeaseKind, int | None]:
    """Return the kind and the bytes, if any, of ``"30d"`` or ``"30d 5GB"``. Raises ValueError, naming the text."""
    kind, _, size = text.partition(" ")
    if kind not in LEASE_KINDS_DEFAULT:
        raise ValueError(f"{text!r} is not a lease kind; write one of {', '.join(LEASE_KINDS_DEFAULT)}")
    return LeaseKind(kind), parse_size(size) if size else None


def parse_off_or_span(text: str) -> Span | None:
    """Return the span of ``"30d"``, None for ``"off"``. Raises ValueError, naming the text."""
    if text == "off":
        return None
    if (length := _span_or_none(text)) is None:
        raise ValueError(f'{text!r} is not a span of time; write it like 30d, or "off"')
    return length


def parse_schedule(text: str) -> Span | None:
    """Return the span of ``"every 6h"``, None for ``"off"``. Raises ValueError, naming the text."""
    words = text.split()
    match words:
        case ["off"]:
            return None
        case ["every", span] if (length := _span_or_none(span)) is not None:
            return length
        case _:
            raise ValueError(f'{text!r} is not a schedule; write "off" or "every 6h"')


def parse_anchor(text: str) -> Anchor:
    """Return what ``"1 GB for 30 days on a 95 % peer = 10"`` means. Raises ValueError, naming the text."""
    found = _ANCHOR.match(text)
    if found is None or not parse_size(found["size"]) or not Fraction(found["worth"]):
        raise ValueError(f"{text!r} is not an anchor; write it like 1 GB for 30 days on a 95 % peer = 10")
    return Anchor(parse_size(found["size"]), int(found["days"]), int(found["percent"] or 95), Fraction(found["worth"]))


def _span_or_none(text: str) -> Span | None:
    try:
        return parse_span(text) or None
    except ValueError:
        return None
