"""What a person does with notes by hand: the shapes of the answers, and the door behind them."""

from collections.abc import AsyncIterator
from typing import Literal, Protocol

from nanobarter.daemon.shape import Part, Progress, Shape


class NoteRow(Part, frozen=True, kw_only=True):
    """So many notes of one size that end together. ``held``: an unanswered request wants to spend them."""

    issuer: str
    kind: str
    mib: int
    count: int
    redeem_until: int
    state: Literal["free", "held", "sent"]


class SentRow(Part, frozen=True, kw_only=True):
    """A line that was made here and not taken back. ``line`` is the line itself, or empty where not asked for."""

    name: str
    issuer: str
    kind: str
    mib: int
    at: int
    line: str = ""


class WaitingRow(Part, frozen=True, kw_only=True):
    """A line that came in and is not ours yet; its mint is asked again and again."""

    name: str
    issuer: str
    mib: int
    since: int
    problem: str = ""


class NoteList(Shape, frozen=True, kw_only=True, tag="note_list"):
    """The notes of this wallet, the lines that it made, and those that wait for their mints."""

    notes: tuple[NoteRow, ...] = ()
    sent: tuple[SentRow, ...] = ()
    waiting: tuple[WaitingRow, ...] = ()


class NoteSent(Shape, frozen=True, kw_only=True, tag="note_send"):
    """A line worth so much. Whoever has ``line`` owns it, until somebody swaps it at its mint."""

    name: str
    line: str
    issuer: str
    kind: str
    mib: int
    redeem_until: int


class NoteReceived(Shape, frozen=True, kw_only=True, tag="note_receive"):
    """``yours``: its mint has signed fresh notes for us. ``waiting``: nothing is certain yet, the line is kept."""

    state: Literal["yours", "waiting"]
    issuer: str
    kind: str
    mib: int
    problem: str = ""


class NoteVerified(Shape, frozen=True, kw_only=True, tag="note_verify"):
    """What a line is worth: its mint signed it. ``spent_mib`` is None where the mint was not asked."""

    issuer: str
    kind: str
    mib: int
    redeem_until: int
    own: bool
    spent_mib: int | None = None


class RenewedRow(Part, frozen=True, kw_only=True):
    """How much of a quality got fresh notes."""

    issuer: str
    kind: str
    mib: int
    problem: str = ""


class NotesRefreshed(Shape, frozen=True, kw_only=True, tag="note_refresh"):
    """What was swapped for fresh notes."""

    renewed: tuple[RenewedRow, ...] = ()


class RestoredRow(Part, frozen=True, kw_only=True):
    """What one issuer still knew of this phrase."""

    issuer: str
    mib: int
    problem: str = ""


class WalletRestored(Shape, frozen=True, kw_only=True, tag="wallet_restore"):
    """What came back from the phrase, by issuer; those without anything are counted only."""

    asked: int
    mib: int
    issuers: tuple[RestoredRow, ...] = ()


RestoreNotesEvent = Progress | WalletRestored


class NotesFacade(Protocol):
    """The notes of one node. Raises what ``NodeFacade`` raises."""

    async def list(self, *, lines: bool) -> NoteList:
        """List the notes; with ``lines`` the lines made here are told in full."""
        ...

    async def send(self, quantity: str, kind: str, issuer: str) -> NoteSent:
        """Make a line worth so much, of the issuer named, else of the one whose notes are most."""
        ...

    async def receive(self, line: str) -> NoteReceived:
        """Swap a line's notes for fresh ones of ours."""
        ...

    async def verify(self, line: str, *, ask: bool) -> NoteVerified:
        """Tell what a line is worth, and with ``ask`` what its mint says of it."""
        ...

    async def refresh(self, issuer: str, *, everything: bool) -> NotesRefreshed:
        """Swap ageing notes, or all, for fresh ones."""
        ...

    def restore(self, issuer: str) -> AsyncIterator[RestoreNotesEvent]:
        """Find notes again from the phrase, at one issuer or all known ones."""
        ...
