"""Drafts as a person reads them."""

import re
from collections.abc import Callable, Iterator
from typing import Final, cast

from nanobarter.cli.table import short, table, when
from nanobarter.daemon import facade_drafts as f
from nanobarter.daemon.shape import Shape

Teller = tuple[type[Shape], Callable[[Shape], Iterator[str]]]

_NODE: Final = re.compile(r"nb1[0-9a-z]+")
_STATES: Final[dict[f.DraftState, str]] = {
    "asked": "waits for you",
    "waiting": "waits for others",
    "drafting": "all reserve",
    "locking": "notes are locked",
    "voted": "your vote is out",
    "paid": "notes are collected",
    "leaving": "comes back",
}


def _brief(text: str) -> str:
    return _NODE.sub(lambda node: short(node[0]), text)


def _list(shown: f.DraftList) -> Iterator[str]:
    rows = (
        (row.draft[:12], _STATES[row.state], "me" if row.mine else short(row.proposer), str(row.partners),
         f"{row.gives_mib} MiB {_brief(row.gives)}", f"{row.gets_mib} MiB {_brief(row.gets)}",
         "" if row.said_mib is None else f"{row.said_mib} MiB", when(row.expires) if row.expires else "")
        for row in shown.drafts
    )  # fmt: skip
    head = ("draft", "state", "by", "partners", "you give", "you get", "approved", "until")
    return table(head, rows, "no drafts under way")


def _show(shown: f.DraftShown) -> Iterator[str]:
    row = shown.draft
    yield f"draft {row.draft}"
    yield _STATES[row.state] + (f", until {when(row.expires)} UTC" if row.expires else "")
    yield f"you give {row.gives_mib} MiB of {_brief(row.gives)} and get {row.gets_mib} MiB of {_brief(row.gets)}"
    yield f"that is {row.gives_mib / row.gets_mib:.4g} for one"
    yield ""
    rows = (
        ("me" if arc.me else short(arc.node), f"{arc.mib} MiB", _brief(arc.gives), _word(arc)) for arc in shown.arcs
    )
    yield from table(("party", "gives the next", "of", "approval"), rows, "nobody")


def _word(arc: f.ArcRow) -> str:
    if not arc.asks:
        return "by policy"
    return "is asked" if arc.said_mib is None else f"up to {arc.said_mib} MiB"


def _approved(done: f.DraftApproved) -> Iterator[str]:
    yield f"approved: at most {done.mib} MiB in draft {done.draft[:12]}, at the price shown or a better one"
    yield "until your vote is out you may still refuse: nbctl draft refuse"


def _refused(done: f.DraftRefusedByYou) -> Iterator[str]:
    yield f"draft {done.draft[:12]} is refused"


TELLERS: Final = cast(
    "dict[str, Teller]",
    {
        "draft_list": (f.DraftList, _list),
        "draft_show": (f.DraftShown, _show),
        "draft_approve": (f.DraftApproved, _approved),
        "draft_refuse": (f.DraftRefusedByYou, _refused),
    },
)
