"""Leases bought with notes: the notes leave the wallet, the signed contract stays in it."""

from collections.abc import Callable

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Refused
from nanobarter.core.ids import PublicKey, sha256
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.ports import Entropy
from nanobarter.core.quality import Quality
from nanobarter.core.units import Quantity
from nanobarter.mint.answer_messages import Contract, Leased
from nanobarter.mint.messages import Body, ExtendBody, LeaseTerms, RedeemBody
from nanobarter.wallet.acts import Acts, no_of
from nanobarter.wallet.payments import Payment, Payments
from nanobarter.wallet.rows import Cheque, Held, Meaning


class Leases:
    """Turns notes into leases and lengthens them."""

    def __init__(self, *, entropy: Entropy, payments: Payments, acts: Acts) -> None:
        self._entropy, self._payments, self._acts = entropy, payments, acts

    async def redeem(
        self, quality: Quality, quantity: Quantity, holder: PublicKey, *, purpose: bytes | None = None
    ) -> Signed | Refused:
        """Turn notes into a lease of ``holder``; returns the signed contract.

        With a ``purpose`` the call is repeatable and pays out of its reservation; without one each call is a new
        lease, and one that was cut off by a crash is finished in the background and shows in ``leases``.
        """
        name = self._entropy.token(16) if purpose is None else purpose
        subject = b"redeem" + sha256(encode((name, quality.issuer, quality.kind, quantity, holder)))

        def body(notes: list[Held]) -> Body:
            lease = LeaseTerms(quality.kind, quantity, holder)
            return RedeemBody(quality.issuer, self._acts.until(), tuple(h.note for h in notes), lease)

        payment = Payment(name, quality, quantity, None, self._acts.until())
        return await self._pay_lease(subject, payment, "redeem", body, [])

    async def extend(
        self, contract: Contract, holder_key: SigningKey, keep: Quantity, *, purpose: bytes = b""
    ) -> Signed | Refused:
        """Lengthen a lease by one term from its old end, for ``keep`` MiB paid in notes of its kind and terms."""
        subject = b"extend" + contract.lease_id + contract.version.to_bytes(8, "big")
        quality = Quality(contract.issuer, contract.terms.kind)

        def body(notes: list[Held]) -> Body:
            inputs = tuple(h.note for h in notes)
            return ExtendBody(contract.issuer, self._acts.until(), inputs, contract.lease_id, keep)

        payment = Payment(purpose, quality, keep, contract.terms_hash, self._acts.until())
        return await self._pay_lease(subject, payment, "extend", body, [holder_key])

    async def _pay_lease(
        self,
        subject: bytes,
        payment: Payment,
        how: str,
        body_of: Callable[[list[Held]], Body],
        more: list[SigningKey],
    ) -> Signed | Refused:
        async def make() -> Cheque | Refused:
            async with self._payments.turn(payment.quality):
                notes = await self._payments.exact(payment)
                if isinstance(notes, Refused):
                    return notes
                meaning = Meaning(payment.quality, payment.terms_hash, payment.quantity, how)
                signers = self._payments.keys(notes) + more
                return await self._payments.write(
                    body_of(notes), signers, subject, meaning, notes=notes, purpose=payment.purpose
                )

        answer = await self._acts.act(subject, make)
        return answer.contract if isinstance(answer, Leased) else no_of(answer)
