"""One node's services: built on one store, one network and one clock, run in one nursery.

This is where everything meets. It routes and decides nothing: what a service needs of another is passed in here as
a callable or a port, and what one tells is wired here to whoever listens.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import trio

from nanobarter.bots.keeper import Keeper, Policy
from nanobarter.bots.scheduler import Scheduler
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import identity_of
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Migration, Store
from nanobarter.core.units import MIB, SECOND, Instant, LeaseKind, Quantity, Span
from nanobarter.court.board import CleanBoard
from nanobarter.court.service import Court
from nanobarter.court.tables import MIGRATIONS as COURT_TABLES
from nanobarter.court.witness import Witness
from nanobarter.daemon.accounts import pet_of
from nanobarter.daemon.chronicle import MIGRATIONS as CHRONICLE_TABLES
from nanobarter.daemon.chronicle import Chronicle
from nanobarter.daemon.config import Config
from nanobarter.daemon.holdings import Folders, held_of, reserve_quantity
from nanobarter.daemon.home import Home
from nanobarter.daemon.jobs import BackupJob, Jobs
from nanobarter.daemon.keeping import keep_by_policy
from nanobarter.daemon.memory import Memory, Patient
from nanobarter.daemon.proofs import Proofs
from nanobarter.gossip.service import Gossip
from nanobarter.gossip.tables import MIGRATIONS as GOSSIP_TABLES
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.net.tables import MIGRATIONS as NET_TABLES
from nanobarter.storage.audit import Auditor
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.excludes import Excludes
from nanobarter.storage.geometry import Geometry, of_durability
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.placement import Placer
from nanobarter.storage.publish import Publisher
from nanobarter.storage.recovery import reader_for
from nanobarter.storage.repair import Repairer
from nanobarter.storage.tables import MIGRATIONS as STORAGE_TABLES
from nanobarter.storage.vault import Vault
from nanobarter.swap.events import Settled, SwapEvent
from nanobarter.swap.service import Swap
from nanobarter.swap.tables import MIGRATIONS as SWAP_TABLES
from nanobarter.swap.tables import settled_quantity
from nanobarter.swap.terms import SwapTimes
from nanobarter.translator.by_hand import ByHand
from nanobarter.translator.lastlook import PING, PING_BYTES_MAX, LastLook, answer_ping
from nanobarter.translator.ledger import Ledger
from nanobarter.translator.market import Market
from nanobarter.translator.market_ports import PARTNERS_MAX, PATIENCE, RETRY, Pace
from nanobarter.translator.plan import Held
from nanobarter.translator.tables import MIGRATIONS as LEDGER_TABLES
from nanobarter.wallet.service import Wallet
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES

ALL_TABLES: Final[tuple[Migration, ...]] = (
    *NET_TABLES,
    *GOSSIP_TABLES,
    *MINT_TABLES,
    *WALLET_TABLES,
    *SWAP_TABLES,
    *STORAGE_TABLES,
    *LEDGER_TABLES,
    *CHRONICLE_TABLES,
    *COURT_TABLES,
)
SERVICE_TERMS: Final = b"nanobarter/1: bytes are charged as stored; reads by the holder are free; grace after the end"
KEEPER_PERIOD: Final = Span(30 * SECOND)
SETTLE: Final = Span(3 * SECOND)  # a catch-up with the first peers takes less


def pick_kind(config: Config) -> LeaseKind:
    """Return the kind of lease that the folders are kept under: the first that is offered, so that par holds."""
    return config.offer.lease_kinds[0]


def pledge_of(config: Config) -> dict[LeaseKind, Quantity]:
    """Return the offered space of each kind, in MiB."""
    return {kind: Quantity(size // MIB) for kind, size in config.offer.pledges.items()}


def times_of(config: Config) -> SwapTimes:
    """Return the clock of an agreement as configured."""
    swap = config.swap
    return SwapTimes(swap.approve_span, swap.lock_span, swap.vote_span, swap.delta_span, ask=swap.ask_span)


def excludes_of(config: Config, home: Home) -> Excludes:
    """Return what a backup leaves out: the person's patterns, and the node's own home."""
    return Excludes(config.backup.exclude, absolute=(home.path,))


class Node:
    """The services of one node, built and wired; ``run`` brings them to life."""

    def __init__(self, home: Home, config: Config, *, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        seed = home.read_seed()
        # The config says within which span every share is proven, and when a silent peer's shares stop counting.
        limits = replace(limits, audit_cover=config.audit.period_span, audit_offline=config.audit.grace_span)
        self.home, self.config, self.clock, self.entropy, self.limits = home, config, clock, entropy, limits
        self.started_at = trio.current_time()
        self.key = identity_of(seed)
        self.me: NodeId = self.key.node_id
        self.kind = pick_kind(config)
        self.excludes = excludes_of(config, home)
        self.store = Store.open(home.state_path, ALL_TABLES, limits)
        self.network = Network(
            key=self.key,
            listen=Address(*config.network.listen_address),
            bootstrap=[Address(*where) for where in config.network.bootstrap_addresses],
            store=self.store,
            clock=clock,
            entropy=entropy,
            limits=limits,
            same_host_ok=config.network.same_host_ok,
        )
        self.network.circle.keep_to(config.network.friend_nodes, only=config.network.peers == "only")
        self.network.advertise([Address(*where) for where in config.network.advertised_addresses])
        self.jobs = Jobs()
        self._build_barter(seed)
        self._build_storage(seed)
        self._build_bots()

    def _build_barter(self, seed: bytes) -> None:
        store, key, clock, entropy, limits = self.store, self.key, self.clock, self.entropy, self.limits
        admits = self.network.circle.admits
        self.gossip = Gossip(
            network=self.network, store=store, clock=clock, entropy=entropy, limits=limits, admits=admits
        )
        self.court = Court(store=store, board=self.gossip, clock=clock, limits=limits)
        self.witness = Witness(self.network, self.court.accuse, limits)
        self.memory = Memory(
            home=self.home,
            store=store,
            key=key,
            network=self.network,
            gossip=self.gossip,
            clock=clock,
            limits=limits,
            delta=self.config.swap.delta_span,
        )
        self.mint = Mint(
            store=store,
            key=key,
            clock=clock,
            entropy=entropy,
            limits=limits,
            pledged=pledge_of(self.config),
            service_terms=SERVICE_TERMS,
            heard=lambda: bool(self.network.connected()),
            remembers=self.memory.settled,
        )
        self.herald = Herald(
            store=store,
            key=key,
            caller=self.network,
            registrar=self.network,
            connected=self.network.connected,
            clock=clock,
            limits=limits,
        )
        self.herald.observe_caught(self.court.accuse)
        self.wallet = Wallet(
            store=store,
            seed=seed,
            key=key,
            caller=self.witness,
            clock=clock,
            entropy=entropy,
            limits=limits,
            free_own=self._free_own,
        )
        look = LastLook(self.network, self._shuns, quiet=self.memory.quarantined)
        self.swap = Swap(
            store=store,
            key=key,
            caller=self.witness,
            registrar=self.witness,
            mint=self.mint,
            wallet=self.wallet,
            clock=clock,
            entropy=entropy,
            limits=limits,
            times=times_of(self.config),
            policy=look,
        )
        self.market = Market(
            board=CleanBoard(self.gossip, self.court, self.me),
            proposer=Patient(self.swap, self.memory),
            drawer=ByHand(store, self.me, settled_quantity),
            key=key,
            clock=clock,
            entropy=entropy,
            limits=limits,
            pace=Pace(
                self.config.market.bid_lifetime,
                PATIENCE,
                RETRY,
                PARTNERS_MAX,
                asks=self.config.market.asks_above,
                ask=self.config.swap.ask_span,
            ),
        )
        look.attach(self.market)
        self.memory.attach(self.mint, self.wallet, self.herald)
        self.network.add("mint.request", self.memory.gated(self.mint.handle), body_max=limits.request_bytes_max)
        self.network.add("mint.announcements", self.mint.announcements, body_max=PING_BYTES_MAX)
        self.network.add(PING, answer_ping, body_max=PING_BYTES_MAX)

    def _build_storage(self, seed: bytes) -> None:
        store, clock, limits = self.store, self.clock, self.limits
        same_host_ok = self.config.network.same_host_ok
        self.vault_keys = VaultKeys.from_seed(seed)
        self.vault = Vault(
            home=self.home.path, store=store, key=self.key, lease=self.mint.lease, clock=clock, limits=limits
        )
        self.vault.register(self.network)
        holder = self.vault_keys.signing
        self.leases = LeaseBook(store=store, source=self.wallet, holder=holder, clock=clock, limits=limits)
        self.reader = reader_for(
            keys=self.vault_keys,
            network=self.network,
            store=store,
            clock=clock,
            entropy=self.entropy,
            limits=limits,
        )
        self.placer = Placer(
            store=store,
            keys=self.vault_keys,
            leases=self.leases,
            reader=self.reader,
            limits=limits,
            same_host_ok=same_host_ok,
        )
        self.publisher = Publisher(
            store=store,
            keys=self.vault_keys,
            leases=self.leases,
            placer=self.placer,
            reader=self.reader,
            entropy=self.entropy,
            limits=limits,
        )
        self.auditor = Auditor(
            store=store,
            leases=self.leases,
            client=self.reader.client,
            clock=clock,
            entropy=self.entropy,
            limits=limits,
            period=Span(min(limits.audit_period, limits.audit_cover // 4)),
            caught=self._repair_soon,
        )
        self.repairer = Repairer(
            store=store,
            leases=self.leases,
            placer=self.placer,
            clock=clock,
            limits=limits,
            moved=self.publish_catalog,
        )
        self.proofs = Proofs(store, self.auditor)
        self.catalog = Catalog(store, limits)

    def _build_bots(self) -> None:
        self.ledger = Ledger(
            store=self.store,
            node=self.me,
            clock=self.clock,
            pet=pet_of(self.config),
            limits=self.limits,
            worthless=self._shuns,
        )
        self.chronicle = Chronicle(
            store=self.store, clock=self.clock, ledger=self.ledger, wallet=self.wallet, mint=self.mint
        )
        self.folders = Folders([Path(p) for p in self.config.backup.folders], self.excludes, self.clock)
        policy = Policy(
            self.kind,
            reserve_quantity(self.config.market.reserve_bytes(self.config.offer.space_bytes)),
            self.config.market.wanted_issuers,
            KEEPER_PERIOD,
            SETTLE,
        )
        self.keeper = Keeper(
            orders=self.market,
            held=self.held,
            folder_bytes=self._folder_bytes,
            geometry=self.geometry,
            policy=policy,
        )
        self.scheduler = Scheduler(
            every=self.config.backup.every, last=self._last_snapshot, backup=self._backup, clock=self.clock
        )
        self.wallet.observe(lambda _event: self.keeper.wake())
        self.swap.observe(self._traded)
        self.swap.observe(self.chronicle.take)
        self.gossip.subscribe("bid", lambda _item: self.keeper.wake())
        self.court.observe(lambda _conviction: self.keeper.wake())

    # -- what one service needs of another

    def _free_own(self, kind: LeaseKind) -> Quantity:
        return next((c.free for c in self.mint.capacity() if c.kind == kind), Quantity(0))

    def _traded(self, event: SwapEvent) -> None:
        if isinstance(event, Settled):
            self.market.executed(event.bid, event.gave[1])
        self.keeper.wake()

    def held(self) -> dict[NodeId, Held]:
        """Return what each issuer owes us."""
        found = held_of(self.wallet, self.leases, self.kind, self.me, self.clock.now())
        nothing = Quantity(0)
        return {node: replace(held, notes=nothing) if self._shuns(node) else held for node, held in found.items()}

    def _shuns(self, node: NodeId) -> bool:
        """Tell whether a node is convicted or exposed, so that its notes count for nothing; its leases run on."""
        return node != self.me and (self.court.convicted(node) or self.memory.exposed(node))

    def _repair_soon(self) -> None:
        self.repairer.wake()

    async def _folder_bytes(self) -> int:
        return (await self.folders.measure()).size_bytes

    def geometry(self, peers: int) -> Geometry:
        """Return the code for so many distinct issuers, at the durability of the config."""
        return of_durability(peers, high=self.config.backup.durability == "high")

    async def publish_catalog(self) -> None:
        """Tell every holder where all packs are now, so that the phrase alone finds them."""
        await self.publisher.publish(await self.catalog.export())

    async def _last_snapshot(self) -> Instant | None:
        return max((line.started for line in await self.catalog.snapshots()), default=None)

    async def _backup(self) -> None:
        async for _ in BackupJob(self).run(()):
            pass
        await keep_by_policy(self)

    # -- life

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled. Tells where it listens once all services are up."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.store.run)
            await self.vault.start()
            await self.placer.start()
            await self.memory.look()
            await self.mint.start()
            bound = await nursery.start(self.network.run)
            await nursery.start(self.mint.run)
            await nursery.start(self.herald.run)
            await nursery.start(self.gossip.run)
            await nursery.start(self.court.run)
            await nursery.start(self.memory.run)
            await nursery.start(self.wallet.run)
            await nursery.start(self.vault.run)
            await nursery.start(self.chronicle.run)
            await nursery.start(self.jobs.run)
            await nursery.start(self.swap.run)
            await nursery.start(self.market.run)
            await nursery.start(self.keeper.run)
            await nursery.start(self.auditor.run)
            await nursery.start(self.repairer.run)
            await nursery.start(self.scheduler.run)
            task_status.started(bound.show() if bound else "nowhere")
