"""Answers about snapshots as a person reads them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

import msgspec

from nanobarter.cli.show_explain import explain_lines
from nanobarter.cli.table import table, when
from nanobarter.core.units import show_size
from nanobarter.daemon import storage_facade as f
from nanobarter.daemon.facade_explain import Explained
from nanobarter.daemon.shape import Shape


def lines_of(answer: dict[str, Any]) -> Iterator[str]:
    """Return the lines that tell an answer; its JSON shape is in daemon.storage_facade."""
    shape, tell = _TELLERS[answer["type"]]
    return tell(msgspec.convert(answer, shape))


def _forget(done: f.Forgotten) -> Iterator[str]:
    if done.policy:
        yield f"keeping {done.policy}"
    yield from table(("snapshot", "made", "files", "size", "folders", "why"), _rows(done), "there is no snapshot")
    would = "would be " if done.dry_run else ""
    yield f"{len(done.forgotten)} {would}forgotten, {len(done.kept)} kept"
    if done.warning:
        yield f"attention: {done.warning}"
    if done.forgotten and not done.dry_run:
        yield "their space is freed by nbctl prune"


def _rows(done: f.Forgotten) -> Iterable[tuple[str, ...]]:
    rows = [(row, "kept: " + ", ".join(row.reasons)) for row in done.kept]
    rows += [(row, "would go" if done.dry_run else "forgotten") for row in done.forgotten]
    for row, why in sorted(rows, key=lambda pair: pair[0].at):
        size = show_size(row.size_bytes)
        yield (row.snapshot_id[:12], when(row.at), str(row.files), size, ", ".join(row.folders), why)


def _prune(done: f.Pruned) -> Iterator[str]:
    verb = "would be freed" if done.dry_run else "freed"
    yield f"{show_size(done.freed_bytes)} at peers {verb}, in {done.seconds:.1f} s"
    yield f"of {done.packs} packs {done.unused} were not needed at all, {done.emptied} mostly not; {done.new_packs} new"
    if done.stray:
        yield f"{done.stray} packs of uploads that were cut off"
    if done.waiting_shares:
        yield f"{done.waiting_shares} shares are deleted when their peers answer"
    yield from (f"not read: {one}" for one in done.unread)
    if done.short:
        yield f"not finished: {done.short}"
    if done.missing_chunks:
        yield f"{done.missing_chunks} pieces that snapshots need are in no known pack: see nbctl check"


def _listing(found: f.Listing) -> Iterator[str]:
    for row in found.rows:
        mark = {"folder": "/", "link": "@", "device": "%"}.get(row.kind, "")
        yield f"{row.mode:04o} {row.owner:<10} {show_size(row.size_bytes):>10} {when(row.changed)} {row.path}{mark}"
    if not found.rows:
        yield "nothing is there"
    if found.more:
        yield "and more; name a folder or a narrower pattern"


def _diff(found: f.Differences) -> Iterator[str]:
    signs = {"added": "+", "removed": "-", "changed": "M", "attributes": "a"}
    for kind, path in found.changes:
        yield f"{signs[kind]} {path}"
    if found.more:
        yield "and more"


def _check(done: f.Checked) -> Iterator[str]:
    yield f"{done.snapshots} snapshots need {done.packs} packs; {done.read_packs} packs were read, {done.seconds:.1f} s"
    yield from done.unreadable
    yield from (f"damaged: {one}" for one in done.damaged)
    if done.missing_chunks:
        yield f"{done.missing_chunks} pieces that snapshots need are in no known pack: back up again"
    if done.mended:
        yield f"{done.mended} entries of the index here were wrong, and are as the packs say again; check once more"
    if done.below_threshold:
        yield f"{done.below_threshold} packs are below their repair threshold: see nbctl health"
    if not (done.mended or done.unreadable or done.damaged or done.missing_chunks or done.below_threshold):
        yield "all is there"


def _drill(done: f.Drilled) -> Iterator[str]:
    yield f"{done.files} files, {show_size(done.size_bytes)} came back over the network in {done.seconds:.1f} s"
    yield f"{done.compared} of them were compared with the disk, byte by byte; the others have changed since"
    yield from done.problems


def recover_lines(done: f.RecoverDone) -> Iterator[str]:
    """Return the lines that tell what a phrase brings back."""
    if done.scanned:
        yield "no peer has the vault's head; this is what its shares tell, forgotten snapshots may be among it:"
    rows = (
        (row.snapshot_id[:12], when(row.at), str(row.files), show_size(row.size_bytes), ", ".join(row.folders))
        for row in done.snapshots
    )
    yield from table(("snapshot", "made", "files", "size", "folders"), rows, "no snapshot was found")
    if done.policies:
        yield "the policies of the lost node are there: --config FILE writes them"


_TELLERS: Final = cast(
    "dict[str, tuple[type[Shape], Callable[[Shape], Iterator[str]]]]",
    {
        "forget": (f.Forgotten, _forget),
        "prune": (f.Pruned, _prune),
        "listing": (f.Listing, _listing),
        "diff": (f.Differences, _diff),
        "check": (f.Checked, _check),
        "drill": (f.Drilled, _drill),
        "explain": (Explained, explain_lines),
    },
)
