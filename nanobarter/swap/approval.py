"""Before we bind ourselves: is the issuer there, is the quantity free, what exactly do we promise.

What comes out is a position (``Mine``) whose quantity is reserved until the latest possible T_lock; recording and
saying it is the caller's.
"""

from collections.abc import Callable

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import Hash, NodeId, PublicKey
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.quality import Quality
from nanobarter.core.units import Span, after
from nanobarter.mint.service import Mint
from nanobarter.swap.asking import Asker
from nanobarter.swap.making import make_approve
from nanobarter.swap.messages import DOMAIN_TERMS, SMALL_MAX, Draft, IssuerTerms, TermsQuestion, draft_id_of
from nanobarter.swap.objections import Short, crumb_objection, draft_objection
from nanobarter.swap.policy import Policy
from nanobarter.swap.questions import asks
from nanobarter.swap.standing import Standing, objection
from nanobarter.swap.states import Mine
from nanobarter.swap.terms import SwapTimes
from nanobarter.wallet.service import Wallet


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
        stranger: Callable[[NodeId, Limits], Standing | None],
    ) -> None:
        self._key, self._caller, self._mint, self._wallet = key, caller, mint, wallet
        self._clock, self._entropy, self._limits, self._times = clock, entropy, limits, times
        self._policy, self._asker, self._stranger = policy, asker, stranger

    async def on_terms(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - the same for all
        """Answer "swap.terms": a canonical TermsQuestion in, a canonical Signed IssuerTerms out."""
        kind = decode(body, TermsQuestion, size_max=SMALL_MAX).kind
        answer = IssuerTerms(kind, self._mint.terms_hash(kind), self._clock.now())
        return encode(seal_signed(self._key, DOMAIN_TERMS, answer))

    async def position(self, signed: Signed, draft: Draft, index: int) -> Mine | Refused:
        """Return our position with its quantity reserved, or why we do not take it."""
        refused = draft_objection(draft, index, self._times, self._clock.now())
        if refused := refused or crumb_objection(draft, self._limits.mint_lock_min):
            return refused
        if isinstance(consent := self._asker.consent_to(draft, index), Refused):
            if asks(draft, index):
                return consent
            if index and (refused := self._caution(signed.signer, draft, index)) is not None:
                return refused
        gives, gets = draft.arcs[index].quality, draft.arcs[(index - 1) % len(draft.arcs)].quality
        found: dict[Quality, tuple[PublicKey, Hash] | Refused] = {}
        objections = list[Refused]()

        async def look(quality: Quality) -> None:
            found[quality] = await self._issuer(quality)

        async with trio.open_nursery() as nursery:  # all at once: meanwhile the bid is refused to everybody else

            async def last_look() -> None:
                if (refused := await self._policy.last_look(draft, index, draft_id_of(signed))) is not None:
                    objections.append(refused)
                    nursery.cancel_scope.cancel()

            nursery.start_soon(last_look)
            nursery.start_soon(look, gives)
            nursery.start_soon(look, gets)  # a fresh look whether who shall pay us is there at all
        if objections:
            return objections[0]
        ours, theirs = found[gives], found[gets]
        if isinstance(ours, Refused):
            return ours
        if isinstance(theirs, Refused):
            return theirs
        consent = self._asker.consent_to(draft, index)  # again: the look took its time, the person may have refused
        if not isinstance(consent, Refused):
            await self._asker.use(consent, draft_id_of(signed))
        elif asks(draft, index):
            return consent
        return await self._reserve(signed, draft, index, *ours)

    def _caution(self, proposer: NodeId, draft: Draft, index: int) -> Refused | None:
        """Be careful with proposers of whom we know little, unless our person has spoken or nobody is known better."""
        seen = self._stranger(proposer, self._limits)
        return None if seen is None else objection(draft, index, seen, self._limits, self._clock.now())

    async def _reserve(
        self, signed: Signed, draft: Draft, index: int, issuer: PublicKey, terms: Hash
    ) -> Mine | Refused:
        draft_id, arc = draft_id_of(signed), draft.arcs[index]
        until = after(draft.time, Span(draft.pace.approve + draft.pace.lock))
        refused = await self._wallet.reserve(draft_id, arc.quality, arc.quantity, until)
        if refused is not None:
            return Short(refused.reason, refused.detail, self._wallet.free(arc.quality))
        keys = self._wallet.lock_keys(draft_id, index)
        return make_approve(
            self._key,
            signed,
            index,
            nonce=self._entropy.token(32),
            to_key=keys.to.public,
            refund_key=keys.refund.public,
            issuer=issuer,
            terms_hash=terms,
        )

    async def _issuer(self, quality: Quality) -> tuple[PublicKey, Hash] | Refused:
        """Return an issuer's key and its terms for a kind: of the notes we hold, else as it says now."""
        if quality.issuer == self._key.node_id:
            return self._key.public, self._mint.terms_hash(quality.kind)
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
        return signed.key, self._wallet.terms_hash(quality) or terms.terms_hash
