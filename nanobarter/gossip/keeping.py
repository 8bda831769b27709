"""Writes others' items to disk, a little later and many at once; one's own are written before they are said."""

from collections.abc import Iterable
from typing import Final

import trio

from nanobarter.core.store import Store
from nanobarter.gossip.held import Held, Slot
from nanobarter.gossip.tables import keep_entries

_WRITE_EVERY: Final = 1.0  # seconds; others' items share one fsync, since a peer has them too


class Keeping:
    """What is not on disk yet."""

    def __init__(self, store: Store, held: Held) -> None:
        self._store, self._held = store, held
        self._unwritten, self._dropped = set[Slot](), set[Slot]()
        self._to_write = trio.Event()

    def soon(self, slot: Slot) -> None:
        """Write what is held in a slot."""
        self._unwritten.add(slot)
        self._to_write.set()

    def gone(self, slots: Iterable[Slot]) -> None:
        """Drop what was held in these slots."""
        self._dropped.update(slots)
        if self._dropped:
            self._to_write.set()

    async def run(self) -> None:
        """Write until cancelled. A LocalFault of the disk escapes."""
        while True:
            await self._to_write.wait()
            await trio.sleep(_WRITE_EVERY)
            self._to_write = trio.Event()
            slots, dropped = self._unwritten, self._dropped
            self._unwritten, self._dropped = set[Slot](), set[Slot]()
            entries = [entry for slot in slots if (entry := self._held.entry(slot)) is not None]
            gone = [slot for slot in dropped if self._held.entry(slot) is None]
            await self._store.write(lambda db, entries=entries, gone=gone: keep_entries(db, entries, gone))
