"""What a person asks of the book, of peers' reliability and of policies: the shapes, and the door behind them."""

from typing import Literal, Protocol

from nanobarter.daemon.shape import Shape

ExportFormat = Literal["hledger", "beancount", "csv"]


class LedgerExport(Shape, frozen=True, kw_only=True, tag="ledger_export"):
    """The whole book as one text, in the words of a plain-text accounting program."""

    format: ExportFormat
    entries: int
    text: str


class EconomyFacade(Protocol):
    """The economy of one node. Raises what ``NodeFacade`` raises."""

    async def export(self, form: ExportFormat) -> LedgerExport:
        """Write the whole book for another program."""
        ...
