"""The economy of a node as its person asks for it; implements ``facade_economy.EconomyFacade``."""

from typing import Final

from nanobarter.daemon.facade_economy import ExportFormat, LedgerExport
from nanobarter.daemon.services import Node
from nanobarter.translator.export import export
from nanobarter.translator.ledger import Entry, Ledger

PAGE: Final = 10_000
ENTRIES_MAX: Final = 1_000_000  # a century of a busy node; 300 bytes each in one answer


class EconomyDesk:
    """Answers about the book."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def export(self, form: ExportFormat) -> LedgerExport:
        """Write the whole book for another program."""
        entries = all_entries(self._node.ledger)
        return LedgerExport(format=form, entries=len(entries), text=export(entries, form))


def all_entries(ledger: Ledger) -> list[Entry]:
    """Return every entry of a book, in the order of booking."""
    found = list[Entry]()
    while len(found) < ENTRIES_MAX:
        page = ledger.entries(after=found[-1].number if found else 0, count=PAGE)
        found += page
        if len(page) < PAGE:
            break
    return found
