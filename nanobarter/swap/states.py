"""What is true of one draft at one node, and the facts that change it.

States are stored as they are (docs/spec/swap.md, "Stored states"), so each is a record with a tag. A party walks
Approved, Locking, Voted, Opened, Ended; the proposer walks Gathering, Collecting, Committing, Opened, Ended;
Aborted is the way out for both once an agreement exists. ``machine`` moves between them.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.errors import Reason
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.units import Instant
from nanobarter.mint.messages import PARTIES_MAX, Index, Preimage
from nanobarter.swap.messages import Detail

Receipts = Annotated[tuple[Signed | None, ...], Meta(max_length=PARTIES_MAX)]
Secrets = Annotated[tuple[Preimage | None, ...], Meta(max_length=PARTIES_MAX)]
Preimages = Annotated[tuple[Preimage, ...], Meta(max_length=PARTIES_MAX)]
Leg = Literal["pending", "opened", "returned", "absent"]
Outcome = Literal["settled", "refused", "cancelled", "expired", "aborted", "wronged", "owing", "lapsed"]
TAKING: Final[tuple[Outcome, ...]] = ("settled", "owing", "wronged")
"""Outcomes that take of a bid what was promised: as agreed, by a debt, or for nothing."""


class Mine(Record, frozen=True):
    """My position: the bid that it serves, my signed approval, and the secret that is my vote."""

    index: Index
    bid: BidId
    secret: Preimage
    approval: Signed


class Deal(Record, frozen=True):
    """An agreement that I am a party of."""

    agreed: Signed
    mine: Mine


class Notice(Record, frozen=True):
    """Whom I still tell that the ring is dead, and why: a REFUSE to the proposer, or its CANCEL to all."""

    to: Annotated[tuple[NodeId, ...], Meta(max_length=PARTIES_MAX)]
    until: Instant
    reason: Reason
    detail: Detail


class Approved(Record, frozen=True, tag="approved"):
    """Party: my arc is reserved and I said so."""

    draft: Signed
    mine: Mine


class Locking(Record, frozen=True, tag="locking"):
    """Party: all approved. I lock my arc, and gather the LOCKED of all. I have not voted."""

    deal: Deal
    receipts: Receipts


class Voted(Record, frozen=True, tag="voted"):
    """My secret is out of my hands: my arc may be paid, or come back to me after its deadline.

    ``receipt`` is my own arc's LOCKED, which others may still need to vote; the proposer keeps none.
    """

    deal: Deal
    receipt: Signed | None


class Doomed(Voted, frozen=True, tag="doomed"):
    """As Voted; but a party has refused meanwhile, so that it is not the proposer's fault if nobody opens the ring."""

    refusal: Signed | None = None


class Gathering(Record, frozen=True, tag="gathering"):
    """Proposer: the draft is out, the approvals come in."""

    draft: Signed
    mine: Mine
    approvals: Receipts


class Collecting(Record, frozen=True, tag="collecting"):
    """Proposer: AGREED is out, LOCKED and votes come in. My own secret is still mine alone."""

    deal: Deal
    receipts: Receipts
    votes: Secrets


class Committing(Record, frozen=True, tag="committing"):
    """Proposer: I hold all secrets and show them to one node only, the issuer of the arc that pays me."""

    deal: Deal
    preimages: Preimages


class Opened(Record, frozen=True, tag="opened"):
    """All secrets are known. ``proofs`` are the issuers' receipts of opened or released arcs."""

    deal: Deal
    preimages: Preimages
    proofs: Receipts
    incoming: Leg = "pending"
    outgoing: Leg = "pending"
    taken: bool = False
    taken_back: bool = False


class Aborted(Record, frozen=True, tag="aborted"):
    """I never voted, or my arc came back: I give up what pays me and fetch what is mine."""

    deal: Deal
    notice: Notice
    incoming: Leg = "pending"
    outgoing: Leg = "pending"
    taken_back: bool = False


class Spoilt(Aborted, frozen=True, tag="spoilt"):
    """Proposer: aborted since a party refused what it had approved. Its signed word shows the others who it was."""

    refusal: Signed | None = None


class Ended(Record, frozen=True, tag="ended"):
    """Nothing is left to do but to tell those who may still wait."""

    draft: DraftId
    mine: Mine
    outcome: Outcome
    by: NodeId | None
    notice: Notice


State = Approved | Locking | Voted | Doomed | Gathering | Collecting | Committing | Opened | Aborted | Spoilt | Ended


@dataclass(frozen=True)
class ApprovalReceived:
    """An APPROVE whose signature was checked. ``fresh``: its hash was never seen in another draft.

    ``fits``: if it is what pays us, it does so under the terms that its issuer named.
    """

    signed: Signed
    fresh: bool
    fits: bool = True


@dataclass(frozen=True)
class RefusalReceived:
    """A REFUSE whose signature was checked."""

    signed: Signed


@dataclass(frozen=True)
class AgreementReceived:
    """An AGREED that ``terms.agreement_of`` takes. ``fresh``: none of its hashes was seen in another draft.

    ``fits``: it pays us under the terms that the issuer named.
    """

    signed: Signed
    fresh: bool
    fits: bool = True


@dataclass(frozen=True)
class CancelReceived:
    """A CANCEL whose signature was checked."""

    signed: Signed


@dataclass(frozen=True)
class LockedReceived:
    """A LOCKED whose signature was checked, of any arc, from anyone."""

    signed: Signed


@dataclass(frozen=True)
class LockFailed:
    """Our own lock cannot be made, or the owner withdraws before the vote."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class VoteReceived:
    """A VOTE whose signature was checked."""

    signed: Signed


@dataclass(frozen=True)
class LegSeen:
    """The issuer of an arc says, signed, what became of its lock; ``absent``: it knows none.

    ``at`` is when it was opened or returned; of others, when it says so. ``receipt`` is the answer about this one
    lock, which serves as a proof elsewhere; None when it came in a list. ``released`` is a lock that was given back by
    whom it would have paid.
    """

    index: int
    leg: Leg
    at: Instant
    preimages: Preimages
    receipt: Signed | None
    released: bool = False


@dataclass(frozen=True)
class LegTaken:
    """What a lock of ours held is in the wallet, or back in our free space."""

    index: int


@dataclass(frozen=True)
class TimePassed:
    """Look at the clock."""


@dataclass(frozen=True)
class Restarted:
    """The node was down; this state is what the disk remembers."""


Given = (
    ApprovalReceived
    | RefusalReceived
    | AgreementReceived
    | CancelReceived
    | LockedReceived
    | LockFailed
    | VoteReceived
    | LegSeen
    | LegTaken
    | TimePassed
    | Restarted
)
