"""``python -m bench AREA --json [--quick]``: measure one area and print its figures, one per line.

An area is a module beside this one with ``figures(quick)``; it is imported only when it is asked for.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figure import Figure

HERE = Path(__file__).resolve().parent


def areas() -> list[str]:
    """Return the names of the areas that can be measured."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("__init__", "__main__", "figure"))


def as_json(figure: Figure) -> str:
    """Return a figure as one line of JSON."""
    line: dict[str, object] = {"name": figure.name, "value": figure.value, "unit": figure.unit}
    if figure.anchor is not None:
        line["anchor"] = {"name": figure.anchor[0], "value": figure.anchor[1]}
    if figure.note:
        line["note"] = figure.note
    return json.dumps(line)


def as_text(figure: Figure) -> str:
    """Return a figure as one line of a table."""
    value = "-" if figure.value is None else f"{figure.value:.6g}"
    anchor = "" if figure.anchor is None else f"  ({figure.anchor[0]}: {figure.anchor[1]:g})"
    return f"{figure.name:<34}{value:>14} {figure.unit}{anchor}{'  ' + figure.note if figure.note else ''}"


def main() -> int:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="measure one area of nanobarter")
    parser.add_argument("area", choices=areas())
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, about a minute")
    asked = parser.parse_args()
    figures: Callable[[bool], Iterator[Figure]] = importlib.import_module(f"bench.{asked.area}").figures
    for figure in figures(asked.quick):
        print(as_json(figure) if asked.json else as_text(figure), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
