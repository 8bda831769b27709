"""Drafts that answer from memory, beside ``fake_node``."""

from dataclasses import dataclass

from nanobarter.core.errors import Reason
from nanobarter.daemon import facade_drafts as f
from nanobarter.daemon.api import refuse

ROW = f.DraftRow(
    draft="ab" * 32, state="asked", proposer="nb1peer", mine=False, partners=2, gives="30d of nb1fake", gives_mib=100,
    gets="30d of nb1peer", gets_mib=50, expires=0,
)  # fmt: skip
ARCS = (
    f.ArcRow(node="nb1peer", me=False, bid="cd", gives="30d of nb1peer", mib=50, asks=False),
    f.ArcRow(node="nb1fake", me=True, bid="ef", gives="30d of nb1fake", mib=100, asks=True),
)


@dataclass
class FakeDrafts:
    """Answers that a test may read back."""

    asked: list[str]

    async def list(self) -> f.DraftList:
        self.asked.append("draft_list")
        return f.DraftList(drafts=(ROW,))

    async def show(self, draft: str) -> f.DraftShown:
        self.asked.append(f"draft_show {draft}")
        return f.DraftShown(draft=ROW, arcs=ARCS)

    async def approve(self, draft: str, quantity: str) -> f.DraftApproved:
        self.asked.append(f"draft_approve {draft} {quantity}")
        return f.DraftApproved(draft=ROW.draft, mib=40 if quantity else 100)

    async def refuse(self, draft: str) -> f.DraftRefusedByYou:
        self.asked.append(f"draft_refuse {draft}")
        if draft == "late":
            raise refuse(Reason.TOO_LATE, "your vote is out")
        return f.DraftRefusedByYou(draft=ROW.draft)
