"""Small charts: a line of blocks for the terminal, and SVG for a report, of what a table could say too."""

from collections.abc import Sequence
from html import escape
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
WIDTH: Final = 640
HEIGHT: Final = 280
_PAD: Final = 46
_COLOURS: Final = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#34495e")


def spark(values: Sequence[float], width: int = 60) -> str:
    """Return one line of blocks, the mean of neighbours where there are more values than letters."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    means = [sum(values[i : i + step]) / len(values[i : i + step]) for i in range(0, len(values), step)]
    low, high = min(means), max(means)
    if high <= low:
        return BLOCKS[0] * len(means)
    return "".join(BLOCKS[min(7, int((value - low) / (high - low) * 8))] for value in means)


def bar(part: float, width: int = 24) -> str:
    """Return a bar that is filled to a part, 0 to 1."""
    filled = round(max(0.0, min(1.0, part)) * width)
    return "█" * filled + "░" * (width - filled)


def lines_svg(title: str, series: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_name: str) -> str:
    """Return a chart of lines over one axis, as SVG."""
    points = [point for _, line in series for point in line]
    frame = _Frame(points)
    body = list[str]()
    for number, (name, line) in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line)
        body.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
        where = f'x="{WIDTH - _PAD - 120}" y="{_PAD + 14 * number}"'
        body.append(f'<text {where} font-size="11" fill="{colour}">{escape(name)}</text>')
    return frame.svg(title, x_name, body)


def dots_svg(title: str, points: Sequence[tuple[float, float]], x_name: str) -> str:
    """Return a cloud of points, as SVG."""
    frame = _Frame(points)
    dots = [
        f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5" fill="{_COLOURS[0]}" fill-opacity="0.6"/>'
        for x, y in points
    ]
    return frame.svg(title, x_name, dots)


def bars_svg(title: str, bars: Sequence[tuple[str, float, str]], full: float = 0.0) -> str:
    """Return a chart of lying bars, each with its name and what it says, as SVG; ``full`` is the value at the right."""
    most = full or max((value for _, value, _ in bars), default=0.0) or 1.0
    left, step = 150, 18
    high = 40 + step * max(len(bars), 1)
    body = list[str]()
    for number, (name, value, text) in enumerate(bars):
        y, length = 34 + step * number, max(0.0, min(1.0, value / most)) * (WIDTH - left - 130)
        body.append(f'<text x="{left - 6}" y="{y + 10}" font-size="11" text-anchor="end">{escape(name)}</text>')
        body.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="12" fill="{_COLOURS[0]}"/>')
        body.append(f'<text x="{left + length + 6:.1f}" y="{y + 10}" font-size="11">{escape(text)}</text>')
    if not bars:
        body.append(f'<text x="{WIDTH / 2}" y="44" font-size="11" text-anchor="middle">nothing yet</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" font-family="sans-serif">'
    name = f'<text x="{WIDTH / 2}" y="20" font-size="13" text-anchor="middle">{escape(title)}</text>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', name, *body, "</svg>"]) + "\n"


def page_svg(lines: Sequence[str], charts: Sequence[str]) -> str:
    """Return one SVG of lines of text and, below them, of charts that this module has made."""
    y, body = 12, list[str]()
    for number, line in enumerate(lines):
        size = 16 if not number else 12
        y += size + 6
        body.append(f'<text x="{_PAD}" y="{y}" font-size="{size}">{escape(line)}</text>')
    y += 14
    for chart in charts:
        high = int(chart.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()[1])
        body.append(chart.replace("<svg ", f'<svg y="{y}" width="{WIDTH}" height="{high}" ', 1).rstrip())
        y += high + 8
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>"]) + "\n"


class _Frame:
    """Where values lie on the paper."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
        self._x, self._y = (min(xs), max(xs)), (min(ys), max(ys))

    def x(self, value: float) -> float:
        low, high = self._x
        return _PAD + (value - low) / ((high - low) or 1) * (WIDTH - 2 * _PAD)

    def y(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - _PAD - (value - low) / ((high - low) or 1) * (HEIGHT - 2 * _PAD)

    def svg(self, title: str, x_name: str, body: Sequence[str]) -> str:
        texts = [
            (WIDTH / 2, 20, "middle", title),
            (WIDTH / 2, HEIGHT - 8, "middle", x_name),
            (_PAD, HEIGHT - _PAD + 16, "start", f"{self._x[0]:.4g}"),
            (WIDTH - _PAD, HEIGHT - _PAD + 16, "end", f"{self._x[1]:.4g}"),
            (_PAD - 4, HEIGHT - _PAD, "end", f"{self._y[0]:.3g}"),
            (_PAD - 4, _PAD + 4, "end", f"{self._y[1]:.3g}"),
        ]
        written = [
            f'<text x="{x:.0f}" y="{y:.0f}" font-size="11" text-anchor="{where}">{escape(text)}</text>'
            for x, y, where, text in texts
        ]
        axes = (
            f'<path d="M{_PAD} {_PAD} V{HEIGHT - _PAD} H{WIDTH - _PAD}" fill="none" stroke="#888"/>',
            '<rect width="100%" height="100%" fill="white"/>',
        )
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
        return "\n".join([head, axes[1], axes[0], *written, *body, "</svg>"]) + "\n"
