"""A month and the rates of now, for the node's person: few lines, what needs her attention, and small charts."""

from collections.abc import Iterator
from typing import Final

from nanobarter.core.ids import NodeId, short_node, show_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import MIB
from nanobarter.daemon import facade_ledger as f
from nanobarter.daemon.localtime import show_time
from nanobarter.daemon.plan_desk import attention
from nanobarter.daemon.services import Node
from nanobarter.translator import monthly
from nanobarter.translator.budget import Spent, month_of
from nanobarter.translator.ledger import read_balance, read_entries
from nanobarter.translator.ledger_audit import audit
from nanobarter.translator.report import month_span, report

_ROWS_MAX = 1_000_000
RATES_TOLD_MAX: Final = 1000  # what a node may ever hold or trade is less; strangers' bids name as much as they like
_SAFE: Final[dict[str, str]] = {
    "none": "nothing of yours is backed up yet",
    "fetching": "whether your folders are safe cannot be told yet: the index of the backups is being fetched",
    "good": "your folders are safe: enough peers have proven to keep them",
    "thin": "your folders are backed up, but at fewer peers than would be safe",
    "degraded": "your folders can be brought back; some peers have not proven their part, and it is being mended",
    "below_threshold": "your backup is in danger: see nbctl health",
}


class MonthDesk:
    """Answers about months and rates."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def report(self, month: str) -> f.Report:
        """Tell of one month (the current one when empty). Raises UsageError for no month."""
        node = self._node
        this = month_of(node.clock.now())
        month = month or this
        told = report(node.ledger, node.store, month, this=this)
        spent = node.budget() if month == this else None
        lines = [*((await self._backed_up(),) if month == this else ()), *told.lines]
        if spent is not None:
            pet = node.ledger.pet
            lines.insert(
                -1, f"of your budget of {pet.show(spent.budget)} for this month {pet.show(spent.given)} are given"
            )
        return f.Report(
            currency=f.Currency(name=node.ledger.pet.name, symbol=node.ledger.pet.symbol),
            month=told.month,
            lines=tuple(lines),
            attention=(*self._attention(spent), *await attention(node)) if month == this else (),
            charts=tuple(map(_chart, self._charts(month))) if month == this else (),
            total=told.worth if month == this else "",
            unit=node.config.pet.anchor,
        )

    async def _backed_up(self) -> str:
        """Tell the first thing that a person wants to know of her month: whether her folders are safe."""
        health, lines = await self._node.proofs.health(), await self._node.catalog.snapshots()
        last = max((line.started for line in lines), default=None)
        when = "" if last is None else f"; the last backup began {show_time(last)}"
        return f"{_SAFE[health.state]}{when}"

    def _attention(self, spent: Spent | None) -> Iterator[str]:
        """Tell what the person should know of; nothing when all is as it should be."""
        node = self._node
        if spent is not None and spent.is_nothing:
            yield "the budget gives nothing of your space away: only what others' notes pay for is ordered"
        elif spent is not None and spent.is_used_up:
            yield "the budget is used up: nothing more of your space is offered for trade until the next month"
        if node.store.read_now(audit):
            yield "the ledger is wrong, and so are figures here that are made of it: nbctl doctor"
        if node.thrifty.problem:
            yield node.thrifty.problem
        for issuer, each in node.held().items():
            seen = node.watch.known.get(issuer)
            if each.lease_used and seen is not None and seen.faults:
                yield f"{short_node(issuer)} gave {seen.faults} wrong proofs of what it keeps for you"
        for issuer in sorted(node.auditor.forsaken):
            yield f"{short_node(issuer)} is not counted on any more: it was away for too long, or was caught"
        for conviction in node.court.convictions():
            yield f"{short_node(conviction.node)} is convicted of fraud: {conviction.why}"

    def _charts(self, month: str) -> list[monthly.Chart]:
        """Return the charts of the month of now: what stands is known of now only."""
        node = self._node
        since, until = month_span(month)
        standing = node.store.read_now(read_balance)
        entries = node.store.read_now(lambda db: read_entries(db, 0, _ROWS_MAX, since, until))
        rates = node.ledger.rates()
        held = [quality for account, quality, _ in standing if account.startswith(monthly.HELD)]
        charts = [
            monthly.holdings(standing),
            monthly.reliability(self._reliability(), node.watch.is_vetted),
            monthly.worths(held, rates.figure, node.ledger.pet),
        ]
        charts.append(monthly.give_and_take(entries, standing, since, until, node.clock.now()))
        return [chart for chart in charts if chart.bars or any(any(line.values) for line in chart.lines)]

    def _reliability(self) -> dict[NodeId, float]:
        watch = self._node.watch
        return {node: r for node in watch.known if (r := watch.reliability(node)) is not None}

    def rates(self) -> f.Rates:
        """Tell what a gigabyte of each quality that is offered, held or traded is worth, why, and how old that is.

        Strangers' bids also ask for our notes of kinds that we never issue: nothing is told of those.
        """
        node = self._node
        rates, pet = node.ledger.rates(), node.ledger.pet
        own = {Quality(node.me, kind) for kind in node.config.offer.lease_kinds}
        held = {holding.quality for holding in node.wallet.holdings()}
        agreed, rows = rates.agreed, list[f.RateRow]()
        for quality in own | held | {each for each in rates.traded if each.issuer != node.me}:
            figure = rates.figure(quality)
            worth = "" if figure is None else pet.number(pet.amount(1, figure) * monthly.GIGABYTE / MIB)
            rows.append(
                f.RateRow(
                    quality=str(quality),
                    issuer=show_node(quality.issuer),
                    own=quality.issuer == node.me,
                    worth=worth,
                    source="no rate is known" if figure is None else figure.source,
                    since=None if figure is None else figure.since,
                )
            )
        near = {str(quality) for quality in held | agreed}
        rows.sort(key=lambda row: (not row.own, row.quality not in near, -float(row.worth or -1), row.quality))
        return f.Rates(
            currency=f.Currency(name=pet.name, symbol=pet.symbol),
            rates=tuple(rows[:RATES_TOLD_MAX]),
            left_out=len(rows[RATES_TOLD_MAX:]),
        )


def _chart(chart: monthly.Chart) -> f.Chart:
    return f.Chart(
        name=chart.name,
        title=chart.title,
        bars=tuple(f.Bar(label=bar.label, value=bar.value, text=bar.text) for bar in chart.bars),
        lines=tuple(f.Line(label=line.label, values=line.values, text=line.text) for line in chart.lines),
        full=chart.full,
    )
