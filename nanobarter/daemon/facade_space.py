"""What a node tells of notes, its mint and leases: space owed, promised and let. See ``facade``."""

from typing import Literal

from nanobarter.daemon.shape import Part, Shape


class HoldingRow(Part, frozen=True, kw_only=True):
    """Notes of one quality in the wallet."""

    issuer: str
    kind: str
    mib: int
    reserved_mib: int = 0


class WalletView(Shape, frozen=True, kw_only=True, tag="wallet"):
    """The notes that this node holds."""

    holdings: tuple[HoldingRow, ...] = ()


class CapacityRow(Part, frozen=True, kw_only=True):
    """Where the pledged space of one lease kind is: the five others sum to ``pledged_mib``."""

    kind: str
    pledged_mib: int
    outstanding_mib: int
    locked_mib: int
    leased_mib: int
    free_mib: int


class MintStatus(Shape, frozen=True, kw_only=True, tag="mint_status"):
    """The state of this node's own mint."""

    capacity: tuple[CapacityRow, ...] = ()
    keysets: int = 0


class FindingRow(Part, frozen=True, kw_only=True):
    """One row of the mint's books that breaks its law."""

    row: str
    quantity: str
    problem: str


class MintAudit(Shape, frozen=True, kw_only=True, tag="mint_audit"):
    """What the mint's own audit found; ``ok`` when nothing."""

    ok: bool
    findings: tuple[FindingRow, ...] = ()


class LeaseRow(Part, frozen=True, kw_only=True):
    """One lease: ``held`` on a peer's disk, or ``given`` to a peer on this one."""

    lease_id: str
    side: Literal["held", "given"]
    issuer: str
    kind: str
    mib: int
    used_bytes: int
    start: int
    end: int


class Leases(Shape, frozen=True, kw_only=True, tag="leases"):
    """The leases in force."""

    leases: tuple[LeaseRow, ...] = ()
