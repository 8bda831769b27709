"""What a swap tells its node, each after it is durable; a crash in between may lose the call, not the fact."""

from dataclasses import dataclass

from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, BidId, DraftId, NodeId
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, Quantity
from nanobarter.swap.states import TAKING

Amount = tuple[Quality, Quantity]


@dataclass(frozen=True)
class DraftSeen:
    """Someone, or we ourselves, proposes a ring through this bid of ours."""

    draft_id: DraftId
    bid: BidId
    proposer: NodeId


@dataclass(frozen=True)
class Approved:
    """We reserved our arc and said so."""

    draft_id: DraftId
    bid: BidId
    gives: Amount


@dataclass(frozen=True)
class DraftRefused:
    """A draft ended before an agreement: ``by`` says who refused, or None when nobody answered in time."""

    draft_id: DraftId
    bid: BidId
    by: NodeId | None
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Settled:
    """Both our arcs are paid and what came in is in the wallet."""

    draft_id: DraftId
    bid: BidId
    agreement_id: AgreementId
    gave: Amount
    got: Amount
    parties: tuple[NodeId, ...]


@dataclass(frozen=True)
class Aborted:
    """An agreement ended without us settling.

    ``how`` is aborted (nothing moved), owing (we were paid though our arc came back, and must make it good),
    wronged (we paid and were not paid: an issuer or its outage is to blame), or lapsed.
    """

    draft_id: DraftId
    bid: BidId
    how: str
    reason: Reason
    detail: str
    over: "RingOver | None" = None
    """What there is to book of it, when the draft has ended."""


@dataclass(frozen=True)
class RingOver:
    """How an agreement of ours ended, as the disk remembers it: what we gave, or owe, or got back."""

    agreement_id: AgreementId
    how: str
    gave: Amount
    at: Instant


@dataclass(frozen=True)
class Asked:
    """Persons are asked about a draft before anybody reserves; ``ours`` tells whether our own is one of them.

    As the outcome of ``propose`` it says that the draft follows by itself when all have agreed.
    """

    draft_id: DraftId
    bid: BidId
    proposer: NodeId
    ours: bool


@dataclass(frozen=True)
class Pending:
    """Only as the outcome of ``propose``: the ring is past the vote, and an issuer does not answer yet."""

    draft_id: DraftId
    bid: BidId


def taken_in(event: "SwapEvent") -> Amount | None:
    """Return what an event took of us: what was given, also for nothing, or has to be made good; None: nothing."""
    match event:
        case Settled(gave=gave):
            return gave
        case Aborted(how=how, over=RingOver(gave=gave)) if how in TAKING:
            return gave
        case _:
            return None


def given_in(event: "SwapEvent") -> Quantity:
    """Return what a bid has less after an event."""
    taken = taken_in(event)
    return Quantity(0) if taken is None else taken[1]


SwapEvent = DraftSeen | Asked | Approved | DraftRefused | Settled | Aborted
Outcome = Settled | DraftRefused | Aborted | Pending | Asked
