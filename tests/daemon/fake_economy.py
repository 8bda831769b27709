"""An economy that answers from memory."""

from dataclasses import dataclass

from nanobarter.daemon.facade_economy import ExportFormat, LedgerExport, Reliability, ReliabilityRow


@dataclass
class FakeEconomy:
    """One entry in the book."""

    asked: list[str]

    async def reliability(self, node: str) -> Reliability:
        self.asked.append(f"reliability {node}")
        row = ReliabilityRow(
            node="nb1peer", r=0.9, value=0.81, reach=0.95, data=0.99, survival=0.957, vetted=False,
            missing=("3 days of age",), first_seen=0, last_heard=11 * 86_400_000, windows=44, audits=40,
        )  # fmt: skip
        return Reliability(term_days=30, peers=(row,), hazards=(0.005, 0.002, 0.0005, 0.0002))

    async def export(self, form: ExportFormat) -> LedgerExport:
        self.asked.append(f"export {form}")
        return LedgerExport(format=form, entries=1, text=f"the book for {form}\n")
