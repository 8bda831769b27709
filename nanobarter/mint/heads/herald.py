"""Signs the heads of this mint, answers what is in them, and keeps those of other mints.

A mint that was restored from an older state without knowing it would sign heads that contradict those it signed
before. So before the first head after a start, every peer that is connected is asked for the newest head of ours that
it holds. Is one of them unknown here, then nothing is signed any more until a new generation has begun
(``rows.begin_generation``), and ``observe_behind`` tells.
"""

from collections.abc import Callable
from functools import lru_cache

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import MINUTE, SECOND
from nanobarter.mint import times
from nanobarter.mint.heads import epochs, rows
from nanobarter.mint.heads.messages import (
    HEAD,
    HEAD_ANSWER_MAX,
    QUESTION_BYTES_MAX,
    WHERE,
    HeadAnswer,
    HeadQuestion,
    WhereAnswer,
    WhereQuestion,
)
from nanobarter.mint.proofs.heads import DOMAIN_HEAD, Head, open_head
from nanobarter.mint.proofs.records import BadHead, MintProof, TwoHeads
from nanobarter.mint.proofs.tree import Place, SortedTree
from nanobarter.mint.proofs.verdict import Convicted
from nanobarter.mint.proofs.verify import verify_mint
from nanobarter.mint.rows import Db
from nanobarter.mint.rules import EPOCH_SPAN, epoch_of

_TREES_CACHED = 8  # those asked for last; a tree of a busy hour takes seconds to grow


class Herald:
    """See the module. ``connected`` lists the peers that can be asked now."""

    def __init__(
        self,
        *,
        store: Store,
        key: SigningKey,
        caller: Caller,
        registrar: Registrar,
        connected: Callable[[], list[NodeId]],
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._store, self._key, self._caller, self._connected = store, key, caller, connected
        self._clock, self._limits = clock, limits
        self._asked = set[NodeId]()
        self._behind: Head | None = None
        self._behind_observers = list[Callable[[Head], None]]()
        self._caught = list[Callable[[MintProof], object]]()
        self._tree = lru_cache(maxsize=_TREES_CACHED)(self._grow)
        registrar.add(HEAD, self.on_head, body_max=QUESTION_BYTES_MAX)
        registrar.add(WHERE, self.on_where, body_max=QUESTION_BYTES_MAX)

    # -- life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask peers, sign what is due and gather others' heads, once a minute, until cancelled."""
        task_status.started()
        gathered = -1
        while True:
            await self.ask_new_peers()
            await self.sign_due()
            now_epoch = epoch_of(self._clock.now())
            if gathered != now_epoch and self._clock.now() % EPOCH_SPAN > 2 * MINUTE:  # others need a moment to sign
                gathered = now_epoch
                for peer in self._connected():
                    await self.fetch(peer, peer)
            await trio.sleep(MINUTE / SECOND)

    def observe_behind(self, callback: Callable[[Head], None]) -> None:
        """Be told when a peer shows a head of ours that we do not know: this mint was restored from an older state."""
        self._behind_observers.append(callback)

    def observe_caught(self, callback: Callable[[MintProof], object]) -> None:
        """Be told of each proof that another mint's heads make against it."""
        self._caught.append(callback)

    @property
    def behind(self) -> Head | None:
        """The head of ours that a peer holds and we do not, if that is so in this generation."""
        held = self._behind
        return held if held is not None and held.generation >= self._store.read_now(rows.memory).generation else None

    async def ask_new_peers(self) -> None:
        """Ask each peer that was not asked since the start which head of ours it holds, and for its own."""
        for peer in self._connected():
            if peer not in self._asked:
                try:
                    ours = await self._ask(peer, self._key.node_id)
                except (Unreachable, PeerFault):
                    continue
                self._asked.add(peer)
                if ours is not None:
                    await self._keep_time(ours)
                    self.shown(ours)
                await self.fetch(peer, peer)

    async def _keep_time(self, signed: Signed) -> None:
        """Date nothing earlier than a head of ours that we may have forgotten: a lost clock may have run ahead."""
        try:
            head = open_head(signed)
        except Malformed:
            return
        if signed.key == self._key.public:
            await self._store.write(lambda db: times.advance_time(db, head.at))

    def shown(self, signed: Signed) -> bool:
        """Take a head that somebody says is ours; tell whether it is, and is unknown here."""
        try:
            head = open_head(signed)
        except Malformed:
            return False
        kept = epoch_of(self._clock.now()) - self._limits.mint_heads_kept // EPOCH_SPAN
        if signed.key != self._key.public or head.epoch < kept:
            return False
        if head.generation < self._store.read_now(rows.memory).generation:
            return False  # of a time before a restoration that we have told of
        if self._store.read_now(lambda db: rows.same_head(db, head, signed)):
            return False
        self._behind = head
        for callback in list(self._behind_observers):
            callback(head)
        return True

    # -- our own heads

    async def sign_due(self) -> list[Signed]:
        """Sign the heads of the epochs that are over; none before a peer was asked, nor while we are behind."""
        if not self._asked or self.behind is not None:
            return []
        newest = await self._store.read(rows.newest_epoch)
        if newest is not None and newest >= epoch_of(self._clock.now()) - 1:
            return []
        return await self._sign(newest)

    async def _sign(self, newest: int | None) -> list[Signed]:
        stands, memory = await self._store.write(self._stand)
        made = list[Signed]()
        for epoch in await self._store.read(lambda db: epochs.due(db, newest, epoch_of(stands.at))):
            listed = await self._store.read(lambda db, e=epoch: epochs.entries_in(db, e))
            head = await trio.to_thread.run_sync(epochs.compose, epoch, memory.generation, memory.since, stands, listed)
            signed = seal_signed(self._key, DOMAIN_HEAD, head)

            def keep(db: Db, head: Head = head, signed: Signed = signed, listed: epochs.Listed = listed) -> None:
                rows.add_own(db, head, signed, listed)
                rows.prune_own(db, head.epoch - self._limits.mint_heads_kept // EPOCH_SPAN)

            await self._store.write(keep)
            made.append(signed)
        return made

    def _stand(self, db: Db) -> tuple[epochs.Sums, rows.Memory]:
        return epochs.sums(db, times.advance_time(db, self._clock.now())), rows.memory(db)

    # -- questions

    async def on_head(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - the same for all
        """Answer "mint.head": our own head, or that of another which we saw."""
        asked = decode(body, HeadQuestion, size_max=QUESTION_BYTES_MAX)
        if asked.node == self._key.node_id:
            return encode(HeadAnswer(await self._store.read(lambda db: rows.own_head(db, asked.epoch))))
        return encode(HeadAnswer(await self._store.read(lambda db: rows.seen_head(db, asked.node, asked.epoch))))

    async def on_where(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - the same for all
        """Answer "mint.where": an entry of one of our trees with its path, or the gap where it is not."""
        asked = decode(body, WhereQuestion, size_max=QUESTION_BYTES_MAX)
        signed = await self._store.read(lambda db: rows.own_head(db, asked.epoch))
        if signed is None:
            return encode(WhereAnswer(None, None, None))
        return encode(await trio.to_thread.run_sync(self._where, signed, asked.tree, asked.key))

    def _where(self, signed: Signed, tree: int, key: Hash) -> WhereAnswer:
        found = self._tree(signed, tree).look_up(key)
        return WhereAnswer(signed, found, None) if isinstance(found, Place) else WhereAnswer(signed, None, found)

    def _grow(self, signed: Signed, tree: int) -> SortedTree:
        head = open_head(signed)
        return SortedTree(tree, self._store.read_now(lambda db: rows.entries_of(db, head, tree)))

    # -- others' heads

    async def fetch(self, peer: NodeId, node: NodeId, epoch: int | None = None) -> Signed | None:
        """Ask a peer for a head of a node, keep it, and hold it against those kept. None when there is none."""
        try:
            signed = await self._ask(peer, node, epoch)
        except (Unreachable, PeerFault):
            return None
        return None if signed is None or not await self.take(node, signed) else signed

    async def take(self, node: NodeId, signed: Signed) -> bool:
        """Keep a head that a node signed; tell whether it is one."""
        try:
            head = open_head(signed)
        except Malformed:
            return False
        if signed.signer != node:
            return False
        known = await self._store.read(lambda db: rows.seen_heads(db, node))
        for proof in _contradictions(signed, known):
            for callback in list(self._caught):
                callback(proof)
        limits = self._limits
        await self._store.write(
            lambda db: rows.add_seen(
                db, node, head, signed, per_node=limits.heads_seen_per_node, nodes=limits.heads_seen_nodes
            )
        )
        return True

    async def _ask(self, peer: NodeId, node: NodeId, epoch: int | None = None) -> Signed | None:
        body = encode(HeadQuestion(node, epoch))
        raw = await self._caller.call(peer, HEAD, body, timeout=self._limits.call_timeout)
        try:
            return decode(raw, HeadAnswer, size_max=HEAD_ANSWER_MAX).head
        except Malformed as error:
            raise PeerFault(f"the answer to {HEAD} cannot be read: {error}", evidence=raw[:1024]) from None


def _contradictions(signed: Signed, known: list[Signed]) -> list[MintProof]:
    """Return what a new head proves against its signer, alone or beside those kept."""
    pairs: list[MintProof] = [TwoHeads(*pair) for other in known for pair in ((other, signed), (signed, other))]
    return [proof for proof in (BadHead(signed), *pairs) if isinstance(verify_mint(proof), Convicted)][:1]
