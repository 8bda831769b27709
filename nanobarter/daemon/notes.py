"""The notes of one node as its person handles them: lines out and in, fresh notes for old, the phrase's notes."""

from collections.abc import AsyncIterator, Sequence
from sqlite3 import Connection
from typing import Final, Literal, cast

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable, UsageError
from nanobarter.core.ids import NodeId, parse_node, show_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind
from nanobarter.daemon import facade_notes as shapes
from nanobarter.daemon.api import refuse
from nanobarter.daemon.desk import read_quantity
from nanobarter.daemon.services import Node
from nanobarter.daemon.shape import Progress
from nanobarter.wallet.handover import digest_of
from nanobarter.wallet.token import NoteToken, parse_token

LINE_LETTERS: Final = 12  # of a line's digest: enough to tell one's own lines apart


class NoteDesk:
    """Implements ``facade_notes.NotesFacade`` over a running node."""

    def __init__(self, node: Node) -> None:
        self._node, self._wallet = node, node.wallet

    async def list(self, *, lines: bool) -> shapes.NoteList:
        """List the notes held, the lines made and the lines that wait."""
        sent = tuple(
            shapes.SentRow(
                name=name_of(parse_token(line)),
                issuer=show_node(quality.issuer),
                kind=quality.kind,
                mib=quantity,
                at=at,
                line=line if lines else "",
            )
            for line, quality, quantity, at in self._wallet.tokens()
        )
        waiting = tuple(
            shapes.WaitingRow(
                name=w.digest.hex()[:LINE_LETTERS],
                issuer=show_node(w.issuer),
                mib=w.quantity,
                since=w.since,
                problem=w.problem,
            )
            for w in self._wallet.receiving.waiting()
        )
        return shapes.NoteList(notes=await self._node.store.read(_notes), sent=sent, waiting=waiting)

    async def send(self, quantity: str, kind: str, issuer: str) -> shapes.NoteSent:
        """Make a line. Raises UsageError for words that mean nothing, RefusedError NO_STOCK without such notes."""
        size = read_quantity(quantity)
        quality = self._pick(kind, issuer)
        made = await self._wallet.note_send(quality, size)
        if isinstance(made, Refused):
            raise refuse(made.reason, f"{made.detail}; whole MiB of one issuer and kind are sent together")
        token = parse_token(made)
        known = [self._wallet.keysets.known(note.keyset) for note in token.notes]
        return shapes.NoteSent(
            name=name_of(token),
            line=made,
            issuer=show_node(quality.issuer),
            kind=quality.kind,
            mib=size,
            redeem_until=min((k.announcement.redeem_until for k in known if k is not None), default=Instant(0)),
        )

    def _pick(self, kind: str, issuer: str) -> Quality:
        """Return the quality to pay in: as named, else that of which most is free."""
        wanted = parse_node(issuer) if issuer else None
        fits = [
            holding.quality
            for holding in self._wallet.holdings()
            if kind in ("", holding.quality.kind) and wanted in (None, holding.quality.issuer)
        ]
        if not fits:
            of = f" of {issuer}" if issuer else ""
            raise refuse(Reason.NO_STOCK, f"this wallet has no {kind + ' ' if kind else ''}notes{of}")
        if not kind and len({q.kind for q in fits}) > 1:
            kinds = ", ".join(sorted({q.kind for q in fits}))
            raise UsageError(f"this wallet has notes of several kinds: {kinds}", hint="name one: --kind 30d")
        return max(fits, key=lambda quality: (self._wallet.free(quality), quality))

    async def receive(self, line: str) -> shapes.NoteReceived:
        """Swap a line's notes for fresh ones of ours; while its mint is away the line waits here.

        Raises UsageError for a text that is no note, RefusedError when its notes are spent, forged or over.
        """
        parsed = parse_token(line)
        try:
            came = await self._wallet.note_receive(line)
        except Unreachable as error:
            return shapes.NoteReceived(
                state="waiting", issuer=show_node(parsed.issuer), kind="", mib=parsed.quantity, problem=str(error)
            )
        if isinstance(came, Refused):
            raise refuse(came.reason, _why_not(came))
        quality, quantity = came
        return shapes.NoteReceived(state="yours", issuer=show_node(quality.issuer), kind=quality.kind, mib=quantity)

    async def verify(self, line: str, *, ask: bool) -> shapes.NoteVerified:
        """Tell what a line is worth."""
        checked = await self._wallet.receiving.check(line, ask=ask)
        if isinstance(checked, Refused):
            raise refuse(checked.reason, _why_not(checked))
        return shapes.NoteVerified(
            issuer=show_node(checked.quality.issuer),
            kind=checked.quality.kind,
            mib=checked.quantity,
            redeem_until=checked.redeem_until,
            own=checked.own,
            spent_mib=checked.spent,
        )

    async def refresh(self, issuer: str, *, everything: bool) -> shapes.NotesRefreshed:
        """Swap ageing notes, or all, for fresh ones."""
        wanted = parse_node(issuer) if issuer else None
        renewed = await self._wallet.upkeep.refresh(wanted, everything=everything)
        return shapes.NotesRefreshed(
            renewed=tuple(
                shapes.RenewedRow(
                    issuer=show_node(r.quality.issuer), kind=r.quality.kind, mib=r.quantity, problem=r.problem
                )
                for r in renewed
            )
        )

    def restore(self, issuer: str) -> AsyncIterator[shapes.RestoreNotesEvent]:
        """Find notes again from the phrase, issuer by issuer; one that fails does not stop the others."""
        return self._restore([parse_node(issuer)] if issuer else self._issuers())

    def _issuers(self) -> Sequence[NodeId]:
        """Return whose notes may be ours: all mints that we took keysets of, and all nodes that we know."""
        sql = "SELECT DISTINCT issuer FROM wallet_keysets"
        took = self._node.store.read_now(lambda db: [NodeId(row[0]) for row in db.execute(sql)])
        return sorted({*took, *(peer.node for peer in self._node.network.known()), self._node.me})

    async def _restore(self, issuers: Sequence[NodeId]) -> AsyncIterator[shapes.RestoreNotesEvent]:
        rows, total = list[shapes.RestoredRow](), 0
        for done, issuer in enumerate(issuers):
            yield Progress(
                phase="asking issuers", done=done, total=len(issuers), unit="issuers", note=f"{total} MiB found"
            )
            quantity, problem = 0, ""
            try:
                quantity = await self._wallet.restore(issuer)
            except (Unreachable, PeerFault) as error:
                problem = str(error)
            total += quantity
            if quantity or problem:
                rows.append(shapes.RestoredRow(issuer=show_node(issuer), mib=quantity, problem=problem))
        yield shapes.WalletRestored(asked=len(issuers), mib=total, issuers=tuple(rows))


def name_of(token: NoteToken) -> str:
    """Return what a line is called, without showing what it is."""
    return digest_of(token).hex()[:LINE_LETTERS]


def _why_not(refused: Refused) -> str:
    match refused.reason:
        case Reason.SPENT:
            return "already spent: its mint shows the signature of whoever swapped it before"
        case Reason.BAD_SIGNATURE:
            return "forged: its mint did not sign these notes"
        case Reason.UNKNOWN_KEYSET:
            return "its mint does not know the keyset of these notes; they are over, or of another network"
        case Reason.RETIRED_KEYSET:
            return "too late: its mint no longer redeems these notes"
        case _:
            return refused.detail or refused.reason.name


def _notes(db: Connection) -> tuple[shapes.NoteRow, ...]:
    sql = (
        "SELECT issuer, kind, quantity, count(*), redeem_until, state FROM wallet_notes "
        "GROUP BY issuer, kind, quantity, redeem_until, state ORDER BY issuer, kind, redeem_until, quantity DESC, state"
    )
    return tuple(
        shapes.NoteRow(
            issuer=show_node(NodeId(issuer)),
            kind=LeaseKind(kind),
            mib=quantity,
            count=count,
            redeem_until=until,
            state=cast("Literal['free', 'held', 'sent']", state),
        )
        for issuer, kind, quantity, count, until, state in db.execute(sql)
    )
