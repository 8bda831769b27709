"""What a person asks of the book, of peers' reliability and of policies: the shapes, and the door behind them."""

from typing import Literal, Protocol

from nanobarter.daemon.facade_ledger import Rates
from nanobarter.daemon.shape import Part, Shape

ExportFormat = Literal["hledger", "beancount", "csv"]


class LedgerExport(Shape, frozen=True, kw_only=True, tag="ledger_export"):
    """The whole book as one text, in the words of a plain-text accounting program."""

    format: ExportFormat
    entries: int
    text: str


class ReliabilityRow(Part, frozen=True, kw_only=True):
    """How far one peer can be relied on, and what that was learned from.

    ``reach``, ``data`` and ``survival`` are cautious estimates; ``r`` is their product, and ``value`` what a note of
    it is worth, as a fraction of one on a peer of 95 %. ``missing`` says what it lacks to be vetted.
    """

    node: str
    r: float
    value: float
    reach: float
    data: float
    survival: float
    vetted: bool
    missing: tuple[str, ...] = ()
    first_seen: int = 0
    last_heard: int = 0
    windows: int = 0
    asked_now: int = 0
    answered_now: int = 0
    audits: int = 0
    faults: int = 0
    clean_leases: int = 0
    lately: float = 0.0
    """Which part of the pings it answered, where each day counts a fifth less than the one after it."""
    gone: int | None = None


class Reliability(Shape, frozen=True, kw_only=True, tag="peers_reliability"):
    """What this node learned of its peers by itself, the most reliable first; over a lease of ``term_days``.

    ``hazards`` are deaths per day by age, as our own history has it: up to 7, 30, 90 days, and older.
    """

    term_days: int
    peers: tuple[ReliabilityRow, ...] = ()
    hazards: tuple[float, ...] = ()


class PairRow(Part, frozen=True, kw_only=True):
    """A pair of qualities that is offered or was exchanged: ``gives`` for ``wants``.

    ``bids`` of ``owners`` nodes would give up to ``offered_mib`` for it at ``best`` (the least asked for one given);
    the agreements are those of this node.
    """

    gives: str
    wants: str
    bids: int = 0
    owners: int = 0
    offered_mib: int = 0
    best: str = ""
    agreements: int = 0
    exchanged_mib: int = 0


class MarketGraph(Shape, frozen=True, kw_only=True, tag="market_graph"):
    """Which pairs trade, those that were exchanged most first. ``anybody`` stands for any issuer."""

    pairs: tuple[PairRow, ...] = ()


class EconomyFacade(Protocol):
    """The economy of one node. Raises what ``NodeFacade`` raises."""

    async def export(self, form: ExportFormat) -> LedgerExport:
        """Write the whole book for another program."""
        ...

    async def rates(self) -> Rates:
        """Tell what a gigabyte of each quality is worth, why, and how old that is."""
        ...

    async def graph(self) -> MarketGraph:
        """Tell which pairs of qualities are offered and were exchanged."""
        ...

    async def reliability(self, node: str) -> Reliability:
        """Tell how far peers can be relied on; only those whose id begins so."""
        ...
