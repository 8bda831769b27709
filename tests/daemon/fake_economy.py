"""An economy that answers from memory."""

from dataclasses import dataclass

from nanobarter.daemon.facade_economy import ExportFormat, LedgerExport


@dataclass
class FakeEconomy:
    """One entry in the book."""

    asked: list[str]

    async def export(self, form: ExportFormat) -> LedgerExport:
        self.asked.append(f"export {form}")
        return LedgerExport(format=form, entries=1, text=f"the book for {form}\n")
