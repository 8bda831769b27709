"""Whole nodes on one memory network: real mint, wallet, swap, and one SQLite file each, which may lose its plug."""

import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import trio
import trio.testing

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Refused, Unreachable
from nanobarter.core.ids import AgreementId, BidId, NodeId, sha256
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import DAY, HOUR, MINUTE, SECOND, Instant, LeaseKind, Quantity, Span, after
from nanobarter.matching.network import Arc, Match
from nanobarter.matching.wire import BidBody, Want, bid_id_of
from nanobarter.mint.messages import LockTerms, lock_id_of
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.net.memory import MemoryNetwork
from nanobarter.swap.events import Outcome, SwapEvent
from nanobarter.swap.policy import ApproveAll, Policy
from nanobarter.swap.service import Swap
from nanobarter.swap.tables import MIGRATIONS as SWAP_TABLES
from nanobarter.swap.terms import SwapTimes
from nanobarter.wallet.service import Wallet
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES

KIND: Final = LeaseKind("30d")
PLEDGE: Final = Quantity(500)
LIMITS: Final = Limits(wallet_backoff=Span(100))
START: Final = 1_700_000_000_000
_KEYS: Final = Path(__file__).parents[1] / "vectors" / "mint-test-keys.json"


class TrioClock:
    """Wall time that follows the mocked clock, so that a test moves both by one jump."""

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock

    def now(self) -> Instant:
        return Instant(START + int(self._clock.current_time() * SECOND))


async def quiet() -> None:
    """Wait until every task waits for time or for another, and no worker thread is at work."""
    threads = trio.to_thread.current_default_thread_limiter()
    calm = 0
    while calm < 2:
        await trio.testing.wait_all_tasks_blocked(0.0005)
        calm = calm + 1 if threads.borrowed_tokens == 0 else 0


class Aware(ApproveAll):
    """Takes everything, and knows which bids were changed or withdrawn (None) since they were drafted."""

    def __init__(self, changed: dict[BidId, Item | None]) -> None:
        self._changed = changed

    def newest(self, item: Item) -> Item | None:
        """Return the version of a bid that stands now."""
        return self._changed.get(bid_id_of(item), item)


class Node:
    """One node and its lives. ``plug`` is the number of the write at which it dies, and whether after it."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.key = SigningKey(number.to_bytes(32, "big"))
        self.lives = 0
        self.up = False
        self.plug: tuple[int, bool] | None = None
        self.writes = 0
        self.events = list[SwapEvent]()
        self.faults = list[str]()
        self.newest = dict[BidId, Item | None]()
        self.policy: Policy = Aware(self.newest)
        self.scope: trio.CancelScope
        self.store: Store
        self.mint: Mint
        self.wallet: Wallet
        self.swap: Swap

    @property
    def node(self) -> NodeId:
        return self.key.node_id

    @property
    def quality(self) -> Quality:
        return Quality(self.node, KIND)

    async def live(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until the plug is pulled."""
        self.lives += 1
        world, name = self.world, f"{self.number}/{self.lives}"
        net = world.hub.node(self.key)
        store = self.store = Store.open(world.path / f"node{self.number}", [*MINT_TABLES, *WALLET_TABLES, *SWAP_TABLES])
        self._wire(store)
        keys = itertools.cycle(world.keys)
        with trio.CancelScope() as self.scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(store.run)
                self.mint = Mint(
                    store=store,
                    key=self.key,
                    clock=world.clock,
                    entropy=SeededEntropy(1, f"mint{name}"),
                    limits=LIMITS,
                    pledged={KIND: PLEDGE},
                    service_terms=b"terms",
                    key_source=lambda: next(keys),
                )
                await self.mint.start()
                net.add("mint.request", self.mint.handle, body_max=LIMITS.request_bytes_max)
                net.add("mint.announcements", self.mint.announcements, body_max=64)
                self.wallet = Wallet(
                    store=store,
                    seed=sha256(b"seed%d" % self.number) * 2,
                    key=self.key,
                    caller=net,
                    clock=world.clock,
                    entropy=SeededEntropy(1, f"wallet{name}"),
                    limits=LIMITS,
                    free_own=lambda kind: next(c.free for c in self.mint.capacity() if c.kind == kind),
                )
                self.swap = Swap(
                    store=store,
                    key=self.key,
                    caller=net,
                    registrar=net,
                    mint=self.mint,
                    wallet=self.wallet,
                    clock=world.clock,
                    entropy=SeededEntropy(1, f"swap{name}"),
                    limits=LIMITS,
                    times=world.times,
                    policy=self.policy,
                )
                self.swap.observe(self.events.append)
                self.swap.observe_faults(lambda _node, what: self.faults.append(what))
                await nursery.start(self.mint.run)
                nursery.start_soon(self.wallet.run)
                await nursery.start(self.swap.run)
                self.up = True
                task_status.started()
        store.close()

    def _wire(self, store: Store) -> None:
        really_write = store.write

        async def write(change: Callable[..., object]) -> object:
            self.writes += 1
            if self.plug == (self.writes, False):
                await self.die()
            result = await really_write(change)
            if self.plug == (self.writes, True):
                await self.die()
            return result

        store.write = write  # pyright: ignore[reportAttributeAccessIssue] - the plug is pulled here

    async def die(self) -> None:
        """Stop at once, whoever's task this is; the world starts us again."""
        self.plug, self.up = None, False
        self.world.hub.disconnect(self.node)
        self.scope.cancel()
        self.world.nursery.start_soon(self.world.revive, self)
        await trio.lowlevel.checkpoint()
        raise Unreachable("the node crashed while it served a call")

    def tale(self) -> str:
        """Say where this node stands, for the message of a test that failed."""
        states = [
            f"{type(s).__name__} {getattr(s, 'incoming', '')}/{getattr(s, 'outgoing', '')} {getattr(s, 'notice', '')}"
            for s in self.swap.drafts().values()
        ]
        locks = [(x.terms.index, x.outcome, x.how, x.terms.deadline - START) for x in self.mint.locks()]
        return f"node {self.number}, life {self.lives}, {self.world.clock.now() - START} ms: {states} {locks}"

    def held(self, of: "Node") -> int:
        return sum(h.quantity for h in self.wallet.holdings() if h.quality == of.quality)


class World:
    """The hub, the clock, the nodes."""

    def __init__(self, path: Path, nursery: trio.Nursery, clock: trio.testing.MockClock, times: SwapTimes) -> None:
        self.path, self.nursery, self.jump, self.times = path, nursery, clock.jump, times
        self.clock = TrioClock(clock)
        self.hub = MemoryNetwork(LIMITS)
        self.keys = [bytes.fromhex(text) for text in json.loads(_KEYS.read_text())]
        self.nodes = list[Node]()
        self.outcome: Outcome | None = None
        self.proposed = False

    async def revive(self, node: Node) -> None:
        await trio.sleep(1)
        await self.nursery.start(node.live)

    async def give(self, giver: Node, taker: Node, quantity: int) -> None:
        """Let a node issue notes of its own to another, through a lock that is opened and taken."""
        agreement, draft = AgreementId(sha256(b"give")), sha256(b"draft")
        secrets = (sha256(b"one"), sha256(b"two"))
        deadline = after(self.clock.now(), HOUR)
        terms = LockTerms(
            agreement=agreement,
            lock_id=lock_id_of(agreement, 0),
            index=0,
            issuer=giver.node,
            kind=KIND,
            terms_hash=giver.mint.terms_hash(KIND),
            quantity=Quantity(quantity),
            hashes=tuple(sha256(s) for s in secrets),
            to_key=taker.wallet.lock_keys(draft, 1).to.public,
            refund_key=giver.wallet.lock_keys(draft, 0).refund.public,
            deadline=deadline,
            delta=Span(15 * MINUTE),
            take_until=after(deadline, Span(35 * DAY)),
            previous_issuer=taker.key.public,
        )
        assert not isinstance(await giver.wallet.lock(b"give", terms, after(self.clock.now(), MINUTE)), Refused)
        assert not isinstance(await giver.wallet.open(terms, secrets), Refused)
        assert await taker.wallet.take(terms) == quantity

    def ring(
        self,
        parties: list[Node],
        issuers: list[Node],
        quantity: int = 100,
        ask: Collection[Node] = (),
        key: bytes = bytes(16),
    ) -> tuple[Match, tuple[Item, ...]]:
        """Return a match in which party i gives ``quantity + i`` of issuer i, and the bids behind it.

        The persons behind the nodes in ``ask`` want to be asked first.
        """
        items = list[Item]()
        for i, party in enumerate(parties):
            want = Want(KIND, issuers[i - 1].node, (), ())
            body = BidBody(
                "limit", issuers[i].quality, want, (2, 1), Quantity(400), None, Quantity(0) if party in ask else None
            )
            items.append(
                make_item(party.key, "bid", key, sequence=1, expires=after(self.clock.now(), DAY), body=encode(body))
            )
        arcs = tuple(
            Arc(bid_id_of(items[i]), p.node, parties[(i + 1) % len(parties)].node, q.quality, Quantity(quantity + i))
            for i, (p, q) in enumerate(zip(parties, issuers, strict=True))
        )
        return Match(arcs, Fraction(1)), tuple(items)

    async def propose(self, node: Node, match: Match, bids: tuple[Item, ...]) -> None:
        with contextlib.suppress(Unreachable):  # how a crash shows in a task that is not the node's own
            self.outcome = await node.swap.propose(match, bids)
        self.proposed = True

    async def settle(self, parties: list[Node], *, patient: bool, away: Node | None = None) -> None:
        """Wait until no draft is under way: first at the usual pace, then by jumping over the deadlines.

        A mint takes a jump of a minute for an outage and then waits a day, so jumps stay below that.
        """
        jumps = [0.1] * 80 + ([5.0] * 40 + [15.0] * 80 if patient else [])
        for span in jumps:
            await quiet()
            present = [p for p in parties if p is not away]
            if all(p.up for p in present) and self.proposed and not any(p.swap.drafts() for p in present):
                for party in parties:
                    party.plug = None
                return
            self.jump(span)
        if away is None:
            raise AssertionError([p.tale() for p in parties])

    async def check(self) -> None:
        """Hold the law: what wallets have of an issuer is what it has outstanding; no lock is left."""
        for issuer in self.nodes:
            (capacity,) = issuer.mint.capacity()
            assert capacity.locked == 0
            assert sum(node.held(issuer) for node in self.nodes) == capacity.outstanding
            assert list(issuer.mint.audit()) == []


@asynccontextmanager
async def world_of(
    path: Path,
    nodes: int,
    clock: trio.testing.MockClock,
    times: SwapTimes | None = None,
    policies: dict[int, Policy] | None = None,
) -> AsyncGenerator[World]:
    """Run a world of whole nodes, in which time passes by jumps only."""
    async with trio.open_nursery() as nursery:
        world = World(path, nursery, clock, times or SwapTimes(delta=MINUTE))
        for number in range(1, nodes + 1):
            world.nodes.append(Node(world, number))
            world.nodes[-1].policy = (policies or {}).get(number, world.nodes[-1].policy)
        for node in world.nodes:
            await nursery.start(node.live)
        yield world
        nursery.cancel_scope.cancel()
