"""A node that answers from memory: what ``nbctl`` and the API are tested against, over the real socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import trio

from nanobarter.core.errors import Reason, UsageError
from nanobarter.daemon import facade as f
from nanobarter.daemon.api import refuse, serve_api
from nanobarter.daemon.api_routes import routes_of
from nanobarter.daemon.facade_backup import Fate
from nanobarter.daemon.facade_doctor import CheckRow, Doctor
from nanobarter.daemon.facade_ledger import Bar, Chart, Line
from nanobarter.daemon.friends import FriendRow, Friends, Invited, Joined
from nanobarter.daemon.home import Home
from tests.daemon.fake_bots import FakeBots
from tests.daemon.fake_drafts import FakeDrafts
from tests.daemon.fake_economy import FakeEconomy
from tests.daemon.fake_leave import FakeLeave
from tests.daemon.fake_notes import FakeNotes
from tests.daemon.fake_pledge import FakePledge
from tests.daemon.fake_storage import FakeStorage

HEALTHY = f.Health(state="good", packs=2, k=2, n=5, shares_placed=10, shares_proven=10, audits_passed=10)
ACORN = f.Currency(name="acorn", symbol="ac")


class FakeFriends:
    """One friend, and invitations that lead nowhere."""

    async def friends(self) -> Friends:
        return Friends(peers="open", friends=(FriendRow(node="nb1peer", connected=True),))

    async def invite(self, valid: str) -> Invited:
        return Invited(invitation=f"nbi1 {valid}", addresses=("127.0.0.1:1",), expires=0)

    async def join(self, line: str) -> Joined:
        if not line.startswith("nbi1"):
            raise UsageError("this is no invitation")
        return Joined(node="nb1peer", addresses=("127.0.0.1:2",))


@dataclass
class FakeNode:
    """Answers that a test may replace; ``trouble`` is raised by every method when set."""

    health_now: f.Health = HEALTHY
    plan_now: f.Plan | None = None
    backup_done: f.BackupDone = field(
        default_factory=lambda: f.BackupDone(
            snapshot_id="s1", outcome="complete", files=3, size_bytes=5_000_000, packs=2, shares=10, k=2, n=5
        )
    )
    drill_now: f.DrillRow | None = None
    bandwidth_now: f.Bandwidth = f.Bandwidth()
    trouble: Exception | None = None
    asked: list[str] = field(default_factory=list[str])
    closed: trio.Event = field(default_factory=trio.Event)
    hang: bool = False
    well: bool = True
    config_changed: bool = False
    fate: Fate = "whole"
    notes: FakeNotes = field(init=False)
    storage: FakeStorage = field(init=False)
    pledge: FakePledge = field(init=False)
    drafts: FakeDrafts = field(init=False)
    leaving: FakeLeave = field(init=False)
    economy: FakeEconomy = field(init=False)
    bots: FakeBots = field(init=False)

    def __post_init__(self) -> None:
        self.notes = FakeNotes(self.asked)
        self.storage = FakeStorage(self._note)
        self.pledge = FakePledge(self.asked)
        self.drafts = FakeDrafts(self.asked)
        self.leaving = FakeLeave(self.asked)
        self.economy = FakeEconomy(self.asked)
        self.bots = FakeBots(self.asked)

    @property
    def circle(self) -> FakeFriends:
        return FakeFriends()

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.trouble:
            raise self.trouble

    async def status(self) -> f.Status:
        self._note("status")
        return f.Status(
            node="nb1fake", version="0", pid=1, started=0, listen="127.0.0.1:1", home="/h", peers_connected=5,
            config_changed=self.config_changed,
            peers_known=5, folders=("/f",), snapshots=1, last_snapshot=0, offered_mib=1000, lent_mib=10, held_mib=20,
            bids_heard=7, agreements=1, health=self.health_now, drill=self.drill_now,
            bandwidth=self.bandwidth_now,
        )  # fmt: skip

    async def doctor(self) -> Doctor:
        self._note("doctor")
        return Doctor(ok=self.well, checks=(CheckRow(name="disk", state="ok" if self.well else "fail", told="1 GB"),))

    async def peers(self) -> f.Peers:
        self._note("peers")
        return f.Peers(peers=(f.PeerRow(node="nb1peer", addresses=("127.0.0.1:2",), connected=True, last_seen=0),))

    async def market(self) -> f.MarketView:
        self._note("market")
        bid = f.BidRow(bid="b1", node="nb1peer", own=False, gives="g", wants="w", quantity_mib=5, expires=0)
        ring = f.Agreement(draft_id="d1", parties=("a", "b", "c"), state="settled", gave_mib=5, got_mib=5)
        return f.MarketView(bids=(bid,), agreements=(ring,))

    async def market_book(self) -> f.MarketBook:
        self._note("market_book")
        mine = f.BidRow(
            bid="ab" * 16, node="nb1fake", own=True, gives="30d:nb1fake", wants="30d at any issuer", quantity_mib=5,
            expires=0, type="best", omega="3/2", floor="2/1", by_hand=True,
        )  # fmt: skip
        return f.MarketBook(bids=(*(await self.market()).bids, mine))

    async def market_quote(self, gives: str, wants: str, quantity: str, omega: str) -> f.MarketQuote:
        self._note(f"market_quote {gives} {wants} {quantity} {omega}")
        couples = (f.Couple(received_mib=80, given_mib=20), f.Couple(received_mib=100, given_mib=50))
        partner = f.PartnerRow(
            bid="cd" * 16, node="nb1peer", gives="30d:nb1peer", gives_mib=40, omega="4/1", effort=0.9, omega_asked=3.6
        )
        wish = f.Proposal(
            chain=(partner,), received_mib=40, given_mib=11, omega="5/18", quantity_mib=11, command="nbctl market bid"
        )
        return f.MarketQuote(
            gives="30d:nb1fake",
            wants="30d at any issuer",
            couples=couples,
            proposal=wish if quantity or omega else None,
        )

    async def market_bid(
        self, gives: str, wants: str, quantity: str, omega: str, floor: str, *, best: bool
    ) -> f.BidPlaced:
        self._note(f"market_bid {gives} {wants} {quantity} {omega} {floor} {best}")
        return f.BidPlaced(bid=(await self.market_book()).bids[-1])

    async def market_withdraw(self, bid: str) -> f.BidWithdrawn:
        self._note(f"market_withdraw {bid}")
        if bid == "none":
            raise UsageError("no own bid begins with 'none'", hint="see nbctl market bids")
        return f.BidWithdrawn(bid="ab" * 16, at_work=True)

    async def market_rates(self) -> f.MarketRates:
        self._note("market_rates")
        row = f.RateRow(
            first="30d:nb1fake", second="30d:nb1peer", first_mib=10, second_mib=20, agreements=2, mean="2/1",
            last="3/1", at=0,
        )  # fmt: skip
        return f.MarketRates(rates=(row,))

    async def wallet(self) -> f.WalletView:
        self._note("wallet")
        return f.WalletView(holdings=(f.HoldingRow(issuer="nb1peer", kind="30d", mib=12, reserved_mib=2),))

    async def mint_status(self) -> f.MintStatus:
        self._note("mint_status")
        row = f.CapacityRow(kind="30d", pledged_mib=10, outstanding_mib=4, locked_mib=1, leased_mib=2, free_mib=3)
        return f.MintStatus(capacity=(row,), keysets=1)

    async def mint_audit(self) -> f.MintAudit:
        self._note("mint_audit")
        return f.MintAudit(ok=True)

    async def backup(self, folders: tuple[str, ...]) -> AsyncIterator[f.BackupEvent]:
        self._note(f"backup {','.join(folders)}")
        try:
            yield f.Progress(phase="scan", done=1, total=3, unit="files")
            if self.hang:
                await trio.sleep_forever()
            yield f.Progress(phase="upload", done=5_000_000, total=5_000_000, unit="bytes")
            yield self.backup_done
        finally:
            self.closed.set()

    async def snapshots(self) -> f.Snapshots:
        self._note("snapshots")
        row = f.SnapshotRow(
            snapshot_id="s1", at=0, files=3, size_bytes=5_000_000, outcome="complete", thin=False, fate=self.fate
        )
        return f.Snapshots(snapshots=(row,))

    async def ledger(self) -> f.Ledger:
        self._note("ledger")
        postings = (f.Posting(account="wallet", commodity="30d:nb1peer", amount=5, value="0.05"),)
        return f.Ledger(currency=ACORN, entries=(f.LedgerEntry(entry=1, at=0, text="swap", postings=postings),))

    async def balance(self) -> f.Balance:
        self._note("balance")
        row = f.BalanceRow(account="wallet", commodity="30d:nb1peer", amount=5, value="0.05", source="anchor")
        return f.Balance(currency=ACORN, rows=(row,), total="0.05")

    async def report(self, month: str) -> f.Report:
        self._note(f"report {month}")
        if month == "never":
            raise refuse(Reason.NOT_FOUND, "no such month")
        charts = (
            Chart(name="holdings", title="space at others", bars=(Bar(label="nb1peer", value=5, text="5.2 MB"),)),
            Chart(
                name="balance", title="kept for others, and for you",
                lines=(Line(label="for others", values=(0.0, 1.0, 2.0), text="2.0 GB"),),
            ),
        )  # fmt: skip
        return f.Report(
            currency=ACORN, month=month or "2026-11", lines=("1 agreement",), total="0.05",
            attention=("nb1<peer> was away",), charts=charts, unit="1 GB for 30 days = 10",
        )  # fmt: skip

    async def leases(self) -> f.Leases:
        self._note("leases")
        row = f.LeaseRow(
            lease_id="l1", side="held", issuer="nb1peer", kind="30d", mib=5, used_bytes=9, start=0, end=86_400_000
        )
        return f.Leases(leases=(row,))

    async def health(self) -> f.Health:
        self._note("health")
        return self.health_now

    async def audit_now(self) -> f.Health:
        self._note("audit_now")
        return self.health_now

    async def plan(self) -> f.Plan:
        self._note("plan")
        return self.plan_now or f.Plan(
            folder_bytes=12, files=1, peers=5, k=2, n=5, stored_bytes=30, lend_bytes=30, offered_bytes=100,
            upload_seconds=1, recover_probability=0.98,
        )  # fmt: skip


async def serve_fake(
    home: Home, node: FakeNode, *, task_status: trio.TaskStatus[Path] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve a fake node where ``nbctl --home`` looks for it."""
    await serve_api(home.place_socket(), routes_of(node), task_status=task_status)
