"""The command of a node that goes: say so, and see what it keeps for others move away."""

import argparse
from collections.abc import Iterator

import msgspec

from nanobarter.cli.exits import Exit
from nanobarter.cli.reading import client_of
from nanobarter.cli.table import mib, when
from nanobarter.cli.talk import answer_json, follow
from nanobarter.core.units import show_size
from nanobarter.daemon.facade_leave import LeaveView


def leave(asked: argparse.Namespace) -> int:
    """Leave, stay after all, or tell how far it is."""
    client = client_of(asked)
    if asked.status:
        answer = client.get("/v1/leave")
    elif asked.cancel:
        answer = client.post("/v1/leave/cancel", {})
    else:
        answer = client.post("/v1/leave/begin", {})
    if asked.wait and answer["leaving"]:
        answer = follow(client.stream("/v1/leave/wait", {}))
    if asked.json:
        answer_json(answer)
    else:
        for line in lines_of(msgspec.convert(answer, LeaveView)):
            print(line)
    return Exit.DONE if answer["done"] or not (answer["leaving"] and asked.wait) else Exit.FAILED


def lines_of(told: LeaveView) -> Iterator[str]:
    """Return the lines that tell how far a node is with leaving."""
    left = f"{told.shares} shares, {show_size(told.share_bytes)}, of {told.holders} owners"
    if not told.leaving:
        yield f"this node stays; it keeps {left}"
        return
    yield f"leaving since {when(told.since)}; it takes nothing new in and offers nothing"
    if told.done:
        yield "nothing is kept for others any more: stop the node with nbctl down"
    else:
        yield f"left of {told.begun_shares} shares, {show_size(told.begun_bytes)}: {left}"
        yield f"their owners move them while this node runs; the last lease ends {when(told.until)}"
    if told.notes_mib:
        yield f"others hold notes of this node for {mib(told.notes_mib)}, which are worth nothing once it is gone"
