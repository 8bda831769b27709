"""What a node tells of itself, its peers and the health of what it stores. See ``facade``."""

from typing import Literal

from nanobarter.daemon.shape import Part, Shape

HealthState = Literal["none", "fetching", "good", "thin", "degraded", "below_threshold"]


class PeerRow(Part, frozen=True, kw_only=True):
    """One known node."""

    node: str
    addresses: tuple[str, ...] = ()
    connected: bool = False
    last_seen: int | None = None
    path: str = ""
    """How it is connected: ``out`` (dialled by us), ``in`` or ``relay``; with `` lan`` when it is near."""
    latency_ms: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    """What this connection carried, before encryption."""
    score: int = 50
    """0 to 100: the share of calls to it that were answered; 50 before any, 0 while it is shunned for a breach."""
    convicted: str = ""
    """Of what, when somebody proved fraud of it: its notes are worth nothing here. A clause that begins with "it"."""


class ConvictedRow(Part, frozen=True, kw_only=True):
    """A node that was proven to have committed fraud; ``at`` is when we came to know."""

    node: str
    why: str
    at: int


class Peers(Shape, frozen=True, kw_only=True, tag="peers"):
    """Every node we know of."""

    peers: tuple[PeerRow, ...] = ()


class HolderRow(Part, frozen=True, kw_only=True):
    """One peer that keeps shares of ours: of how many packs, and of how many with a recent valid proof."""

    node: str
    shares: int
    packs: int
    proven: int


class HealthProblem(Part, frozen=True, kw_only=True):
    """One thing that is wrong with what is stored: ``wrong`` (altered, a broken lease), ``silent`` or ``offline``."""

    node: str
    pack: str
    kind: str
    detail: str = ""


class Health(Shape, frozen=True, kw_only=True, tag="health"):
    """What peers have proven to keep. ``below_threshold`` counts packs under k + 0.4 (n - k) proven shares.

    ``lost`` of these cannot be brought back; of ``away`` peers have enough, who are silent or have not proven it.
    ``k`` of ``n`` is the code of most packs, of all unless ``mixed``. Audits are counted since the start of the
    daemon, those of every round.
    """

    state: HealthState = "none"
    packs: int = 0
    k: int = 0
    n: int = 0
    mixed: bool = False
    shares_placed: int = 0
    shares_proven: int = 0
    below_threshold: int = 0
    lost: int = 0
    away: int = 0
    audits_passed: int = 0
    audits_failed: int = 0
    oldest_proof: int | None = None
    holders: tuple[HolderRow, ...] = ()
    problems: tuple[HealthProblem, ...] = ()


class DrillRow(Part, frozen=True, kw_only=True):
    """How the last drill ended: so many files came back, ``compared`` with the disk; no problems when all is well."""

    at: int
    snapshot_id: str = ""
    files: int = 0
    compared: int = 0
    problem_count: int = 0
    problems: tuple[str, ...] = ()


class Bandwidth(Part, frozen=True, kw_only=True):
    """The limits on bulk, in bytes per second; None is none. They hold in these hours; ``in_force`` tells of now."""

    upload_bytes_s: int | None = None
    download_bytes_s: int | None = None
    hours: str = "always"
    in_force: bool = False


class Status(Shape, frozen=True, kw_only=True, tag="status"):
    """The node at a glance. ``config_changed``: config.toml is another one than the node goes by until it restarts."""

    node: str
    version: str
    pid: int
    started: int
    listen: str
    home: str
    config_changed: bool = False
    peers_connected: int = 0
    peers_known: int = 0
    same_host: bool = False
    folders: tuple[str, ...] = ()
    snapshots: int = 0
    last_snapshot: int | None = None
    backup_hours: str = "always"
    drill: DrillRow | None = None
    bandwidth: Bandwidth = Bandwidth()
    offered_mib: int = 0
    lent_mib: int = 0
    held_mib: int = 0
    bids_heard: int = 0
    agreements: int = 0
    convicted: tuple[ConvictedRow, ...] = ()
    health: Health = Health()
    problems: tuple[str, ...] = ()
