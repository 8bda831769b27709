"""What a mint knows beside its tables, a request as it was read, and all that can come of one.

An outcome can be said again at any later time from the rows alone, so no answer is stored and nothing is ever
pending; ``answers`` turns it into signed bytes.
"""

from dataclasses import dataclass

from nanobarter.core.errors import Refused
from nanobarter.core.ids import Hash, KeysetId, NodeId, PublicKey, RequestId, Signature
from nanobarter.core.units import Instant, Span
from nanobarter.mint.messages import BlindOutput, Body, Contract, Locked, SpentState
from nanobarter.mint.notes import Keyset
from nanobarter.mint.rules import Lock


@dataclass(frozen=True)
class Book:
    """What a mint knows without asking its tables; replaced as a whole when a keyset comes or goes."""

    node: NodeId
    key: PublicKey
    keysets: dict[KeysetId, Keyset]
    numbers: dict[KeysetId, int]
    terms_hash: Hash
    request_valid_max: Span
    locks_max: int
    alive_gap: Span


@dataclass(frozen=True)
class Case:
    """A request that was decoded, with its id."""

    request: RequestId
    body: Body
    witnesses: tuple[Signature, ...]


@dataclass(frozen=True)
class Minting:
    """Sign these outputs blindly; an empty place stays empty."""

    at: Instant
    outputs: tuple[BlindOutput | None, ...]


@dataclass(frozen=True)
class Locking:
    """A lock was made, now or before."""

    locked: Locked


@dataclass(frozen=True)
class Settling:
    """A lock has its outcome."""

    lock: Lock


@dataclass(frozen=True)
class Leasing:
    """A lease was started or extended."""

    contract: Contract


@dataclass(frozen=True)
class Telling:
    """What became of notes and locks."""

    at: Instant
    spent: tuple[SpentState, ...]
    locks: tuple[Lock, ...]


@dataclass(frozen=True)
class No:
    """Nothing was changed, and why."""

    refused: Refused
    at: Instant
    spent: SpentState | None = None


Outcome = Minting | Locking | Settling | Leasing | Telling | No


@dataclass(frozen=True)
class Done:
    """An outcome, and whether this very call brought it about (then observers hear of it)."""

    outcome: Outcome
    first: bool = False
