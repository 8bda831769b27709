"""Leaving, as this node does it and as it hears of others who do. See ``storage.leaving`` for how it works.

``Leaver`` is the side that goes: what it decided is on disk before it is said, so that a node killed in the middle goes
on leaving. ``Leavers`` is the side that hears: gossip keeps the notices, also over a restart.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import trio

from nanobarter.bots.keeper import Orders
from nanobarter.core.canonical import encode
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, HOUR, MINUTE, SECOND, Instant, Span, after
from nanobarter.gossip.service import Gossip
from nanobarter.storage import leaving as rows
from nanobarter.storage.leaving import NOTICE_KEY, Begun, Kept, LeaveNotice, is_notice, read_notice
from nanobarter.translator.orders import Order

NOTICE_SPAN: Final = Span(14 * DAY)  # then it is said again; a node that died without a word is not avoided for ever
SAY_AGAIN: Final = Span(6 * HOUR)
LOOK_AGAIN: Final = Span(MINUTE)
_log = logging.getLogger(__name__)


class Leavers:
    """The nodes that have said that they leave. ``heard`` is called when one says so or takes it back."""

    def __init__(self, gossip: Gossip, me: NodeId, heard: Callable[[], None]) -> None:
        self._gossip, self._me, self._heard = gossip, me, heard
        gossip.check("leave", is_notice)
        gossip.subscribe("leave", self._hear)

    def now(self) -> dict[NodeId, LeaveNotice]:
        """Return who leaves, without ourselves."""
        items = self._gossip.items("leave")
        return {item.node: read_notice(item) for item in items if item.node != self._me}

    def _hear(self, item: Item) -> None:
        if item.node != self._me:
            self._heard()


class Leaver:
    """Whether this node leaves. ``changed`` is called when it begins to, and when it stays after all."""

    def __init__(
        self, *, store: Store, gossip: Gossip, key: SigningKey, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._store, self._gossip, self._key, self._clock, self._changed = store, gossip, key, clock, changed
        self._news = trio.Event()
        self.begun: Begun | None = store.read_now(rows.find)

    @property
    def leaving(self) -> bool:
        """Whether nothing new is taken in, offered or issued."""
        return self.begun is not None

    async def kept(self) -> Kept:
        """Return what is kept for others now."""
        now = self._clock.now()
        return await self._store.read(lambda db: rows.kept_now(db, now))

    async def begin(self) -> Begun:
        """Leave from now on; again is fine."""
        now = self._clock.now()
        self.begun = await self._store.write(lambda db: rows.begin(db, now))
        self._wake()
        return self.begun

    async def cancel(self) -> bool:
        """Stay after all: what has moved stays moved. False when this node was not leaving."""
        stopped = await self._store.write(rows.cancel)
        self.begun = None
        self._wake()
        return stopped

    def _wake(self) -> None:
        self._news.set()
        self._changed()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Say what is decided, and again now and then, until cancelled."""
        task_status.started()
        while True:
            self._news = trio.Event()
            await self._say()
            with trio.move_on_after(SAY_AGAIN / SECOND):
                await self._news.wait()

    async def _say(self) -> None:
        said = any(item.author == self._key.public for item in self._gossip.items("leave"))
        if self.begun is None and not said:
            return
        now, body = self._clock.now(), b""  # an empty one takes the notice back, also one of which a crash hid the end
        if self.begun is not None:
            kept = await self.kept()
            body = encode(LeaveNotice(1, self.begun.since, max(kept.last_end, self.begun.since)))
        sequence = self._gossip.next_sequence("leave", self._key.public, NOTICE_KEY)
        expires: Instant = after(now, NOTICE_SPAN)
        item = make_item(self._key, "leave", NOTICE_KEY, sequence=sequence, expires=expires, body=body)
        refused = await self._gossip.publish(item)
        if refused is not None:
            _log.warning("that this node leaves is not passed on: %s", refused.detail)


class Quiet:
    """Orders of a node that wants nothing while it leaves: its bids go, and with them what it offers for them."""

    def __init__(self, inner: Orders, leaving: Callable[[], bool]) -> None:
        self._inner, self._leaving = inner, leaving

    def offering(self) -> Sequence[NodeId]:
        """Return the issuers that offer their notes now."""
        return self._inner.offering()

    def set_orders(self, orders: Sequence[Order]) -> None:
        """Replace what is wanted."""
        self._inner.set_orders(() if self._leaving() else orders)
