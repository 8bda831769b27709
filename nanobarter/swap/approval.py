"""Before we bind ourselves: is the issuer there, is the quantity free, what exactly do we promise.

First a look, which asks others and so takes its time, and holds nothing of ours; then a position (``Mine``) whose
quantity is reserved until the latest possible T_lock. Recording and saying it is the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import DraftId, Hash, NodeId, PublicKey
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.quality import Quality
from nanobarter.core.units import SECOND, Span, after
from nanobarter.mint.service import Mint
from nanobarter.swap.asking import Asker
from nanobarter.swap.making import make_approve
from nanobarter.swap.messages import DOMAIN_TERMS, SMALL_MAX, Draft, IssuerTerms, TermsQuestion, draft_id_of, open_draft
from nanobarter.swap.objections import Short, crumb_objection, draft_objection
from nanobarter.swap.policy import Policy
from nanobarter.swap.questions import asks
from nanobarter.swap.states import Mine
from nanobarter.swap.terms import SwapTimes
from nanobarter.wallet.service import Wallet


@dataclass(frozen=True)
class Looked:
    """What a look found: who makes our lock and under which terms, and those under which we are to be paid."""

    issuer: PublicKey
    terms: Hash
    pays_under: Hash
    consent: DraftId | None
    """The question in which our person agreed."""


@dataclass(frozen=True)
class _Issuer:
    """An issuer, and what it promises now."""

    key: PublicKey
    terms: Hash


class Approver:
    """Makes positions, and answers other parties who ask for our terms as an issuer ("swap.terms")."""

    def __init__(  # noqa: PLR0913 - ports are passed by name
        self,
        *,
        key: SigningKey,
        caller: Caller,
        mint: Mint,
        wallet: Wallet,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        times: SwapTimes,
        policy: Policy,
        asker: Asker,
        objection: Callable[[Draft, int, Limits], Refused | None],
    ) -> None:
        self._key, self._caller, self._mint, self._wallet = key, caller, mint, wallet
        self._clock, self._entropy, self._limits, self._times = clock, entropy, limits, times
        self._policy, self._asker, self._objection = policy, asker, objection

    async def on_terms(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - the same for all
        """Answer "swap.terms": a canonical TermsQuestion in, a canonical Signed IssuerTerms out."""
        kind = decode(body, TermsQuestion, size_max=SMALL_MAX).kind
        answer = IssuerTerms(kind, self._mint.terms_hash(kind), self._clock.now())
        return encode(seal_signed(self._key, DOMAIN_TERMS, answer))

    async def look(self, signed: Signed, draft: Draft, index: int) -> Looked | Refused:
        """Return what there is to know before we take a position, or why we do not take it. Bounded in time."""
        if (refused := self._refusal(draft, index)) is not None:
            return refused
        arcs = draft.arcs
        found: dict[Quality, _Issuer | Refused] = {}
        objections = list[Refused]()

        async def look(quality: Quality) -> None:
            found[quality] = await self._issuer(quality)

        async def last_look(scope: trio.CancelScope) -> None:
            if (refused := await self._policy.last_look(draft, index, draft_id_of(signed))) is not None:
                objections.append(refused)
                scope.cancel()

        with trio.move_on_after(self._limits.swap_look_max / SECOND) as patience:
            async with trio.open_nursery() as nursery:  # all at once: others who want the bid are not waiting for us
                nursery.start_soon(last_look, nursery.cancel_scope)
                for quality in {arcs[index].quality, arcs[index - 1].quality}:  # who shall pay us: is it there at all
                    nursery.start_soon(look, quality)
        if objections:
            return objections[0]
        if patience.cancelled_caught:
            return Refused(Reason.NOT_FOUND, "the issuers, or our own policy, took too long to answer")
        ours, theirs = found[arcs[index].quality], found[arcs[index - 1].quality]
        if isinstance(ours, Refused):
            return ours
        if isinstance(theirs, Refused):
            return theirs
        # Again, since the look took its time: the person may have refused, and other rings may have begun.
        if (refused := self._refusal(draft, index)) is not None:
            return refused
        newest = self._policy.newest(draft.bids[index])
        if newest is None or newest.sequence != draft.bids[index].sequence:
            return Refused(Reason.UNKNOWN_BID, "this version of the bid no longer stands")
        consent = self._asker.consents.find(draft, index)
        terms = self._wallet.terms_hash(arcs[index].quality) or ours.terms
        return Looked(ours.key, terms, theirs.terms, None if isinstance(consent, Refused) else consent)

    async def position(self, signed: Signed, index: int, looked: Looked) -> Mine | Refused:
        """Return our position with its quantity reserved, or why we do not take it."""
        draft, draft_id = open_draft(signed), draft_id_of(signed)
        arc, until = draft.arcs[index], after(draft.time, Span(draft.pace.approve + draft.pace.lock))
        if looked.consent is not None and (no := await self._asker.consents.use(looked.consent, draft_id)) is not None:
            return no
        refused = await self._wallet.reserve(draft_id, arc.quality, arc.quantity, until)
        if refused is not None:
            return Short(refused.reason, refused.detail, self._wallet.free(arc.quality))
        if (no := self.taken_back(looked)) is not None:
            await self._wallet.unreserve(draft_id)
            return no
        keys = self._wallet.lock_keys(draft_id, index)
        return make_approve(
            self._key,
            signed,
            index,
            nonce=self._entropy.token(32),
            to_key=keys.to.public,
            refund_key=keys.refund.public,
            issuer=looked.issuer,
            terms_hash=looked.terms,
        )

    def taken_back(self, looked: Looked) -> Refused | None:
        """Return why the consent of a position stands no more, or None. She may refuse while we record things."""
        return None if looked.consent is None else self._asker.consents.taken_back(looked.consent)

    def _refusal(self, draft: Draft, index: int) -> Refused | None:
        """Return what can be said against a draft without asking anybody."""
        refused = draft_objection(draft, index, self._times, self._clock.now())
        if refused := refused or crumb_objection(draft, self._limits.mint_lock_min):
            return refused
        consent = self._asker.consents.find(draft, index)
        if not isinstance(consent, Refused):
            return None  # a person has spoken
        return consent if asks(draft, index) else self._objection(draft, index, self._limits)

    async def _issuer(self, quality: Quality) -> _Issuer | Refused:
        """Return an issuer's key and the terms of what it promises now."""
        if quality.issuer == self._key.node_id:
            return _Issuer(self._key.public, self._mint.terms_hash(quality.kind))
        try:
            raw = await self._caller.call(
                quality.issuer,
                "swap.terms",
                encode(TermsQuestion(quality.kind)),
                timeout=self._limits.swap_call_timeout,
            )
            signed = decode(raw, Signed, size_max=SMALL_MAX)
            terms = open_signed(signed, DOMAIN_TERMS, IssuerTerms, size_max=SMALL_MAX)
        except (Unreachable, PeerFault, Malformed) as error:
            return Refused(Reason.NOT_FOUND, f"the issuer of {quality} does not answer: {error}"[:200])
        if signed.signer != quality.issuer or terms.kind != quality.kind:
            return Refused(Reason.BAD_SIGNATURE, f"another node answers for the issuer of {quality}")
        if not self._times.near(terms.at, self._clock.now()):
            return Refused(Reason.CLOCK_OFF, f"the issuer of {quality} has another time than we")
        return _Issuer(signed.key, terms.terms_hash)
