"""Notes that answer from memory, beside ``fake_node``."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from nanobarter.core.errors import Reason, UsageError
from nanobarter.daemon import facade_notes as f
from nanobarter.daemon.api import refuse
from nanobarter.daemon.shape import Progress


@dataclass
class FakeNotes:
    """Answers that a test may replace."""

    asked: list[str]
    received: f.NoteReceived = f.NoteReceived(state="yours", issuer="nb1peer", kind="30d", mib=5)
    line: str = "nbn1line"
    spent: int = 0
    problem: str = ""

    async def list(self, *, lines: bool) -> f.NoteList:
        self.asked.append(f"note_list {lines}")
        row = f.NoteRow(issuer="nb1peer", kind="30d", mib=4, count=3, redeem_until=0, state="free")
        sent = f.SentRow(name="abc", issuer="nb1peer", kind="30d", mib=5, at=0, line=self.line if lines else "")
        wait = f.WaitingRow(name="def", issuer="nb1peer", mib=2, since=0, problem="silence")
        return f.NoteList(notes=(row,), sent=(sent,), waiting=(wait,))

    async def send(self, quantity: str, kind: str, issuer: str) -> f.NoteSent:
        self.asked.append(f"note_send {quantity} {kind} {issuer}")
        if quantity == "9TB":
            raise refuse(Reason.NO_STOCK, "0 MiB are free")
        return f.NoteSent(name="abc", line=self.line, issuer="nb1peer", kind="30d", mib=5, redeem_until=0)

    async def receive(self, line: str) -> f.NoteReceived:
        self.asked.append(f"note_receive {line}")
        if line == "nbn1spent":
            raise refuse(Reason.SPENT, "already spent")
        if not line.startswith("nbn1"):
            raise UsageError("this is no note", hint="copy the whole line")
        return self.received

    async def verify(self, line: str, *, ask: bool) -> f.NoteVerified:
        self.asked.append(f"note_verify {line} {ask}")
        return f.NoteVerified(
            issuer="nb1peer", kind="30d", mib=5, redeem_until=0, own=True, spent_mib=self.spent if ask else None
        )

    async def refresh(self, issuer: str, *, everything: bool) -> f.NotesRefreshed:
        self.asked.append(f"note_refresh {issuer} {everything}")
        return f.NotesRefreshed(renewed=(f.RenewedRow(issuer="nb1peer", kind="30d", mib=5, problem=self.problem),))

    async def restore(self, issuer: str) -> AsyncIterator[f.RestoreNotesEvent]:
        self.asked.append(f"wallet_restore {issuer}")
        yield Progress(phase="asking issuers", done=0, total=1, unit="issuers")
        row = f.RestoredRow(issuer="nb1peer", mib=5, problem=self.problem)
        yield f.WalletRestored(asked=1, mib=5, issuers=(row,))
