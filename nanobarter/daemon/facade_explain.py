"""What a node tells about one path: why it is kept or not, and who holds it. See ``storage_facade``."""

from typing import Literal

from nanobarter.daemon.shape import Part, Shape

Verdict = Literal["kept", "changed", "new", "excluded", "skipped", "outside", "missing", "gone", "unknown"]
"""In this order: in the newest snapshot as on the disk; there, but changed since; not in the newest one; left out by
a rule; unreadable, or of a kind that is never kept; in no folder that is backed up; nowhere at all; on the disk no
more; not to be told now."""


class ExplainRule(Part, frozen=True, kw_only=True):
    """The rule that leaves a path out; ``at`` is the path, or the folder above it, that the rule meets.

    ``line`` of config.toml has the pattern; 0 for rules that no line of the config makes.
    """

    rule: str
    at: str
    line: int = 0


class ExplainShare(Part, frozen=True, kw_only=True):
    """One share at one peer. ``proven`` is when it was last proven; None: never."""

    node: str
    index: int
    state: str
    proven: int | None = None
    silent_since: int | None = None


class ExplainPack(Part, frozen=True, kw_only=True):
    """One pack with so many pieces of the path. ``proven`` distinct peers proved their share not long ago.

    ``pack`` is empty for pieces that no known pack has. ``verdict`` is that of the pack's health.
    """

    pack: str
    pieces: int
    k: int = 0
    n: int = 0
    proven: int = 0
    verdict: str = "lost"
    oldest_proof: int | None = None
    shares: tuple[ExplainShare, ...] = ()


class ExplainSnapshot(Part, frozen=True, kw_only=True):
    """One snapshot of a folder that holds the path. ``present``: it has the path; ``trouble``: what it notes about it.

    ``lost`` says what could not be read, so that nothing is known; ``away``: it may be when peers are back.
    """

    snapshot_id: str
    at: int
    present: bool
    kind: str = ""
    size_bytes: int = 0
    changed: int = 0
    trouble: str = ""
    lost: str = ""
    away: bool = False


class Explained(Shape, frozen=True, kw_only=True, tag="explain"):
    """Why a path is kept or not, and where: the packs are those of the newest snapshot that has it.

    ``snapshots`` are newest first, at most a hundred; ``packs`` are at most a hundred of ``pack_count``.
    """

    path: str
    verdict: Verdict
    why: str
    on_disk: str
    folder: str = ""
    rule: ExplainRule | None = None
    snapshots: tuple[ExplainSnapshot, ...] = ()
    packs: tuple[ExplainPack, ...] = ()
    pack_count: int = 0
    below_threshold: int = 0
    oldest_proof: int | None = None
