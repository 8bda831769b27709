"""How nbctl speaks: answers to stdout, talk to stderr, progress as bars on a terminal and as lines elsewhere."""

import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from nanobarter.core.units import show_size

_BYTES: Final = "bytes"
_LINE_EVERY: Final = 2.0  # seconds between two lines of one phase where there is no terminal: a log stays readable


def say(message: str, hint: str = "") -> None:
    """Say a line of talk, and the way out if there is one."""
    print(f"nbctl: {plain(message)}", file=sys.stderr)
    if hint:
        print(f"nbctl: hint: {plain(hint)}", file=sys.stderr)


def plain(line: str) -> str:
    """Return a line with all that could end it, move the cursor or turn the writing round escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)  # names of files may hold anything


def answer_json(answer: Mapping[str, Any]) -> None:
    """Print an answer as one line of JSON."""
    print(json.dumps(answer, ensure_ascii=False), flush=True)


def follow(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Show the progress of a long job and return its result, the event that is no progress."""
    last: dict[str, Any] = {}
    with Follower() as follower:
        for event in events:
            if follower.see(event):
                last = event
    return last


class Follower:
    """Shows progress events as they come: bars on a terminal, else a line per phase and every two seconds."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._said_at = 0.0
        self._tasks = dict[str, Any]()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bars = _make_bars()
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def see(self, event: Mapping[str, Any]) -> bool:
        """Show one event; tell whether it is the result instead of progress."""
        if event["type"] != "progress":
            return True
        phase, amount = event["phase"], event.get("note") or _amount(event)
        fresh = phase not in self._tasks
        if self._bars is None:
            now = time.monotonic()
            if fresh or now >= self._said_at + _LINE_EVERY:
                say(f"{phase} {amount}".rstrip())
                self._said_at = now
            self._tasks[phase] = None
            return False
        if fresh:
            self._tasks[phase] = self._bars.add_task(phase, total=None, amount="")
        total = event.get("total") or None
        self._bars.update(self._tasks[phase], completed=event.get("done", 0), total=total, amount=amount)
        return False


def _amount(event: Mapping[str, Any]) -> str:
    done, total, unit = event.get("done", 0), event.get("total", 0), event.get("unit", "")
    if not total:
        return ""
    if unit == _BYTES:
        return f"{show_size(done)} of {show_size(total)}"
    return f"{done} of {total} {unit}".rstrip()


def _make_bars() -> Any:
    # rich costs a tenth of a second to import: only a terminal that shows a bar pays for it.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - see above

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amount]}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
