"""How nodes learn of each other: each tells its signed record to whom it meets, and asks for those of others."""

import sqlite3
from collections.abc import Awaitable, Callable

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.item import ITEM_MAX, Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span, after
from nanobarter.net.address import Address, is_loopback
from nanobarter.net.links import Links
from nanobarter.net.methods import Methods
from nanobarter.net.peers import Peer, PeerBook
from nanobarter.net.records import (
    PEERS_METHOD,
    RECORDS_MAX,
    WANTED_MAX,
    PeersAnswer,
    PeersRequest,
    make_record,
)
from nanobarter.net.tables import keep_peer, kept_peers, trim_peers

_REQUEST_MAX = ITEM_MAX + WANTED_MAX * 34 + 64
_ASKED_MAX = 8  # peers asked for one node's record
_ASK_TIMEOUT = Span(3 * SECOND)
_OBSERVED_MAX = 2  # IPv4 and IPv6


Beyond = Callable[[NodeId], Awaitable[Item | None]]
"""Looks a node's record up somewhere else than at connected peers."""


class Exchange:
    """Keeps the peer book filled, its copy on disk, and this node's own record fresh."""

    def __init__(
        self,
        *,
        key: SigningKey,
        caller: Caller,
        book: PeerBook,
        links: Links,
        store: Store,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self.advertised: tuple[Address, ...] = ()
        self.beyond: Beyond | None = None
        self._key, self._caller, self.book, self.links = key, caller, book, links
        self._store, self._clock, self._limits = store, clock, limits
        self._bound: Address | None = None
        self._mapped: Address | None = None
        self._observed = list[str]()
        self._own = Peer(key=key.public)

    def serve(self, methods: Methods) -> None:
        """Answer ``net.peers``."""
        methods.add(PEERS_METHOD, self._answer, body_max=_REQUEST_MAX)

    async def start(self, bound: Address | None) -> None:
        """Load the cache and sign our record."""
        for node, peer in await self._store.read(lambda db: kept_peers(db, self._limits.known_peers_max)):
            if node == self._key.node_id:
                self._own.record = peer.record
            self.book.restore(node, peer)
        self._bound = bound
        if bound is not None:
            await self._sign()

    def own_record(self) -> Item | None:
        """Return our signed record, if we have one."""
        return self._own.record if self._bound is not None else None

    @property
    def bound_port(self) -> int:
        """The port that this machine listens at; 0 when it only dials."""
        return 0 if self._bound is None else self._bound.port

    @property
    def is_near_reachable(self) -> bool:
        """Whether this machine listens where its neighbours could dial: not on loopback alone."""
        return self._bound is not None and not is_loopback(self._bound.host)

    @property
    def port(self) -> int:
        """The port at which others should reach this node; 0 when it only dials."""
        own = self.own_addresses()
        return own[0].port if own else self.bound_port

    async def mapped(self, address: Address | None) -> None:
        """Take where the router forwards to us, or that it stopped."""
        self._mapped = address
        if self._bound is not None:
            await self._sign()

    def own_addresses(self) -> list[Address]:
        """Return where others can dial us: what the person says, else as far as we know."""
        if self.advertised:
            return list(self.advertised)
        if self._bound is None:
            return []
        if not self._bound.is_wildcard:
            return [self._bound]
        forwarded = [] if self._mapped is None else [self._mapped]
        return forwarded + [Address(host, self._bound.port) for host in self._observed]

    async def keep_fresh(self) -> None:
        """Sign our record anew whenever half of its time is over, until cancelled."""
        half = Span(self._limits.node_record_valid // 2)
        while True:
            record = self._own.record
            if self._bound is not None and (record is None or record.expires < after(self._clock.now(), half)):
                await self._sign()
            # Wall time may jump, and a machine may sleep, so it is asked again long before.
            await trio.sleep(half / SECOND / 100)

    async def meet(self, peer: NodeId, observed: str) -> bool:
        """Trade records with a peer that has just connected; tell whether anything was new.

        ``observed`` is where it sees us, or nothing. A node that listens on every interface knows its address
        only from others; a liar can send some dials astray with that, and no more.
        """
        wild = not self.advertised and self._bound is not None and self._bound.is_wildcard
        if observed and wild and observed not in self._observed:
            self._observed = [observed, *self._observed][:_OBSERVED_MAX]
            await self._sign()
        try:
            news = await self._ask(peer, ())
        except (Unreachable, PeerFault):
            news = False
        await self._keep([peer])
        return news

    async def look_up(self, node: NodeId) -> None:
        """Ask some connected peers for a node that we cannot dial."""
        for peer in self.links.peers()[:_ASKED_MAX]:
            try:
                if await self._ask(peer, (node,)):
                    return
            except (Unreachable, PeerFault):
                continue
        record = None if self.beyond is None else await self.beyond(node)
        if record is not None and record.node == node and self._take(record):
            await self._keep([node])

    async def _ask(self, peer: NodeId, wanted: tuple[NodeId, ...]) -> bool:
        count = min(self._limits.records_per_answer_max, RECORDS_MAX)
        request = encode(PeersRequest(self._own.record, wanted, count))
        body = await self._caller.call(peer, PEERS_METHOD, request, timeout=_ASK_TIMEOUT)
        try:
            answer = decode(body, PeersAnswer, size_max=_REQUEST_MAX + count * ITEM_MAX)
            fresh = [item.node for item in answer.records if self._take(item)]
        except Malformed as error:
            raise PeerFault(f"{short_node(peer)} sent a bad list of peers: {error}", evidence=body) from None
        if fresh:
            await self._keep(fresh)
        return bool(fresh)

    async def _answer(self, _peer: NodeId, body: bytes) -> bytes:
        request = decode(body, PeersRequest, size_max=_REQUEST_MAX)
        if request.own is not None and self._take(request.own):
            await self._keep([request.own.node])
        count = min(request.count, self._limits.records_per_answer_max)
        return encode(PeersAnswer(tuple(self.book.records(request.wanted, count, self._clock.now()))))

    def _take(self, item: Item) -> bool:
        return self.book.take_record(item, self._clock.now())

    async def _sign(self) -> None:
        now, old = self._clock.now(), self._own.record
        sequence = max(now, old.sequence + 1 if old is not None else 0)
        expires = after(now, self._limits.node_record_valid)
        self._own.record = make_record(self._key, self.own_addresses(), sequence=sequence, expires=expires)
        self._own.last_seen = now
        own = self._own
        await self._store.write(lambda db: keep_peer(db, self._key.node_id, own))

    async def _keep(self, nodes: list[NodeId]) -> None:
        peers = [(node, peer) for node in nodes if (peer := self.book.get(node)) is not None]
        forgotten, self.book.forgotten = self.book.forgotten, []

        def change(db: sqlite3.Connection) -> None:
            for node, peer in peers:
                keep_peer(db, node, peer)
            db.executemany("DELETE FROM net_peers WHERE node = ?", [(node,) for node in forgotten])
            trim_peers(db, self._limits.known_peers_max + 1)

        await self._store.write(change)
