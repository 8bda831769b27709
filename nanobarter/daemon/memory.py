"""Whether this node's store is its newest, and what follows when it is not.

Three things tell. A counter beside the home, written after the store's own, is ahead of it when the home was put back
from a copy. Where the counter is missing (another machine, a lost disk) the mint serves nobody until some peers have
answered. And each peer, whenever it connects, is asked for what it holds that this node signed. From a proof of loss
follow the notice to all, a new generation of keysets, a scan for the wallet's own notes, and a time without drafts.

The other half hears what other mints say of themselves, and drops the notes that they have retired.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import trio
from msgspec.structs import replace

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import BidId, NodeId, short_node
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Handler
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, SECOND, Instant, Span, after
from nanobarter.daemon.home import Home
from nanobarter.gossip.service import Gossip
from nanobarter.matching.network import Match
from nanobarter.mint import restoration, times
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.proofs.heads import Head
from nanobarter.mint.restoration import REMEMBERED_BYTES_MAX, STATEMENTS_MAX, Remembered, open_restored
from nanobarter.mint.service import Mint
from nanobarter.net.network import Network
from nanobarter.swap.events import Outcome
from nanobarter.swap.tables import claims as claims_at
from nanobarter.translator.market_ports import Proposer
from nanobarter.wallet.remembrance import is_exposed
from nanobarter.wallet.service import Wallet

REMEMBER: Final = "mint.remember"
NOTICE_KEY: Final = b"restored"
NOTICE_SPAN: Final = Span(30 * DAY)  # an item lives at most 31 days; each start says it anew for as long as it counts
_ASKED_BYTES_MAX: Final = 32
_NOTICE_BYTES_MAX: Final = 8 * 1024
_PEERS_QUEUED_MAX: Final = 1024
_log = logging.getLogger(__name__)


class Memory:
    """See the module. ``attach`` names the services, ``look`` decides at the start, ``run`` does the rest."""

    def __init__(
        self,
        *,
        home: Home,
        store: Store,
        key: SigningKey,
        network: Network,
        gossip: Gossip,
        clock: Clock,
        limits: Limits,
        delta: Span,
    ) -> None:
        self._home, self._store, self._key, self._clock, self._limits = home, store, key, clock, limits
        self._network, self._gossip = network, gossip
        self._quarantine = Span(8 * delta + limits.mint_quarantine)
        self._settled = trio.Event()
        self._answered = 0
        self._restoring = trio.Lock()
        self.waits: Callable[[], bool] = lambda: False  # tells whether something waits for its holder to show it
        self._peers_in, self._peers_out = trio.open_memory_channel[NodeId](_PEERS_QUEUED_MAX)
        self._mint: Mint
        self._wallet: Wallet
        self._herald: Herald
        self._news, self._lost = trio.Event(), trio.Event()
        self._heard = list[Signed]()

    def attach(self, mint: Mint, wallet: Wallet, herald: Herald) -> None:
        """Work with these, and serve what peers ask of their own past."""
        herald.observe_behind(self._behind)
        self._herald = herald
        self._mint, self._wallet = mint, wallet
        self._network.add(REMEMBER, self._tell_past, body_max=_ASKED_BYTES_MAX)
        self._gossip.check("keyset", _is_sound)
        self._gossip.subscribe("keyset", self._hear)
        self._network.on_connect(self._met)

    # -- what others ask of it

    def settled(self) -> bool:
        """Tell whether the store is taken for the newest."""
        return self._settled.is_set()

    def gated(self, handler: Handler) -> Handler:
        """Return the handler, waiting until the store is taken for the newest."""

        async def handle(peer: NodeId, body: bytes) -> bytes:
            await self._settled.wait()
            return await handler(peer, body)

        return handle

    def quarantined(self) -> bool:
        """Tell whether this node joins no drafts: it was restored a short while ago, or does not know it yet."""
        since = self._store.read_now(restoration.past).since
        return not self.settled() or (since > 0 and self._clock.now() < after(since, self._quarantine))

    def exposed(self, node: NodeId) -> bool:
        """Tell whether a node was restored more often than an honest one is."""
        return is_exposed(self._wallet.remembrance.notices().get(node, []))

    def problems(self) -> list[str]:
        """Return what a person should know of it."""
        known = self._store.read_now(restoration.past)
        if not self.settled():
            return ["this home comes from elsewhere: its mint waits for peers that know whether it is the newest"]
        if known.since and self._clock.now() < after(known.since, self._quarantine):
            return [
                "this home was put back from an older copy: its former notes are retired, and it does not trade yet"
            ]
        return []

    # -- at the start

    async def look(self) -> None:
        """Compare the store's counter with that beside the home. Call it before the mint starts."""
        mark = self._home.read_mark()
        counted = await self._store.read(restoration.counted)
        if mark is not None and mark > counted:
            await self._begin_generation(f"the counter beside the home is {mark}, that of the store {counted}")
            self._settled.set()
        elif mark is not None:
            self._settled.set()
        else:
            _log.warning("no counter lies beside this home; its mint waits until peers have answered")

    async def _begin_generation(self, why: str) -> None:
        _log.warning("the store is older than this node: %s", why)
        now = self._clock.now()
        await self._store.write(lambda db: restoration.begin_generation(db, self._key, times.newest_time(db, now)))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Count the memory on, ask each peer that connects, and tell and hear of restorations, until cancelled."""
        await self._publish()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._count)
            nursery.start_soon(self._listen)
            nursery.start_soon(self._find_own_notes)
            nursery.start_soon(self._ask_again)
            if not self.settled():
                nursery.start_soon(self._wait)
            task_status.started()
            async for peer in self._peers_out:
                nursery.start_soon(self._ask, peer)

    async def _count(self) -> None:
        while True:
            counted = await self._store.write(restoration.count)
            # The store's first: the counter beside the home may never be ahead of a store that is the newest.
            if self.settled():
                await trio.to_thread.run_sync(self._home.write_mark, counted)
            await trio.sleep(self._limits.mint_memory_tick / SECOND)

    async def _wait(self) -> None:
        with trio.move_on_after(self._limits.mint_memory_wait / SECOND):
            await self._settled.wait()
        await self._settle()

    async def _settle(self) -> None:
        if not self.settled():
            self._settled.set()
            await self._mint.make_keysets()

    # -- asking

    def _met(self, peer: NodeId) -> None:
        try:
            self._peers_in.send_nowait(peer)
        except trio.WouldBlock:
            _log.debug("too many peers connect at once; %s is not asked for our past", short_node(peer))

    async def _ask_again(self) -> None:
        """Ask connected peers once more while something waits: they may have lost their own memory too."""
        while True:
            await trio.sleep(self._limits.mint_memory_tick / SECOND)
            if self.waits():
                for peer in self._network.connected():
                    self._met(peer)

    async def _ask(self, peer: NodeId) -> None:
        try:
            raw = await self._network.call(peer, REMEMBER, b"", timeout=self._limits.call_timeout)
            shown = decode(raw, Remembered, size_max=REMEMBERED_BYTES_MAX)
            await self._judge(shown)
        except (Unreachable, PeerFault, Malformed) as error:
            _log.debug("%s shows nothing of our past: %s", short_node(peer), error)
            return
        self._answered += peer != self._key.node_id
        if self._answered >= self._limits.mint_memory_peers:
            await self._settle()

    async def _judge(self, shown: Remembered) -> None:
        me = self._key.node_id
        async with self._restoring:
            if self._herald.behind is not None:
                await self._restore(f"the head of epoch {self._herald.behind.epoch}")
            now = self._clock.now()
            lost = await self._store.read(lambda db: restoration.unknown(db, me, shown, times.newest_time(db, now)))
            if lost:
                await self._restore(lost)
        if await self._store.read(lambda db: restoration.past(db).since):
            adopted = await self._mint.adopt(shown)
            if adopted:
                _log.warning("%d leases are taken up again from what their holder shows", adopted)

    async def _restore(self, lost: str) -> None:
        _log.warning("the store is older than this node: a peer shows %s, which it does not know", lost)
        self._settled.set()
        await self._mint.restored()
        await self._publish()
        self._lost.set()

    def _behind(self, _head: Head) -> None:
        self._met(self._key.node_id)  # the round that asks a peer sees to it; we hold nothing of ourselves

    async def _tell_past(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - who asks is all that counts
        known = self._wallet.remembrance.of(peer)
        claims = await self._store.read(lambda db: claims_at(db, peer))
        return encode(replace(known, locked=(*claims, *known.locked)[:STATEMENTS_MAX]))

    # -- telling and hearing

    async def _publish(self) -> None:
        past = await self._store.read(restoration.past)
        if past.notice is None or self._clock.now() >= after(past.since, restoration.EXPOSED_WITHIN):
            return
        sequence = self._gossip.next_sequence("keyset", self._key.public, NOTICE_KEY)
        expires = after(self._clock.now(), NOTICE_SPAN)
        item = make_item(self._key, "keyset", NOTICE_KEY, sequence=sequence, expires=expires, body=encode(past.notice))
        refused = await self._gossip.publish(item)
        if refused is not None:
            _log.warning("the notice of the restoration is not passed on: %s", refused.detail)

    def _hear(self, item: Item) -> None:
        if item.key == NOTICE_KEY and item.body:
            self._heard.append(decode(item.body, Signed, size_max=_NOTICE_BYTES_MAX))
            self._news.set()

    async def _listen(self) -> None:
        for item in self._gossip.items("keyset"):
            self._hear(item)
        while True:
            heard, self._heard, self._news = self._heard, [], trio.Event()
            for signed in heard:
                if await self._wallet.remembrance.hear(signed):
                    _log.warning("%s was restored from an older copy and retires its notes", short_node(signed.signer))
                    if self.exposed(signed.signer):
                        _log.warning("%s was restored too often to be honest", short_node(signed.signer))
            if heard:
                await self._wallet.remembrance.withdraw()
            await self._news.wait()

    async def _find_own_notes(self) -> None:
        """After a restoration the wallet's counters are old too: look at each mint for what they led to since."""
        past = await self._store.read(restoration.past)
        if not past.since or self._clock.now() >= after(past.since, self._quarantine):
            await self._lost.wait()
        sql = "SELECT DISTINCT issuer FROM wallet_keysets"
        issuers = await self._store.read(lambda db: [NodeId(row[0]) for row in db.execute(sql)])
        for issuer in issuers:
            try:
                await self._wallet.restore(issuer)
            except (Unreachable, PeerFault) as error:
                _log.info("%s does not say which of its notes are ours: %s", short_node(issuer), error)


class Patient:
    """A proposer that proposes nothing while the node stays out of drafts."""

    def __init__(self, proposer: Proposer, memory: Memory) -> None:
        self._proposer, self._memory = proposer, memory

    async def propose(self, match: Match, bids: Sequence[Item]) -> Outcome:
        """Draft the match."""
        return await self._proposer.propose(match, bids)

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft is at work on this bid, or none may begin."""
        return self._memory.quarantined() or self._proposer.busy(bid)


def _is_sound(item: Item) -> bool:
    """Let a notice pass only if its author signed it for himself; other things of the topic are not judged here."""
    if item.key != NOTICE_KEY:
        return True
    signed = decode(item.body, Signed, size_max=_NOTICE_BYTES_MAX)
    notice = open_restored(signed)
    return signed.signer == item.node and notice.since <= Instant(item.expires)
