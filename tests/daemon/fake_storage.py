"""The storage side of the fake node: answers from memory, and remembers what it was asked."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import trio
from msgspec import structs

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.daemon.facade_explain import Explained, ExplainPack, ExplainRule, ExplainShare, ExplainSnapshot
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import (
    Checked,
    Differences,
    Drilled,
    ForgetRow,
    Forgotten,
    Listing,
    ListRow,
    Pruned,
    RestoreDone,
    RestoreWish,
)


@dataclass
class FakeStorage:
    """``note`` is called with every wish; it may raise."""

    note: Callable[[str], None]
    listing: Listing = Listing(
        snapshot_id="ab" * 32,
        rows=(ListRow(path="/home/ada/x", kind="file", mode=0o644, owner="ada", size_bytes=5, changed=0),),
    )
    differences: Differences = Differences(
        old="", new="", changes=(("added", "/home/ada/new"), ("changed", "/home/ada/old"))
    )
    checked: Checked = Checked(snapshots=1, packs=2)
    drilled: Drilled = Drilled(snapshot_id="ab" * 32, files=3, compared=2)
    explained: Explained = Explained(
        path="/home/ada/x",
        verdict="kept",
        why="the newest snapshot has it",
        on_disk="a file",
        folder="/home/ada",
        snapshots=(ExplainSnapshot(snapshot_id="ab" * 32, at=0, present=True, kind="a file", size_bytes=5),),
        packs=(
            ExplainPack(
                pack="ef" * 32, pieces=1, k=1, n=2, proven=2, verdict="healthy", oldest_proof=60_000,
                shares=(ExplainShare(node="nb1peer", index=0, state="held", proven=60_000),),
            ),
        ),
        pack_count=1,
        oldest_proof=60_000,
    )  # fmt: skip
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

    async def ls(self, snapshot: str, path: str) -> AsyncIterator[Progress | Listing]:
        self.note(f"ls {snapshot} {path}")
        await trio.lowlevel.checkpoint()
        yield self.listing

    async def find(self, snapshot: str, pattern: str) -> AsyncIterator[Progress | Listing]:
        self.note(f"find {snapshot} {pattern}")
        await trio.lowlevel.checkpoint()
        yield self.listing

    async def diff(self, one: str, other: str) -> AsyncIterator[Progress | Differences]:
        self.note(f"diff {one} {other}")
        await trio.lowlevel.checkpoint()
        yield structs.replace(self.differences, old=one, new=other)

    async def check(self, *, read_data: bool) -> AsyncIterator[Progress | Checked]:
        self.note(f"check {read_data}")
        await trio.lowlevel.checkpoint()
        yield self.checked

    async def drill(self, snapshot: str, files: int) -> AsyncIterator[Progress | Drilled]:
        self.note(f"drill {snapshot} {files}")
        await trio.lowlevel.checkpoint()
        yield self.drilled

    async def explain(self, path: str) -> AsyncIterator[Progress | Explained]:
        self.note(f"explain {path}")
        await trio.lowlevel.checkpoint()
        rule = ExplainRule(rule='exclude = "*.tmp"', at=path, line=7) if path.endswith(".tmp") else None
        yield structs.replace(self.explained, path=path, rule=rule, **({"snapshots": ()} if rule else {}))
