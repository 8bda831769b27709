"""An explanation of one path as a person reads it."""

from collections.abc import Iterator

from nanobarter.cli.table import short, table, when
from nanobarter.core.units import show_size
from nanobarter.daemon.facade_explain import Explained, ExplainPack, ExplainSnapshot


def explain_lines(told: Explained) -> Iterator[str]:
    """Return the lines that tell why a path is kept or not, and where it is."""
    yield f"{told.path}: {told.verdict}, {told.why}"
    yield f"on the disk: {told.on_disk}" + (f", in the folder {told.folder}" if told.folder else "")
    if told.rule is not None:
        where = f", line {told.rule.line} of config.toml" if told.rule.line else ""
        at = "" if told.rule.at == told.path else f", which leaves out {told.rule.at}"
        yield f"rule: {told.rule.rule}{where}{at}"
    if told.snapshots:
        yield from table(("snapshot", "made", "there", "size", "changed"), map(_snapshot, told.snapshots), "")
    if told.pack_count:
        yield f"the newest of these is in {told.pack_count} packs, the least proven first:"
        yield from (line for pack in told.packs for line in _pack(pack))
        yield f"the oldest proof that counts is of {when(told.oldest_proof)}"
    if told.below_threshold:
        yield f"{told.below_threshold} of them are below the repair threshold: see nbctl health"


def _snapshot(row: ExplainSnapshot) -> tuple[str, ...]:
    unread = f"not to be read now: {row.lost}" if row.away else f"LOST: {row.lost}"
    there = row.kind if row.present else unread if row.lost else "no"
    there += f" ({row.trouble})" if row.trouble else ""
    size = show_size(row.size_bytes) if row.kind == "a file" else ""
    return (row.snapshot_id[:12], when(row.at), there, size, when(row.changed) if row.present else "")


def _pack(pack: ExplainPack) -> Iterator[str]:
    if not pack.pack:
        yield f"  {pack.pieces} pieces are in no known pack: back up again"
        return
    yield f"  pack {pack.pack[:12]}: {pack.pieces} pieces; any {pack.k} of {pack.n} shares, {pack.proven} proven"
    for share in pack.shares:
        told = f"share {share.index} at {short(share.node)}: "
        told += f"{share.state}, proven {when(share.proven)}"
        yield "    " + told + (f", silent since {when(share.silent_since)}" if share.silent_since is not None else "")
