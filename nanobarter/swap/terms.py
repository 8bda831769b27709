"""From AGREED to the exact terms of every lock, and to the instants at which things end.

Everything here follows from the signed AGREED alone, so all parties and issuers derive the same bytes and can
compare a LOCKED field by field. The deadlines are staggered against the direction of payment: arc n-1, which
pays the proposer, ends first, arc 0 last. Whoever sees its own arc paid at the last moment has one delta left
to collect from the arc before it (the idea of hash-lock chains, here with all n hashes in every lock).
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import AgreementId, DraftId, NodeId, PublicKey, node_id_of
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.units import DAY, MINUTE, SECOND, Instant, Span, after, span_between
from nanobarter.mint.answer_messages import DOMAIN_LOCKED, Locked
from nanobarter.mint.messages import LockTerms, Preimage
from nanobarter.swap.messages import (
    AGREED_MAX,
    DOMAIN_AGREED,
    Agreed,
    Approve,
    Pace,
    agreement_id_of,
    hash_of,
    lock_id_of,
    open_approve,
)

LOCKED_MAX: Final = 1024


@dataclass(frozen=True)
class SwapTimes:
    """The ``[swap]`` part of the configuration. Shorter spans are for demos and tests, which should say so.

    ``delta`` is how long an issuer may be away without harm to anyone; ``deltas`` are those we accept from
    proposers. ``clock_off`` is how far another node's clock may be from ours. ``ask`` is how long a draft that waits
    for persons lives.
    """

    approve: Span = Span(10 * SECOND)
    lock: Span = Span(60 * SECOND)
    vote: Span = Span(120 * SECOND)
    delta: Span = Span(15 * MINUTE)
    take: Span = Span(35 * DAY)
    clock_off: Span = Span(60 * SECOND)
    more_deltas: tuple[Span, ...] = (Span(60 * MINUTE),)
    ask: Span = Span(DAY)

    @property
    def pace(self) -> Pace:
        """What our own drafts say."""
        return Pace(self.approve, self.lock, self.vote, self.delta, self.take)

    def accepts(self, pace: Pace) -> bool:
        """Tell whether we take part in rings of this pace: all spans as ours, the delta a configured one."""
        own = self.pace
        return pace.delta in (self.delta, *self.more_deltas) and pace == Pace(
            own.approve, own.lock, own.vote, pace.delta, own.take
        )

    def near(self, theirs: Instant, now: Instant) -> bool:
        """Tell whether an instant that another node calls "now" is close enough to ours."""
        return max(span_between(theirs, now), span_between(now, theirs)) <= self.clock_off


@dataclass(frozen=True)
class Agreement:
    """A checked AGREED: signed by P_0, with the approvals of n distinct nodes in order, all hashes distinct."""

    signed: Signed
    agreement_id: AgreementId
    draft_id: DraftId
    start: Instant
    pace: Pace
    approvals: tuple[Approve, ...]
    nodes: tuple[NodeId, ...]
    signed_approvals: tuple[Signed, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """The number of parties, n."""
        return len(self.approvals)

    @property
    def lock_by(self) -> Instant:
        """T_lock: a lock made later is void, since its request has expired."""
        return after(self.start, self.pace.lock)

    @property
    def vote_by(self) -> Instant:
        """T_vote: nobody votes later, and whoever has not voted has left."""
        return after(self.start, self.pace.vote)

    def deadline(self, index: int) -> Instant:
        """Return D_j of an arc: until then it may be opened, from then on refunded."""
        return after(self.vote_by, Span((self.size - index) * self.pace.delta))

    @property
    def take_until(self) -> Instant:
        """When what nobody took lapses."""
        return after(self.deadline(0), self.pace.take)

    def incoming(self, index: int) -> int:
        """Return the arc that pays P_index."""
        return (index - 1) % self.size

    @cached_property
    def terms(self) -> tuple[LockTerms, ...]:
        """The terms of all n locks."""
        return tuple(self._terms(j) for j in range(self.size))

    @cached_property
    def issuers(self) -> tuple[NodeId, ...]:
        """M_0 .. M_{n-1}; a node may appear more than once, and need not be a party."""
        return tuple(node_id_of(a.issuer) for a in self.approvals)

    def issuer_key(self, index: int) -> PublicKey:
        """Return the node key of M_index."""
        return self.approvals[index].issuer

    def is_fresh(self, index: int) -> bool:
        """Tell whether the giver of an arc is its issuer, so that the lock is made from free space."""
        return self.nodes[index] == self.issuers[index]

    def opened_by(self, preimages: tuple[Preimage, ...]) -> bool:
        """Tell whether these are the n secrets, in order."""
        return len(preimages) == self.size and all(self.is_secret(i, s) for i, s in enumerate(preimages))

    def is_secret(self, index: int, secret: Preimage) -> bool:
        """Tell whether this is s_index."""
        return hash_of(secret) == self.approvals[index].hash

    def _terms(self, index: int) -> LockTerms:
        own, receiver = self.approvals[index], self.approvals[(index + 1) % self.size]
        return LockTerms(
            agreement=self.agreement_id,
            lock_id=lock_id_of(self.agreement_id, index),
            index=index,
            issuer=self.issuers[index],
            kind=own.kind,
            terms_hash=own.terms_hash,
            quantity=own.quantity,
            hashes=tuple(a.hash for a in self.approvals),
            to_key=receiver.to_key,
            refund_key=own.refund_key,
            deadline=self.deadline(index),
            delta=self.pace.delta,
            take_until=self.take_until,
            previous_issuer=self.issuer_key(self.incoming(index)),
        )


@lru_cache(maxsize=256)
def agreement_of(signed: Signed) -> Agreement:
    """Return what an AGREED says. Raises Malformed, blaming whoever signed it, when it contradicts itself.

    Not checked here: that it fits a draft that we approved (``machine``).
    """
    agreed = open_signed(signed, DOMAIN_AGREED, Agreed, size_max=AGREED_MAX)
    approvals = tuple(open_approve(a) for a in agreed.approvals)
    nodes = tuple(a.signer for a in agreed.approvals)
    if any(a.draft != agreed.draft or a.index != i for i, a in enumerate(approvals)):
        raise Malformed("an approval is for another draft or another position")
    if len(set(nodes)) != len(nodes):
        raise Malformed("a node approves twice")
    if len({a.hash for a in approvals}) != len(approvals):
        raise Malformed("two approvals commit to the same hash")
    if agreed.approvals[0].key != signed.key:
        raise Malformed("it is not signed by the giver of arc 0")
    return Agreement(
        signed=signed,
        agreement_id=agreement_id_of(signed),
        draft_id=agreed.draft,
        start=agreed.start,
        pace=agreed.pace,
        approvals=approvals,
        nodes=nodes,
        signed_approvals=agreed.approvals,
    )


def open_locked(signed: Signed) -> Locked:
    """Return the LOCKED inside, or raise Malformed. Whether the signer is the issuer is checked apart."""
    return open_signed(signed, DOMAIN_LOCKED, Locked, size_max=LOCKED_MAX)


def first_difference(wanted: LockTerms, got: LockTerms) -> str | None:
    """Return the name of the first field in which two terms differ, or None when they are the same bytes."""
    for name in LockTerms.__struct_fields__:
        if encode(getattr(wanted, name)) != encode(getattr(got, name)):
            return name
    return None


def locked_objection(agreement: Agreement, signed: Signed) -> str | None:
    """Return why a LOCKED is not what was agreed, naming the field; None when it may be voted on.

    The signature is taken as checked (``open_locked``); how far the issuer's clock is off is for the voter to judge.
    """
    locked = open_locked(signed)
    index = locked.terms.index
    if index >= agreement.size:
        return f"arc {index} of a ring of {agreement.size}"
    if signed.key != agreement.issuer_key(index):
        return "signed by another key than the issuer's"
    if (field_name := first_difference(agreement.terms[index], locked.terms)) is not None:
        return f"{field_name} is not as agreed"
    return None
