"""The issuer's part: who gets to know what happened to a lock at our mint.

An issuer need not be a party. It learns whom to tell from AGREED, which the giver of an arc sends it. On a lock it
sends LOCKED to all parties; on the first open it sends its receipt, which holds all secrets, to the parties, and
opens the other arcs with that receipt as the proof. So nobody has to be awake to be paid. Pushes are tried a few
times only: whoever was away asks by itself.
"""

from collections.abc import Awaitable, Callable

import trio

from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import LockId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span, after
from nanobarter.mint.events import LockMade, LockOpened, LockReturned, MintEvent
from nanobarter.mint.messages import OpenBody
from nanobarter.mint.rules import Lock
from nanobarter.swap import tables, tasks
from nanobarter.swap.carrier import ask_mint, tell
from nanobarter.swap.terms import Agreement, agreement_of, open_locked
from nanobarter.swap.watched import Watched


class Pusher:
    """Watches our mint for the parties of rings. Tasks live in ``nursery``; ``hear`` gets what concerns ourselves."""

    def __init__(
        self,
        *,
        nursery: trio.Nursery,
        store: Store,
        caller: Caller,
        clock: Clock,
        limits: Limits,
        find_lock: Callable[[LockId], Lock | None],
        hear: Callable[[str, Signed], Awaitable[object]],
    ) -> None:
        self._nursery, self._store, self._caller = nursery, store, caller
        self._clock, self._limits, self._hear = clock, limits, hear
        self._watched = Watched(caller.node_id, limits, find_lock)

    def load(self) -> None:
        """Read back the agreements with a lock at our mint."""
        for signed in self._store.read_now(tables.watched):
            self._watched.add(agreement_of(signed))

    def keep(self, agreement: Agreement) -> None:
        """Watch an agreement that a draft of ours has become, and that is on the disk with it."""
        self._watched.add(agreement)

    async def watch(self, agreement: Agreement) -> bool:
        """Remember an agreement of others that has an arc at our mint; False when there is no room."""
        if agreement.agreement_id in self._watched or self._watched.is_over(agreement):
            return True
        await self.forget()
        if not self._watched.has_room(agreement):
            return False
        instead = self._watched.make_room()
        with self._watched.coming(agreement):

            def write(db: tables.Db) -> None:
                tables.drop_watched(db, instead)
                tables.put_watched(db, agreement)

            await self._store.write(write)
        self._watched.add(agreement)
        return True

    async def forget(self) -> None:
        """Drop what nobody will have to be told of."""
        gone = self._watched.drop_over(self._clock.now())
        if gone:
            await self._store.write(lambda db: tables.drop_watched(db, gone))

    def heard(self, event: MintEvent) -> None:
        """Pass on what our mint has just made durable."""
        match event:
            case LockMade(locked):
                terms = open_locked(locked).terms
                agreement = self._watched.look(terms.agreement)
                # The giver of an arc sends its LOCKED by itself, so when that is we, once is enough.
                if agreement is not None and agreement.nodes[terms.index] != self._caller.node_id:
                    self._push(agreement, "swap.locked", locked)
            case LockOpened(terms, preimages, receipt):
                agreement = self._watched.look(terms.agreement)
                if agreement is not None:
                    self._push(agreement, "swap.opened", receipt)
                    self._open_others(agreement, terms.index, preimages, receipt)
            case LockReturned(terms, _, receipt):
                if (agreement := self._watched.look(terms.agreement)) is not None:
                    self._push(agreement, "swap.opened", receipt)
            case _:
                pass  # leases are no matter of swaps

    def _push(self, agreement: Agreement, method: str, signed: Signed) -> None:
        for node in agreement.nodes:
            if node == self._caller.node_id:
                tasks.start(self._nursery, self._hear, method, signed)
            else:
                tasks.start(self._nursery, self._repeat, self._tell, node, method, signed)

    def _open_others(self, agreement: Agreement, index: int, preimages: tuple[bytes, ...], receipt: Signed) -> None:
        for terms in agreement.terms:
            if terms.index != index:
                valid = after(self._clock.now(), Span(self._limits.request_valid_max // 2))
                body = OpenBody(terms.issuer, valid, terms.lock_id, preimages, receipt)
                tasks.start(self._nursery, self._repeat, self._open, terms.issuer, body)

    async def _tell(self, node: NodeId, method: str, signed: Signed) -> bool:
        return await tell(self._caller, node, method, signed, self._limits.swap_call_timeout)

    async def _open(self, issuer: NodeId, body: OpenBody) -> bool:
        await ask_mint(self._caller, issuer, body, self._limits.swap_call_timeout)
        return True  # a refusal too is an answer; the parties go on by themselves

    async def _repeat(self, action: Callable[..., Awaitable[bool]], *args: object) -> None:
        pause = self._limits.swap_retry_first
        for _ in range(self._limits.swap_push_tries):
            try:
                if await action(*args):
                    return
            except (Unreachable, PeerFault, Malformed):
                pass  # it may be away for a moment
            await trio.sleep(pause / SECOND)
            pause = Span(2 * pause)
