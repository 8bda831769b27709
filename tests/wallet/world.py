"""Whole mints and wallets wired in memory, each on its own SQLite file, for tests that crash them and lose messages."""

import itertools
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import trio

from nanobarter.core.errors import Refused
from nanobarter.core.ids import AgreementId, NodeId, sha256
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Handler
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, HOUR, MINUTE, Instant, LeaseKind, Quantity, Span, after
from nanobarter.mint.messages import LockTerms, lock_id_of
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.net.memory import MemoryNetwork, MemoryNode
from nanobarter.wallet.service import Wallet
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES

T = TypeVar("T")
KIND = LeaseKind("30d")
HOLDER = SigningKey(b"h" * 32)
PLEDGE = Quantity(500)
LIMITS = Limits(mint_lock_min=1, wallet_backoff=Span(0), request_notes_max=12, wallet_tries_max=3)
_KEYS = Path(__file__).parents[1] / "vectors" / "mint-test-keys.json"


class Crash(Exception):
    """The node stopped here."""


class Node:
    """One node: a mint and a wallet on stores of their own, so that one may crash alone."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.key = SigningKey(number.to_bytes(32, "big"))
        self.seed = sha256(b"seed%d" % number) * 2
        self.net: MemoryNode = world.hub.node(self.key)
        self.crash_at: tuple[int, bool] | None = None
        self.writes = 0
        self.starts = 0
        self.mint: Mint
        self.answer: Handler
        self.wallet: Wallet
        self.wallet_store: Store
        self._scope: trio.CancelScope | None = None

    @property
    def quality(self) -> Quality:
        return Quality(self.key.node_id, KIND)

    async def start(self) -> None:
        store = Store.open(self.world.path / f"mint{self.number}", MINT_TABLES)
        self.world.stores.append(store)
        await self.world.nursery.start(store.run)
        keys = itertools.cycle(bytes.fromhex(text) for text in json.loads(_KEYS.read_text()))
        self.mint = Mint(
            store=store,
            key=self.key,
            clock=self.world.clock,
            entropy=SeededEntropy(self.number, "mint"),
            limits=LIMITS,
            pledged={KIND: PLEDGE},
            service_terms=b"terms",
            key_source=lambda: next(keys),
        )
        await self.mint.start()
        self.answer = self.mint.handle
        self.net.add("mint.request", self._answer, body_max=LIMITS.request_bytes_max)
        self.net.add("mint.announcements", self.mint.announcements, body_max=64)
        await self.open_wallet()

    async def _answer(self, peer: NodeId, body: bytes) -> bytes:
        return await self.answer(peer, body)

    async def open_wallet(self) -> None:
        store = Store.open(self.world.path / f"wallet{self.number}", WALLET_TABLES)
        self.wallet_store = store
        self._scope = await self.world.nursery.start(_run_until_cancelled, store)
        self.starts += 1
        self._plant_crashes(store)
        self.wallet = Wallet(
            store=store,
            seed=self.seed,
            key=self.key,
            caller=self.net,
            clock=self.world.clock,
            entropy=SeededEntropy(self.number, f"wallet{self.starts}"),
            limits=LIMITS,
            free_own=lambda kind: next(c.free for c in self.mint.capacity() if c.kind == kind),
        )

    def _plant_crashes(self, store: Store) -> None:
        really_write = store.write

        async def write(change: Callable[..., object]) -> object:
            self.writes += 1
            if self.crash_at == (self.writes, False):
                raise Crash
            result = await really_write(change)
            if self.crash_at == (self.writes, True):
                raise Crash
            return result

        store.write = write  # pyright: ignore[reportAttributeAccessIssue] - the plug is pulled here

    async def restart_wallet(self, *, lose_all: bool = False) -> None:
        """Close the file as a crash would leave it, and open it again, or an empty one."""
        self.stop_wallet()
        for file in self.world.path.glob(f"wallet{self.number}*") if lose_all else ():
            file.unlink()
        self.writes = 0
        await self.open_wallet()

    def stop_wallet(self) -> None:
        """Close the wallet's file; ``open_wallet`` goes on with what is there then."""
        assert self._scope is not None
        self._scope.cancel()
        self.wallet_store.close()

    def held(self, of: "Node") -> int:
        return sum(h.quantity for h in self.wallet.holdings() if h.quality == of.quality)


async def _run_until_cancelled(
    store: Store, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await store.run()


class World:
    """The hub, one clock for all, and the nodes."""

    def __init__(self, path: Path, nursery: trio.Nursery) -> None:
        self.path, self.nursery = path, nursery
        self.clock = ManualClock(Instant(1_700_000_000_000))
        self.hub = MemoryNetwork(LIMITS)
        self.stores = list[Store]()
        self.nodes = list[Node]()

    def later(self, span: Span) -> None:
        self.clock.advance(span)

    def terms(self, name: str, giver: Node, taker: Node, issuer: Node, quantity: int) -> LockTerms:
        """Return the terms of arc 0 of a ring of two; the same name gives the same terms."""
        agreement, draft = AgreementId(sha256(name.encode())), sha256(b"draft" + name.encode())
        deadline = Instant(1_700_000_000_000 + HOUR)
        return LockTerms(
            agreement=agreement,
            lock_id=lock_id_of(agreement, 0),
            index=0,
            issuer=issuer.key.node_id,
            kind=KIND,
            terms_hash=issuer.mint.terms_hash(KIND),
            quantity=Quantity(quantity),
            hashes=tuple(sha256(s) for s in self.preimages(name)),
            to_key=taker.wallet.lock_keys(draft, 1).to.public,
            refund_key=giver.wallet.lock_keys(draft, 0).refund.public,
            deadline=deadline,
            delta=Span(15 * MINUTE),
            take_until=after(deadline, Span(35 * DAY)),
            previous_issuer=taker.key.public,
        )

    def preimages(self, name: str) -> tuple[bytes, bytes]:
        return sha256(b"one" + name.encode()), sha256(b"two" + name.encode())

    def soon(self) -> Instant:
        return after(self.clock.now(), Span(4 * MINUTE))

    async def give(self, name: str, giver: Node, taker: Node, quantity: int) -> None:
        """Let a node issue notes of its own to another, through a lock that is opened and taken."""
        terms = self.terms(name, giver, taker, giver, quantity)
        good(await giver.wallet.lock(b"give", terms, self.soon()))
        good(await giver.wallet.open(terms, self.preimages(name)))
        assert await taker.wallet.take(terms) == quantity

    def check(self) -> None:
        """Hold the law: what wallets have of an issuer is what that issuer has outstanding, and its rows add up."""
        for issuer in self.nodes:
            (capacity,) = issuer.mint.capacity()
            assert sum(node.held(issuer) for node in self.nodes) == capacity.outstanding
            assert list(issuer.mint.audit()) == []


@asynccontextmanager
async def world_of(path: Path, nodes: int) -> AsyncGenerator[World]:
    """Run a world of whole nodes."""
    async with trio.open_nursery() as nursery:
        world = World(path, nursery)
        for number in range(1, nodes + 1):
            world.nodes.append(Node(world, number))
        for node in world.nodes:
            await node.start()
        yield world
        nursery.cancel_scope.cancel()
    for store in (*world.stores, *(node.wallet_store for node in world.nodes)):
        store.close()


def good(value: T | Refused) -> T:
    """Return an answer that is not a refusal."""
    assert not isinstance(value, Refused), value
    return value
