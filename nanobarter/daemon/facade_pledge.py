"""What a person pledges and how the mint stands to it: the shapes of the answers, and the door behind them."""

from typing import Literal, Protocol

from nanobarter.daemon.shape import Part, Shape


class SizeRow(Part, frozen=True, kw_only=True):
    """The notes of one size: how many were signed, how many came back."""

    mib: int
    issued: int
    spent: int


class KeysetRow(Part, frozen=True, kw_only=True):
    """One keyset of one kind and window."""

    keyset: str
    kind: str
    generation: int
    stage: Literal["ahead", "issuing", "redeeming", "retired", "purging"]
    issue_from: int
    issue_until: int
    redeem_until: int
    purge_at: int
    outstanding_mib: int
    sizes: tuple[SizeRow, ...] = ()


class MintKeysets(Shape, frozen=True, kw_only=True, tag="mint_keysets"):
    """The keysets of the own mint; at ``next_keys_at`` the next ones are made."""

    generation: int
    next_keys_at: int
    keysets: tuple[KeysetRow, ...] = ()


class PledgeRow(Part, frozen=True, kw_only=True):
    """Where the pledged space of one kind is; ``promised_mib`` is set aside in drafts that are under way."""

    kind: str
    pledged_mib: int
    notes_mib: int
    locked_mib: int
    leased_mib: int
    reserved_mib: int
    promised_mib: int
    free_mib: int


class OfferView(Shape, frozen=True, kw_only=True, tag="offer"):
    """What is offered to others."""

    space_bytes: int
    disk_free_bytes: int
    kinds: tuple[PledgeRow, ...] = ()


class PromiseRow(Part, frozen=True, kw_only=True):
    """So much that is promised until an instant; promises of one sort that end together are one row."""

    what: Literal["notes", "lock", "lease", "reserved"]
    mib: int
    until: int


class BlockedRow(Part, frozen=True, kw_only=True):
    """Why a kind cannot be pledged so little: what has to end before, the first to end first (at most a hundred)."""

    kind: str
    wanted_mib: int
    promised_mib: int
    ends_first: tuple[PromiseRow, ...]


class OfferChanged(Shape, frozen=True, kw_only=True, tag="offer_change"):
    """The offer after a change, or the unchanged offer with what stood against it."""

    changed: bool
    offer: OfferView
    blocked: tuple[BlockedRow, ...] = ()


class PledgeFacade(Protocol):
    """The pledge of one node. Raises what ``NodeFacade`` raises."""

    async def keysets(self) -> MintKeysets:
        """List the keysets of the own mint."""
        ...

    async def offer(self) -> OfferView:
        """Show what is offered."""
        ...

    async def change(self, space: str, kind: str, *, grow: bool) -> OfferChanged:
        """Pledge so much more, or less, of a kind or of all."""
        ...
