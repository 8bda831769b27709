"""The node as its person sees it: read-only answers for the local API, gathered from the services."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from nanobarter import __version__
from nanobarter.core.ids import show_node
from nanobarter.core.units import DAY, MIB, Instant, Span, before
from nanobarter.daemon import facade
from nanobarter.daemon.accounts import Accounts
from nanobarter.daemon.bots_desk import BotsDesk
from nanobarter.daemon.config_change import is_changed
from nanobarter.daemon.desk import Desk
from nanobarter.daemon.doctor import examine
from nanobarter.daemon.drafts import DraftDesk
from nanobarter.daemon.economy import EconomyDesk
from nanobarter.daemon.facade_doctor import Doctor
from nanobarter.daemon.friends import FriendsDesk
from nanobarter.daemon.jobs import BackupJob
from nanobarter.daemon.leave_desk import LeaveDesk
from nanobarter.daemon.month_desk import MonthDesk
from nanobarter.daemon.notes import NoteDesk
from nanobarter.daemon.plan_desk import plan_of
from nanobarter.daemon.pledge import PledgeDesk
from nanobarter.daemon.services import Node
from nanobarter.daemon.storage_desk import StorageDesk

LOSSES_TOLD: Final = Span(30 * DAY)  # a month's report tells it too; afterwards the status is quiet about it


class NodeView:
    """Implements ``facade.NodeFacade`` over a running node."""

    def __init__(self, node: Node, listening: str) -> None:
        self._node, self._listening = node, listening
        self._started: Instant = node.clock.now()
        self._accounts = Accounts(node.ledger, node.store)
        self._desk = Desk(node)
        self._months = MonthDesk(node)
        self.notes = NoteDesk(node)
        self.storage = StorageDesk(node)
        self.circle = FriendsDesk(node.network)
        self.pledge = PledgeDesk(node)
        self.drafts = DraftDesk(node)
        self.leaving = LeaveDesk(node)
        self.economy = EconomyDesk(node)
        self.bots = BotsDesk(node)

    # -- at a glance

    async def status(self) -> facade.Status:
        """Show the node at a glance."""
        node = self._node
        snapshots = await node.catalog.snapshots()
        capacity = node.mint.capacity()
        held = node.held()
        health, drill = await self.health(), await node.drills.last()
        return facade.Status(
            node=show_node(node.me),
            version=__version__,
            pid=os.getpid(),
            started=self._started,
            listen=self._listening,
            home=str(node.home.path),
            config_changed=is_changed(node.home, node.config),
            peers_connected=len(node.network.connected()),
            peers_known=len(node.network.known()),
            same_host=node.config.network.same_host_ok,
            folders=node.config.backup.folders,
            snapshots=len(snapshots),
            last_snapshot=max((line.started for line in snapshots), default=None),
            backup_hours=node.config.backup.hours,
            drill=drill,
            bandwidth=self._bandwidth(),
            offered_mib=sum(c.pledged for c in capacity),
            lent_mib=sum(c.outstanding + c.locked + c.leased for c in capacity),
            held_mib=sum(h.total for h in held.values()),
            bids_heard=len(node.market.bids()),
            agreements=sum(a.state == "settled" for a in await node.chronicle.agreements()),
            convicted=tuple(
                facade.ConvictedRow(node=show_node(c.node), why=c.why, at=c.at) for c in node.court.convictions()
            ),
            health=health,
            problems=(*self._own_problems(), *_drill_problems(drill), *(problem.detail for problem in health.problems)),
        )

    def _bandwidth(self) -> facade.Bandwidth:
        network = self._node.config.network
        up, down = network.upload_rate, network.download_rate
        held = bool(up or down) and self._node.limits_hold()
        return facade.Bandwidth(upload_bytes_s=up, download_bytes_s=down, hours=network.limit_hours, in_force=held)

    def _own_problems(self) -> list[str]:
        node = self._node
        told = [*node.rebuilding.problems(), *node.memory.problems(), *node.diary.problems(), *self._missing_folders()]
        if many := self._node.wallet.copies_seen():
            told.append(f"another copy of this wallet is in use: {many} mints saw it; run only one of them")
        lost = self._node.wallet.remembrance.losses(before(self._node.clock.now(), LOSSES_TOLD))
        told += [
            f"{mib} MiB of notes went to nothing: {show_node(mint)} was put back from an older copy"
            for mint, mib in lost.items()
        ]
        return told

    def _missing_folders(self) -> list[str]:
        return [f"the folder {f} is not there" for f in self._node.config.backup.folders if not Path(f).is_dir()]

    async def doctor(self) -> Doctor:
        """Tell what works, what does not and what to do."""
        return await examine(self._node, self._listening)

    async def peers(self) -> facade.Peers:
        """List every node we know of."""
        why = {c.node: c.why for c in self._node.court.convictions()}
        return facade.Peers(
            peers=tuple(
                facade.PeerRow(
                    node=show_node(peer.node),
                    addresses=tuple(address.show() for address in peer.addresses),
                    connected=peer.connected,
                    last_seen=peer.last_seen,
                    path=peer.path,
                    latency_ms=None if peer.latency is None else round(peer.latency * 1000, 2),
                    bytes_in=peer.bytes_in,
                    bytes_out=peer.bytes_out,
                    score=peer.score,
                    convicted=why.get(peer.node, ""),
                )
                for peer in self._node.network.known()
            )
        )

    # -- barter

    async def market(self) -> facade.MarketView:
        """List bids and agreements."""
        return facade.MarketView(bids=self._desk.bids(), agreements=tuple(await self._node.chronicle.agreements()))

    async def market_book(self) -> facade.MarketBook:
        """List the live bids with every term."""
        return facade.MarketBook(bids=self._desk.bids())

    async def market_quote(self, gives: str, wants: str, quantity: str, omega: str) -> facade.MarketQuote:
        """Tell what could be had; with a quantity or an omega, also the bid that would yield it."""
        return self._desk.quote(gives, wants, quantity, omega)

    async def market_bid(
        self, gives: str, wants: str, quantity: str, omega: str, floor: str, *, best: bool
    ) -> facade.BidPlaced:
        """Post a bid by hand."""
        return await self._desk.place(gives, wants, quantity, omega, floor, best=best)

    async def market_withdraw(self, bid: str) -> facade.BidWithdrawn:
        """Take back the bid by hand whose id begins so."""
        return await self._desk.withdraw(bid)

    async def market_rates(self) -> facade.MarketRates:
        """Tell at what rates qualities changed hands here."""
        return self._desk.rates()

    async def wallet(self) -> facade.WalletView:
        """Show the notes held."""
        return facade.WalletView(
            holdings=tuple(
                facade.HoldingRow(
                    issuer=show_node(h.quality.issuer),
                    kind=h.quality.kind,
                    mib=h.quantity,
                    reserved_mib=h.reserved,
                )
                for h in self._node.wallet.holdings()
            )
        )

    async def mint_status(self) -> facade.MintStatus:
        """Sum up the books of the own mint."""
        rows = tuple(
            facade.CapacityRow(
                kind=c.kind,
                pledged_mib=c.pledged,
                outstanding_mib=c.outstanding,
                locked_mib=c.locked,
                leased_mib=c.leased,
                free_mib=c.free,
            )
            for c in self._node.mint.capacity()
        )
        return facade.MintStatus(capacity=rows, keysets=len(self._node.mint.usable()))

    async def mint_audit(self) -> facade.MintAudit:
        """Check the own mint's books."""
        rows = tuple(
            facade.FindingRow(row=f.row, quantity=str(f.quantity), problem=f.problem) for f in self._node.mint.audit()
        )
        return facade.MintAudit(ok=not rows, findings=rows)

    async def leases(self) -> facade.Leases:
        """List the leases in force."""
        held = [
            facade.LeaseRow(
                lease_id=lease.lease_id.hex(),
                side="held",
                issuer=show_node(lease.issuer),
                kind=self._node.kind,
                mib=lease.quota_bytes // MIB,
                used_bytes=lease.used_bytes,
                start=lease.starts_at,
                end=lease.ends_at,
            )
            for lease in self._node.leases.live()
        ]
        given = [
            facade.LeaseRow(
                lease_id=contract.lease_id.hex(),
                side="given",
                issuer=show_node(contract.issuer),
                kind=contract.terms.kind,
                mib=contract.terms.quantity,
                used_bytes=self._node.vault.used_bytes(contract.lease_id),
                start=contract.start,
                end=contract.end,
            )
            for contract in self._node.mint.leases()
        ]
        return facade.Leases(leases=(*held, *given))

    # -- storage

    async def plan(self) -> facade.Plan:
        """Work out what the folders need."""
        return await plan_of(self._node)

    async def health(self) -> facade.Health:
        """Tell what peers have proven, by the last audits."""
        return await self._node.proofs.health()

    async def audit_now(self) -> facade.Health:
        """Challenge every share now, then tell."""
        await self._node.proofs.audit_all()
        return await self.health()

    async def snapshots(self) -> facade.Snapshots:
        """List what can be restored."""
        return await self._node.fates.snapshots()

    def backup(self, folders: tuple[str, ...]) -> AsyncIterator[facade.BackupEvent]:
        """Back up these folders (those of the config when empty) until every share is placed."""
        return BackupJob(self._node).run(folders)

    # -- the ledger

    async def ledger(self) -> facade.Ledger:
        """Tell what happened."""
        return await self._accounts.ledger()

    async def balance(self) -> facade.Balance:
        """Tell what stands where."""
        return await self._accounts.balance()

    async def report(self, month: str) -> facade.Report:
        """Tell of one month."""
        return await self._months.report(month)


def _drill_problems(drill: facade.DrillRow | None) -> tuple[str, ...]:
    if drill is None or not drill.problem_count:
        return ()
    return (f"the last drill did not bring {drill.problem_count} files back as they were: {drill.problems[0]}",)
