"""What a mint knows beside its tables, a request as it was read, and all that can come of one.

An outcome can be said again at any later time from the rows alone, so no answer is stored and nothing is ever
pending; ``answers`` turns it into signed bytes.
"""

from dataclasses import dataclass
from functools import cached_property

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Refused
from nanobarter.core.ids import Hash, KeysetId, NodeId, NoteId, PublicKey, RequestId, Signature, sha256
from nanobarter.core.units import Instant, LeaseKind, Span
from nanobarter.mint.answer_messages import Contract, Locked, SpentState
from nanobarter.mint.messages import (
    BlindOutput,
    Body,
    ExtendBody,
    IssueBody,
    LockBody,
    Note,
    RedeemBody,
    SwapBody,
    TakeBody,
)
from nanobarter.mint.notes import Keyset, note_id
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
    lock_min: int = 1
    locks_per_node_max: int = 2**31

    def terms_of(self, kind: LeaseKind, now: Instant) -> Hash:
        """Return the terms of promises made now: those of the keyset that issues, changed ones once it is over.

        A window has one keyset, so a lock under other terms could not become notes before the next.
        """
        issuing = [k.announcement for k in self.keysets.values() if k.announcement.kind == kind and k.issuing(now)]
        return max(issuing, key=lambda a: a.generation).terms_hash if issuing else self.terms_hash


def inputs_of(body: Body) -> tuple[Note, ...]:
    """Return the notes that a request gives."""
    return body.inputs if isinstance(body, SwapBody | LockBody | RedeemBody | ExtendBody) else ()


def output_id(output: BlindOutput) -> Hash:
    """Return the name of an output among the issued ones."""
    return sha256(encode(output))


@dataclass(frozen=True)
class Case:
    """A request that was decoded, with its id."""

    request: RequestId
    body: Body
    witnesses: tuple[Signature, ...]
    sender: NodeId | None = None
    """The node that brought it, whoever made it."""

    @cached_property
    def note_ids(self) -> tuple[NoteId, ...]:
        """The ids of the notes it gives, in their order."""
        return tuple(note_id(note) for note in inputs_of(self.body))

    @cached_property
    def output_ids(self) -> tuple[Hash, ...]:
        """The names, among issued ones, of the outputs it asks for, in their order."""
        outputs = self.body.outputs if isinstance(self.body, SwapBody | IssueBody | TakeBody) else ()
        return tuple(output_id(output) for output in outputs)


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
