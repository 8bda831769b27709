"""The court of one node: takes proofs, keeps whom they convict, and passes them on.

A proof is judged before anything is done with it, wherever it came from; gossip forwards none that does not convict.
Convictions are kept for ever, one per node, and told again in each period, so that newcomers hear of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Protocol

import trio

from nanobarter.core.errors import Malformed, Refused
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item, Topic
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import HOUR, SECOND, Instant
from nanobarter.court.items import item_of, read_item
from nanobarter.court.proofs import Convicted, Proof, read_proof, verify, write_proof


class Board(Protocol):
    """The part of gossip that the court uses."""

    async def publish(self, item: Item) -> Refused | None:
        """Say this to all, or tell why not."""
        ...

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Call back for each new version."""
        ...

    def check(self, topic: Topic, fn: Callable[[Item], bool]) -> None:
        """Let a payload pass only if this says so."""
        ...


@dataclass(frozen=True)
class Conviction:
    """Who is convicted, why (a clause that begins with "it"), and since when we know."""

    node: NodeId
    why: str
    at: Instant


class Court:
    """See the module. ``convicted`` answers at once, from memory."""

    def __init__(self, *, store: Store, board: Board, clock: Clock, limits: Limits) -> None:
        self._store, self._board, self._clock, self._limits = store, board, clock, limits
        self._observers = list[Callable[[Conviction], None]]()
        self._accused_in, self._accused_out = trio.open_memory_channel[tuple[Proof, Convicted]](64)
        self._known = {c.node: c for c in store.read_now(_all)}
        board.check("proof", _convicts)
        board.subscribe("proof", self._heard)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record what is proven and tell of it again now and then, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_again)
            task_status.started()
            async for proof, verdict in self._accused_out:
                await self._convict(proof, verdict)

    # -- what others ask

    def convicted(self, node: NodeId) -> bool:
        """Tell whether a node is convicted of fraud."""
        return node in self._known

    def convictions(self) -> list[Conviction]:
        """Return whom we know to be convicted, the newest first."""
        return sorted(self._known.values(), key=lambda c: (-c.at, c.node))

    def proof_against(self, node: NodeId) -> Proof | None:
        """Return the proof that convicts a node."""
        row = self._store.read_now(
            lambda db: db.execute("SELECT proof FROM court_convictions WHERE node = ?", (node,)).fetchone()
        )
        return None if row is None else read_proof(row[0])

    def observe(self, callback: Callable[[Conviction], None]) -> None:
        """Be told of each new conviction after it is durable. The callback must neither block nor raise."""
        self._observers.append(callback)

    def accuse(self, proof: Proof) -> bool:
        """Take a proof that a part of this node made; tell whether it convicts. What follows happens in ``run``."""
        verdict = verify(proof)
        if not isinstance(verdict, Convicted):
            return False
        self._queue(proof, verdict)
        return True

    # -- inside

    def _heard(self, item: Item) -> None:
        if item.body:
            self._queue(*read_item(item))

    def _queue(self, proof: Proof, verdict: Convicted) -> None:
        if verdict.node in self._known:
            return
        try:
            self._accused_in.send_nowait((proof, verdict))
        except trio.WouldBlock:
            return  # gossip keeps what came by gossip, and what we found ourselves will be found again

    async def _convict(self, proof: Proof, verdict: Convicted) -> None:
        if verdict.node in self._known or len(self._known) >= self._limits.court_convictions_max:
            return
        conviction = Conviction(verdict.node, verdict.why, self._clock.now())
        values = (conviction.node, write_proof(proof), conviction.why, conviction.at)
        sql = "INSERT OR IGNORE INTO court_convictions VALUES (?, ?, ?, ?)"
        await self._store.write(lambda db: db.execute(sql, values).rowcount)
        self._known[conviction.node] = conviction
        for callback in list(self._observers):
            callback(conviction)
        await self._board.publish(item_of(conviction.node, proof, self._clock.now()))

    async def _tell_again(self) -> None:
        while True:
            for node in list(self._known):
                proof = self.proof_against(node)
                if proof is not None:
                    await self._board.publish(item_of(node, proof, self._clock.now()))
            await trio.sleep(HOUR / SECOND)


def _convicts(item: Item) -> bool:
    try:
        read_item(item)
    except Malformed:
        return False
    return True


def _all(db: Connection) -> list[Conviction]:
    found = db.execute("SELECT node, why, at FROM court_convictions").fetchall()
    return [Conviction(NodeId(node), why, Instant(at)) for node, why, at in found]
