"""The storage side of the fake node: answers from memory, and remembers what it was asked."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import trio

from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import ForgetRow, Forgotten, Pruned


@dataclass
class FakeStorage:
    """``note`` is called with every wish; it may raise."""

    note: Callable[[str], None]
    forgotten: Forgotten = field(
        default_factory=lambda: Forgotten(
            forgotten=(ForgetRow(snapshot_id="ab" * 32, at=1_700_000_000_000, folders=("/home/ada",), files=3),),
            kept=(ForgetRow(snapshot_id="cd" * 32, at=1_700_000_100_000, reasons=("last", "daily")),),
            policy="daily 1",
        )
    )
    pruned: Pruned = field(default_factory=lambda: Pruned(packs=4, unused=1, emptied=1, new_packs=1, freed_bytes=2**20))

    async def forget(
        self, snapshots: tuple[str, ...], keep: str, *, dry_run: bool
    ) -> AsyncIterator[Progress | Forgotten]:
        self.note(f"forget {' '.join(snapshots)} keep={keep} dry={dry_run}")
        await trio.lowlevel.checkpoint()
        yield self.forgotten

    async def prune(self, *, dry_run: bool) -> AsyncIterator[Progress | Pruned]:
        self.note(f"prune dry={dry_run}")
        yield Progress(phase="reading snapshots", done=1, total=2, unit="snapshots")
        await trio.lowlevel.checkpoint()
        yield self.pruned
