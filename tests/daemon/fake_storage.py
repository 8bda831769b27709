"""The storage side of the fake node: answers from memory, and remembers what it was asked."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import trio

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import ForgetRow, Forgotten, Pruned, RestoreDone, RestoreWish


@dataclass
class FakeStorage:
    """``note`` is called with every wish; it may raise."""

    note: Callable[[str], None]
    wishes: list[RestoreWish] = field(default_factory=list[RestoreWish])
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

    async def restore(self, wish: RestoreWish) -> AsyncIterator[Progress | RestoreDone]:
        self.note(f"restore {wish.snapshot} {wish.target} {wish.overwrite}")
        self.wishes.append(wish)
        await trio.lowlevel.checkpoint()
        yield Progress(phase="restore", done=1, total=3, unit="files")
        if wish.snapshot == "late":
            raise LocalFault("the disk is full", hint="free some space")
        if wish.snapshot == "none":
            raise UsageError("there is no snapshot none", hint="see nbctl snapshots")
        yield RestoreDone(snapshot_id=wish.snapshot or "s1", target=wish.target, files=3, size_bytes=5_000_000)

    async def prune(self, *, dry_run: bool) -> AsyncIterator[Progress | Pruned]:
        self.note(f"prune dry={dry_run}")
        yield Progress(phase="reading snapshots", done=1, total=2, unit="snapshots")
        await trio.lowlevel.checkpoint()
        yield self.pruned
