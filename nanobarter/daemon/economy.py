"""The economy of a node as its person asks for it; implements ``facade_economy.EconomyFacade``."""

from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from nanobarter.core.canonical import decode
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId, show_node
from nanobarter.core.item import ITEM_BODY_MAX
from nanobarter.daemon.desk import show_want
from nanobarter.daemon.facade_economy import (
    ExportFormat,
    LedgerExport,
    MarketGraph,
    PairRow,
    Reliability,
    ReliabilityRow,
)
from nanobarter.daemon.facade_ledger import Rates
from nanobarter.daemon.month_desk import MonthDesk
from nanobarter.daemon.services import Node
from nanobarter.matching.wire import BidBody, Want
from nanobarter.translator.export import export
from nanobarter.translator.ledger import Entry, Ledger
from nanobarter.translator.rates import days_of, value_by_reliability
from nanobarter.translator.reliability import Observed, Score, score
from nanobarter.translator.vetting import missing_for_vetting

PAGE: Final = 10_000
ENTRIES_MAX: Final = 1_000_000  # a century of a busy node; 300 bytes each in one answer


class EconomyDesk:
    """Answers about the book."""

    def __init__(self, node: Node) -> None:
        self._node, self._months = node, MonthDesk(node)

    async def rates(self) -> Rates:
        """Tell what a gigabyte of each quality is worth, why, and how old that is."""
        return self._months.rates()

    async def graph(self) -> MarketGraph:
        """Tell which pairs of qualities are offered and were exchanged."""
        pairs = dict[tuple[str, str], PairRow]()
        owners = dict[tuple[str, str], set[NodeId]]()
        for item in self._node.market.bids():
            body = decode(item.body, BidBody, size_max=ITEM_BODY_MAX)
            pair = (str(body.gives), show_want(body.wants))
            before = pairs.get(pair, PairRow(gives=pair[0], wants=pair[1]))
            owners.setdefault(pair, set()).add(item.node)
            price = Fraction(body.omega[1], body.omega[0])
            best = price if not before.best else min(price, Fraction(before.best))
            pairs[pair] = replace(
                before,
                bids=before.bids + 1,
                owners=len(owners[pair]),
                offered_mib=before.offered_mib + body.quantity,
                best=f"{best.numerator}/{best.denominator}",
            )
        for deal in self._node.ledger.deals():
            pair = (str(deal.gave), show_want(Want(deal.got.kind, deal.got.issuer, (), ())))
            before = pairs.get(pair, PairRow(gives=pair[0], wants=pair[1]))
            pairs[pair] = replace(
                before, agreements=before.agreements + 1, exchanged_mib=before.exchanged_mib + deal.gave_quantity
            )
        ranked = sorted(pairs.values(), key=lambda p: (-p.exchanged_mib, -p.offered_mib, p.gives, p.wants))
        return MarketGraph(pairs=tuple(ranked))

    async def reliability(self, node: str) -> Reliability:
        """Tell how far peers can be relied on; only those whose id begins so."""
        watch, clean, term = self._node.watch, self._node.ledger.clean_leases(), days_of(self._node.kind)
        rows = [
            _row(peer, seen, score(seen, watch.survival, self._node.clock.now(), term), clean.get(peer, 0))
            for peer, seen in watch.known.items()
            if show_node(peer).startswith(node)
        ]
        if node and not rows:
            raise UsageError(f"no peer that was watched begins with {node!r}", hint="see nbctl peers reliability")
        rows.sort(key=lambda row: (-row.r, row.node))
        return Reliability(term_days=term, peers=tuple(rows), hazards=watch.survival.hazards)

    async def export(self, form: ExportFormat) -> LedgerExport:
        """Write the whole book for another program."""
        entries = all_entries(self._node.ledger)
        return LedgerExport(format=form, entries=len(entries), text=export(entries, form))


def _row(peer: NodeId, seen: Observed, found: Score, clean: int) -> ReliabilityRow:
    missing = missing_for_vetting(seen)
    return ReliabilityRow(
        node=show_node(peer),
        r=round(found.r, 4),
        value=round(value_by_reliability(found.r), 4),
        reach=round(found.reach, 4),
        data=round(found.data, 4),
        survival=round(found.survival, 4),
        vetted=not missing,
        missing=missing,
        first_seen=seen.first,
        last_heard=seen.heard,
        windows=seen.windows,
        asked_now=seen.window.asked,
        answered_now=seen.window.answered,
        audits=seen.audits + seen.window.proven + seen.window.wrong,
        faults=seen.faults + seen.window.wrong,
        clean_leases=clean,
        lately=round(seen.lately.mean, 4),
        gone=seen.gone,
    )


def all_entries(ledger: Ledger) -> list[Entry]:
    """Return every entry of a book, in the order of booking."""
    found = list[Entry]()
    while len(found) < ENTRIES_MAX:
        page = ledger.entries(after=found[-1].number if found else 0, count=PAGE)
        found += page
        if len(page) < PAGE:
            break
    return found
