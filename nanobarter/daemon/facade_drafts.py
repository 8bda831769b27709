"""Drafts before their person: the shapes of the answers, and the door behind them."""

from typing import Literal, Protocol

from nanobarter.daemon.shape import Part, Shape

DraftState = Literal["asked", "waiting", "drafting", "locking", "voted", "paid", "leaving"]
"""asked: your word is wanted. waiting: for others' words, after yours. drafting: all reserve. locking: notes are being
locked; until here you may refuse. voted: your vote is out. paid: notes are being collected. leaving: they come back."""


class DraftRow(Part, frozen=True, kw_only=True):
    """One draft. ``gives_mib`` is what it would take of yours, ``said_mib`` what you agreed to, None when not asked."""

    draft: str
    state: DraftState
    proposer: str
    mine: bool
    partners: int
    gives: str
    gives_mib: int
    gets: str
    gets_mib: int
    said_mib: int | None = None
    expires: int | None = None


class ArcRow(Part, frozen=True, kw_only=True):
    """What one party gives to the next. ``asks``: its person is asked; ``said_mib`` is her word where we know it."""

    node: str
    me: bool
    bid: str
    gives: str
    mib: int
    asks: bool
    said_mib: int | None = None


class DraftList(Shape, frozen=True, kw_only=True, tag="draft_list"):
    """The drafts that have not ended, those that wait for you first."""

    drafts: tuple[DraftRow, ...] = ()


class DraftShown(Shape, frozen=True, kw_only=True, tag="draft_show"):
    """One draft with its ring, from the proposer on; each gives to the next, the last to the first."""

    draft: DraftRow
    arcs: tuple[ArcRow, ...]


class DraftApproved(Shape, frozen=True, kw_only=True, tag="draft_approve"):
    """Your word is kept and on its way: at most ``mib`` of yours, at the price shown or a better one."""

    draft: str
    mib: int


class DraftRefusedByYou(Shape, frozen=True, kw_only=True, tag="draft_refuse"):
    """The draft is over; what was locked of yours comes back by itself."""

    draft: str


class DraftsFacade(Protocol):
    """What a person says to drafts. ``draft`` is the beginning of an id; UsageError when it begins not just one."""

    async def list(self) -> DraftList:
        """List the drafts that have not ended."""
        ...

    async def show(self, draft: str) -> DraftShown:
        """Show a draft with its ring."""
        ...

    async def approve(self, draft: str, quantity: str) -> DraftApproved:
        """Agree to a draft, or to less of it. RefusedError when it is too late."""
        ...

    async def refuse(self, draft: str) -> DraftRefusedByYou:
        """Refuse a draft, also one that was approved, or what took its place. RefusedError once our vote is out."""
        ...
