"""The economy of a node as its person asks for it; implements ``facade_economy.EconomyFacade``."""

from typing import Final

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId, show_node
from nanobarter.daemon.facade_economy import ExportFormat, LedgerExport, Reliability, ReliabilityRow
from nanobarter.daemon.services import Node
from nanobarter.translator.export import export
from nanobarter.translator.ledger import Entry, Ledger
from nanobarter.translator.rates import days_of, value_by_reliability
from nanobarter.translator.reliability import Observed, Score, missing_for_vetting, score

PAGE: Final = 10_000
ENTRIES_MAX: Final = 1_000_000  # a century of a busy node; 300 bytes each in one answer


class EconomyDesk:
    """Answers about the book."""

    def __init__(self, node: Node) -> None:
        self._node = node

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
