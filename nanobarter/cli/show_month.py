"""A month, rates and the graph of the market as a person reads them: blocks in the terminal, SVG in a file."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from nanobarter.cli.table import mib, short, table, when
from nanobarter.daemon import facade_economy as e
from nanobarter.daemon import facade_ledger as f
from nanobarter.translator.charts import bar, bars_svg, lines_svg, page_svg, spark

_NODE: Final = re.compile(r"nb1[0-9a-z]+")
_LABEL: Final = 16
_BARS: Final = 24
_RATES: Final = 50  # a screen or two


def _report(report: f.Report) -> Iterator[str]:
    yield _head(report)
    yield from report.lines
    for line in report.attention:
        yield f"attention: {line}"
    for chart in report.charts:
        yield ""
        yield from _chart(chart)


def _head(report: f.Report) -> str:
    unit = f", your own unit: {report.unit} {report.currency.symbol}" if report.unit else ""
    return f"{report.month}, told in {report.currency.name}s ({report.currency.symbol}){unit}"


def _chart(chart: f.Chart) -> Iterator[str]:
    yield chart.title
    most = chart.full or max((each.value for each in chart.bars), default=0.0) or 1.0
    for each in chart.bars:
        yield f"  {each.label:<{_LABEL}} {bar(each.value / most, _BARS)} {each.text}"
    for line in chart.lines:
        yield f"  {line.label:<{_LABEL}} {spark(line.values, _BARS):<{_BARS}} {line.text}"


def drawn(answer: dict[str, Any]) -> str:
    """Return the report as one SVG."""
    report = msgspec.convert(answer, f.Report)
    head = _head(report)
    notes = [f"attention: {line}" for line in report.attention]
    return page_svg([head, *report.lines, *notes], [_svg(chart) for chart in report.charts])


def _svg(chart: f.Chart) -> str:
    if chart.lines:
        series = [(line.label, list(enumerate(line.values, 1))) for line in chart.lines]
        return lines_svg(f"{chart.title} (GB)", series, "day of the month")
    return bars_svg(chart.title, [(each.label, each.value, each.text) for each in chart.bars], chart.full)


def _rates(told: f.Rates) -> Iterator[str]:
    rows = (
        (
            _brief(row.quality) + (" (own)" if row.own else ""),
            f"{row.worth} {told.currency.symbol}" if row.worth else "",
            row.source,
            "" if row.since is None else when(row.since),
        )
        for row in told.rates[:_RATES]
    )
    yield from table(("quality", "1 GB is worth", "known by", "since"), rows, "nothing was traded or offered yet")
    if more := len(told.rates[_RATES:]) + told.left_out:
        rest = f", the first {len(told.rates)} of all" if told.left_out else ""
        yield f"and {more} more, mostly of what others offer: nbctl rates --json tells them{rest}"


def _graph(told: e.MarketGraph) -> Iterator[str]:
    rows = (
        (_brief(row.gives), _brief(row.wants), f"{row.bids} of {row.owners}" if row.bids else "",
         mib(row.offered_mib) if row.bids else "", row.best,
         f"{row.agreements}: {mib(row.exchanged_mib)}" if row.agreements else "")
        for row in told.pairs
    )  # fmt: skip
    return table(("given", "for", "bids of nodes", "up to", "best", "exchanged here"), rows, "nobody offers anything")


def _brief(text: str) -> str:
    return _NODE.sub(lambda node: short(node[0]), text)


TELLERS: Final[dict[str, tuple[Any, Callable[[Any], Iterator[str]]]]] = {
    "report": (f.Report, _report),
    "rates": (f.Rates, _rates),
    "market_graph": (e.MarketGraph, _graph),
}
