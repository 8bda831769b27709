"""One party as a process: real store, TLS transport, mint, wallet and swap; told what to do by lines on stdin.

Instants are of CLOCK_MONOTONIC, which is one for all processes of a machine.
"""

import json
import os
import sys
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import trio

from bench.rings.hashlock import HashLock
from nanobarter.core.canonical import encode
from nanobarter.core.ids import NodeId, PublicKey, sha256
from nanobarter.core.item import make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.ports import Body, Caller, Priority
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import DAY, LeaseKind, Quantity, Span, after
from nanobarter.matching.network import Arc, Match
from nanobarter.matching.wire import BidBody, Want, bid_id_for
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS as MINT_TABLES
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.net.tables import MIGRATIONS as NET_TABLES
from nanobarter.swap.events import Settled
from nanobarter.swap.service import Swap
from nanobarter.swap.tables import MIGRATIONS as SWAP_TABLES
from nanobarter.wallet.events import NotesReceived, WalletEvent
from nanobarter.wallet.secrets import lock_key
from nanobarter.wallet.service import Wallet
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES

PARTIES_MAX: Final = 8
KIND: Final = LeaseKind("30d")
LOT: Final = Quantity(3)  # two notes
PLEDGE: Final = Quantity(1 << 16)
TERMS: Final = b"bench"
_TRIES: Final = 5


def key_of(number: int) -> SigningKey:
    """Return a party's node key: all processes know all of them, so that nothing has to be exchanged beforehand."""
    return SigningKey(sha256(b"ring bench %d" % number))


def seed_of(number: int) -> bytes:
    """Return a party's wallet seed."""
    return sha256(b"ring bench seed %d" % number) * 2


def tell(**what: object) -> None:
    """Say one line to who drives us."""
    print(json.dumps(what), flush=True)


class Far:
    """A caller for whom every other node is ``delay`` seconds of round trip further away than it is."""

    def __init__(self, caller: Caller) -> None:
        self._caller, self.delay = caller, 0.0

    @property
    def node_id(self) -> NodeId:
        """Who we are."""
        return self._caller.node_id

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        """Call, with half of the delay before and half after."""
        half = self.delay / 2 if peer != self.node_id else 0
        await trio.sleep(half)
        answer = await self._caller.call(peer, method, body, timeout=timeout, priority=priority)
        await trio.sleep(half)
        return answer


class Party:
    """The services of one party, and the two kinds of ring."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number, self.key, self.clock = number, key_of(number), SystemClock()
        tables = [*NET_TABLES, *MINT_TABLES, *WALLET_TABLES, *SWAP_TABLES]
        self.store = Store.open(folder / f"party{number}.db", tables)
        store, key, clock, entropy = self.store, self.key, self.clock, SystemEntropy()
        self.network = Network(
            key=key,
            listen=Address("127.0.0.1", 0),
            bootstrap=[],
            store=store,
            clock=clock,
            entropy=entropy,
            same_host_ok=True,
        )
        self.far = Far(self.network)
        self.mint = Mint(
            store=store, key=key, clock=clock, entropy=entropy, pledged={KIND: PLEDGE}, service_terms=TERMS
        )
        self.wallet = Wallet(
            store=store,
            seed=seed_of(number),
            key=key,
            caller=self.far,
            clock=clock,
            entropy=entropy,
            free_own=lambda kind: next(c.free for c in self.mint.capacity() if c.kind == kind),
        )
        self.network.add("mint.request", self.mint.handle, body_max=LIMITS.request_bytes_max)
        self.network.add("mint.announcements", self.mint.announcements, body_max=64)
        self.swap = Swap(
            store=store,
            key=key,
            caller=self.far,
            registrar=self.network,
            mint=self.mint,
            wallet=self.wallet,
            clock=clock,
            entropy=entropy,
        )
        self.wallet.observe(self._got)

    def _got(self, event: WalletEvent) -> None:
        if isinstance(event, NotesReceived):
            tell(got=event.quantity, at=time.monotonic())

    async def run(self) -> None:
        """Serve, and do what stdin says, until it ends."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.store.run)
            await self.mint.start()
            bound: Address = await nursery.start(self.network.run)
            await nursery.start(self.mint.run)
            await nursery.start(self.wallet.run)
            await nursery.start(self.swap.run)
            self.hashlock = HashLock(
                number=self.number,
                nodes=[key_of(i).node_id for i in range(PARTIES_MAX)],
                keys=[key_of(i).public for i in range(PARTIES_MAX)],
                to_key=self._to_key,
                caller=self.far,
                registrar=self.network,
                wallet=self.wallet,
                clock=self.clock,
                kind=KIND,
                terms_hash=sha256(TERMS),
                quantity=LOT,
                nursery=nursery,
            )
            self.mint.observe(self.hashlock.heard)
            tell(ready=bound.port)
            async for asked in _asked():
                nursery.start_soon(self._do, asked)
            nursery.cancel_scope.cancel()

    def _to_key(self, number: int, ring: bytes, index: int) -> PublicKey:
        return lock_key(seed_of(number), ring, index, "to").public

    async def _do(self, asked: dict[str, Any]) -> None:
        if "delay" in asked and len(asked) == 1:
            self.far.delay = asked["delay"]
            tell(far=True)
            return
        if "peers" in asked:
            for number, port in asked["peers"]:
                self.network.learn(key_of(number).node_id, Address("127.0.0.1", port))
            while len(self.network.connected()) < PARTIES_MAX - 1:  # noqa: ASYNC110 - a bench may poll
                await trio.sleep(0.05)
            tell(met=True)
            return
        begun = time.monotonic()
        for lap in range(asked["laps"]):
            if asked["how"] == "commit":
                told = await self._commit(asked["parties"], asked["slot"])
            else:
                await self.hashlock.propose(sha256(b"%s %d" % (asked["name"].encode(), lap)), asked["parties"])
                told = "Settled"
            tell(begun=begun, outcome=told)

    async def _commit(self, parties: int, slot: int) -> str:
        """Propose until it settles: on a machine that is busy otherwise an approval may come too late."""
        for _ in range(_TRIES):
            outcome = await self.swap.propose(*self._match(parties, slot))
            if isinstance(outcome, Settled):
                return "Settled"
            tell(failed=str(outcome)[:300])
            await trio.sleep(0.5)
        return f"no agreement in {_TRIES} tries"

    def _match(self, parties: int, slot: int) -> tuple[Match, list[Any]]:
        """Return the ring of the first parties; bids of another slot are other bids."""
        keys, now = [key_of(i) for i in range(parties)], self.clock.now()
        bid_key = slot.to_bytes(16, "big")
        items = [
            make_item(
                key,
                "bid",
                bid_key,
                sequence=1,
                expires=after(now, DAY),
                body=encode(
                    BidBody(
                        "limit",
                        Quality(key.node_id, KIND),
                        Want(KIND, keys[i - 1].node_id, (), ()),
                        (1, 1),
                        PLEDGE,
                        None,
                    )
                ),
            )
            for i, key in enumerate(keys)
        ]
        arcs = tuple(
            Arc(
                bid_id_for(key.node_id, bid_key),
                key.node_id,
                keys[(i + 1) % parties].node_id,
                Quality(key.node_id, KIND),
                LOT,
            )
            for i, key in enumerate(keys)
        )
        return Match(arcs, Fraction(1)), items


async def _asked() -> AsyncIterator[dict[str, Any]]:
    stream, rest = trio.lowlevel.FdStream(os.dup(0)), b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    trio.run(Party(int(sys.argv[1]), Path(sys.argv[2])).run)
