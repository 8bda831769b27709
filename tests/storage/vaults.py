"""A small town of vaults in memory, with one client: what the tests of the network half of storage share."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from nanobarter.core.errors import Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, LeaseId, NodeId, PublicKey, sha256
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Body, Priority
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import Instant, LeaseKind, Quantity, Span, after, term
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, Contract
from nanobarter.mint.messages import LeaseTerms
from nanobarter.net.address import Address
from nanobarter.net.memory import MemoryNetwork, MemoryNode
from nanobarter.storage.audit import Auditor
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import LeaseBook
from nanobarter.storage.leaving import Closing
from nanobarter.storage.placement import Placer
from nanobarter.storage.ports import Pack, pack_id_of
from nanobarter.storage.proofs import FalseBlock
from nanobarter.storage.publish import Publisher
from nanobarter.storage.reading import PackReader
from nanobarter.storage.repair import Repairer
from nanobarter.storage.tables import MIGRATIONS
from nanobarter.storage.vault import Vault
from nanobarter.storage.vault_client import VaultClient

KIND = LeaseKind("30d")
SMALL = 64 * 1024
TINY = replace(
    LIMITS,
    call_timeout=Span(60_000),  # a busy machine is no hung peer
    share_patience=Span(60_000),
    sign_timeout=Span(60_000),
    vault_disk_reserve_bytes=0,
    lease_step_quantity=4,
    lease_head_reserve_bytes=128 * 1024,
    share_range_bytes=20_000,
    recovery_pause=Span(1),
    recovery_rounds_max=3,
)


def signing(name: str) -> SigningKey:
    return SigningKey(bytes(sha256(name.encode())))


def pack_of(label: str, k: int, n: int, share_size: int = SMALL) -> Pack:
    body = hashlib.shake_256(label.encode()).digest(k * share_size)
    return Pack(pack_id_of(body), "data", body, share_size, k, n)


@dataclass
class FakeMints:
    """Makes leases without notes; the mint's word on them is what the vaults ask."""

    clock: ManualClock
    keys: dict[NodeId, SigningKey] = field(default_factory=dict[NodeId, SigningKey])
    contracts: dict[LeaseId, Contract] = field(default_factory=dict[LeaseId, Contract])

    def lease(self, lease_id: LeaseId) -> Contract | None:
        return self.contracts.get(lease_id)

    def make(self, issuer: NodeId, quantity: int, holder: PublicKey) -> Signed:
        lease_id = LeaseId(sha256(b"lease" + issuer + len(self.contracts).to_bytes(4, "big")))
        now = self.clock.now()
        terms = LeaseTerms(KIND, Quantity(quantity), holder)
        return self.sign(Contract(lease_id, issuer, terms, Hash(bytes(32)), now, after(now, term(KIND)), 1))

    def sign(self, contract: Contract) -> Signed:
        self.contracts[contract.lease_id] = contract
        return seal_signed(self.keys[contract.issuer], DOMAIN_CONTRACT, contract)


@dataclass
class FakeHolding:
    quality: Quality
    quantity: Quantity
    reserved: Quantity = Quantity(0)


@dataclass
class FakeWallet:
    """Notes at each issuer, in MiB."""

    mints: FakeMints
    notes: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    received: list[Signed] = field(default_factory=list[Signed])

    def holdings(self) -> Sequence[FakeHolding]:
        return [FakeHolding(Quality(node, KIND), Quantity(count)) for node, count in self.notes.items()]

    async def redeem(self, quality: Quality, quantity: Quantity, holder: PublicKey) -> Signed | Refused:
        await trio.lowlevel.checkpoint()
        if self.notes.get(quality.issuer, 0) < quantity:
            return Refused(Reason.NO_CAPACITY)
        self.notes[quality.issuer] -= quantity
        return self.mints.make(quality.issuer, quantity, holder)

    def leases(self) -> Sequence[Signed]:
        return list(self.received)

    async def extend(self, contract: Contract, holder_key: SigningKey, keep: Quantity) -> Signed | Refused:
        await trio.lowlevel.checkpoint()
        if self.notes.get(contract.issuer, 0) < keep:
            return Refused(Reason.NO_CAPACITY)
        self.notes[contract.issuer] -= keep
        terms = replace_terms(contract.terms, keep)
        end = after(contract.end, term(contract.terms.kind))
        version = contract.version + 1
        return self.mints.sign(
            Contract(contract.lease_id, contract.issuer, terms, contract.terms_hash, contract.start, end, version)
        )


def replace_terms(terms: LeaseTerms, quantity: Quantity) -> LeaseTerms:
    return LeaseTerms(terms.kind, quantity, terms.holder)


@dataclass(frozen=True)
class Where:
    host: str
    port: int = 7000


@dataclass
class Peer:
    key: SigningKey
    node: MemoryNode
    vault: Vault
    store: Store
    home: Path

    @property
    def node_id(self) -> NodeId:
        return self.key.node_id

    def files(self) -> list[Path]:
        return sorted(path for path in (self.home / "vault").rglob("*") if path.is_file())


@dataclass(frozen=True)
class Known:
    node: NodeId


@dataclass
class FakeDirectory:
    """Every peer of the hub, each in a /24 of its own; or, on an empty machine, those known and then learned."""

    node: MemoryNode
    hosts: dict[NodeId, str]
    known_nodes: set[NodeId] | None = None
    seen: dict[NodeId, str] = field(default_factory=dict[NodeId, str])

    @property
    def node_id(self) -> NodeId:
        return self.node.node_id

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        if self.known_nodes is not None and peer not in self.known_nodes:
            raise Unreachable("no address")
        return await self.node.call(peer, method, body, timeout=timeout, priority=priority)

    def connected(self) -> list[NodeId]:
        return [n for n in self.node.connected() if self.known_nodes is None or n in self.known_nodes]

    def known(self) -> list[Known]:
        return [Known(node) for node in (self.hosts if self.known_nodes is None else self.known_nodes)]

    def learn(self, node: NodeId | None, address: Address) -> None:
        if self.known_nodes is not None and node is not None and self.hosts[node] == address.host:
            self.known_nodes.add(node)

    def address_of(self, node: NodeId) -> Where | None:
        return Where(self.hosts[node]) if node in self.hosts else None

    def host_of(self, node: NodeId) -> str | None:
        return self.seen.get(node, self.hosts.get(node))


class Town:
    """``count`` vaults and one client with notes at each."""

    def __init__(self, folder: Path, count: int, *, notes: int = 64, limits: Limits = TINY) -> None:
        self.folder = folder
        self.limits = limits
        self.clock = ManualClock()
        self.hub = MemoryNetwork(limits)
        self.mints = FakeMints(self.clock)
        self.wallet = FakeWallet(self.mints)
        self.hosts = dict[NodeId, str]()
        self.keys = VaultKeys.from_seed(b"seed" * 16)
        self.peers = list[Peer]()
        self.stores = list[Store]()
        self._notes = notes
        self.closed = set[NodeId]()
        self.accused = list[FalseBlock]()
        for _ in range(count):
            self.add_peer()
        self._open_client("client")

    def _open_client(self, name: str, life: str = "") -> None:
        self.store = Store.open(self.folder / f"{name}.sqlite", MIGRATIONS, self.limits)
        self.stores.append(self.store)
        self.node = self.hub.node(signing(name))
        self.entropy = SeededEntropy(3, name + life)
        self.directory = FakeDirectory(self.node, self.hosts)
        self.client = VaultClient(
            caller=self.node, holder=self.keys.signing, clock=self.clock, entropy=self.entropy, limits=self.limits
        )
        self.leases = LeaseBook(
            store=self.store, source=self.wallet, holder=self.keys.signing, clock=self.clock, limits=self.limits
        )
        self.reader = PackReader(
            store=self.store,
            keys=self.keys,
            client=self.client,
            directory=self.directory,
            clock=self.clock,
            limits=self.limits,
        )
        self.placer = Placer(
            store=self.store, keys=self.keys, leases=self.leases, reader=self.reader, limits=self.limits
        )

        self.publisher = Publisher(
            store=self.store,
            keys=self.keys,
            leases=self.leases,
            placer=self.placer,
            reader=self.reader,
            entropy=self.entropy,
            limits=self.limits,
        )
        self.auditor = Auditor(
            store=self.store,
            leases=self.leases,
            client=self.client,
            clock=self.clock,
            entropy=self.entropy,
            limits=self.limits,
            caught=self._repair_soon,
        )
        self.auditor.accuse_before(self.accused.append)
        self.repairer = Repairer(
            store=self.store, leases=self.leases, placer=self.placer, clock=self.clock, limits=self.limits
        )

    def restart_client(self, life: int) -> None:
        """Open the client's store again, as a new process does; its old one is closed by the caller."""
        self._open_client("client", f" {life}")

    def _repair_soon(self) -> None:
        self.repairer.wake()

    async def move_client(self, name: str, nursery: trio.Nursery) -> None:
        """Start again on another machine: only the keys are left, and it knows only the first peer."""
        self._open_client(name)
        self.directory.known_nodes = {self.peers[0].node_id}
        await nursery.start(self.store.run)

    async def new_peer(self, nursery: trio.Nursery) -> Peer:
        peer = self.add_peer()
        await nursery.start(peer.store.run)
        return peer

    def add_peer(self) -> Peer:
        index = len(self.peers)
        key = signing(f"peer {index}")
        node = self.hub.node(key)
        home = self.folder / f"peer{index}"
        home.mkdir()
        store = Store.open(home / "store.sqlite", MIGRATIONS, self.limits)
        self.stores.append(store)
        vault = Vault(home=home, store=store, key=key, lease=self.mints.lease, clock=self.clock, limits=self.limits)
        vault.register(Closing(node, lambda: key.node_id in self.closed))
        self.mints.keys[key.node_id] = key
        self.wallet.notes[key.node_id] = self._notes
        self.hosts[key.node_id] = f"8.8.{index}.1"
        self.peers.append(Peer(key, node, vault, store, home))
        return self.peers[-1]

    def hang(self, peer: Peer) -> None:
        """Let a peer take every request and answer none, as a stopped process does."""

        async def never(peer: NodeId, method: str, body: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError((peer, method, body))

        peer.node.methods.answer = never


@asynccontextmanager
async def town(
    folder: Path, count: int, *, notes: int = 64, limits: Limits = TINY
) -> AsyncGenerator[tuple[Town, trio.Nursery]]:
    made = Town(folder, count, notes=notes, limits=limits)
    async with trio.open_nursery() as nursery:
        for store in made.stores:
            await nursery.start(store.run)
        yield made, nursery
        nursery.cancel_scope.cancel()
    for store in made.stores:
        store.close()


def later(clock: ManualClock, span: Span) -> Instant:
    clock.advance(span)
    return clock.now()
