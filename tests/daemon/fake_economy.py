"""An economy that answers from memory."""

from dataclasses import dataclass

from nanobarter.daemon.facade_economy import (
    ExportFormat,
    LedgerExport,
    MarketGraph,
    PairRow,
    Reliability,
    ReliabilityRow,
)
from nanobarter.daemon.facade_ledger import Currency, RateRow, Rates


@dataclass
class FakeEconomy:
    """One entry in the book."""

    asked: list[str]

    async def reliability(self, node: str) -> Reliability:
        self.asked.append(f"reliability {node}")
        row = ReliabilityRow(
            node="nb1peer", r=0.9, value=0.81, reach=0.95, data=0.99, survival=0.957, vetted=False,
            missing=("3 more days",), first_seen=0, last_heard=11 * 86_400_000, windows=44, audits=40,
        )  # fmt: skip
        return Reliability(term_days=30, peers=(row,), hazards=(0.005, 0.002, 0.0005, 0.0002))

    async def rates(self) -> Rates:
        self.asked.append("rates")
        rows = (
            RateRow(quality="30d of nb1self", issuer="nb1self", own=True, worth="10.00", source="own space at par"),
            RateRow(
                quality="30d of nb1peer", issuer="nb1peer", own=False, worth="8.10", since=0,
                source="2 agreements with nb1peer, own space at par",
            ),
        )  # fmt: skip
        return Rates(currency=Currency(name="acorn", symbol="ac"), rates=rows)

    async def graph(self) -> MarketGraph:
        self.asked.append("graph")
        row = PairRow(
            gives="30d of nb1peer", wants="30d at any issuer", bids=3, owners=2, offered_mib=100, best="1/1",
            agreements=1, exchanged_mib=50,
        )  # fmt: skip
        return MarketGraph(pairs=(row,))

    async def export(self, form: ExportFormat) -> LedgerExport:
        self.asked.append(f"export {form}")
        return LedgerExport(format=form, entries=1, text=f"the book for {form}\n")
