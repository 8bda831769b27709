"""Making good: who was paid although its own arc came back pays what it owes, before it issues anything anew.

It happens when our own mint was away at the wrong time: the arc was refunded, and afterwards a secret that we had
given paid us. The lock of the agreement is over, and its issuer must never open it now. So the debt is paid by a lock
of its own: at the same issuer, of the same quantity, to the same key, opened at once by secrets that we make up. The
receiver finds by its own record of the agreement that the key is its own, takes the notes, and only then
acknowledges. The debt is recorded with the end of the draft; each step may be repeated after a crash.
"""

from collections.abc import Callable
from typing import Final

import trio

from nanobarter.core.canonical import Record
from nanobarter.core.errors import Malformed, PeerFault, Refused, Unreachable
from nanobarter.core.ids import AgreementId, DraftId, sha256
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span, after
from nanobarter.mint.messages import LockTerms, Preimage
from nanobarter.swap import tables
from nanobarter.swap.carrier import tell
from nanobarter.swap.messages import AGREED_MAX, SIGNED_EXTRA, agreement_id_of, lock_id_of
from nanobarter.swap.positions import mine_in
from nanobarter.swap.terms import Agreement, agreement_of
from nanobarter.wallet.service import Wallet

DOMAIN_AMENDS: Final = "swap/amends"
AMENDS_MAX: Final = AGREED_MAX + 2 * SIGNED_EXTRA


class Amends(Record, frozen=True):
    """The receiver of the signer's arc, which came back, may take the lock of amends instead.

    The whole AGREED is shown, from which the terms of that lock follow: nothing of them is the sender's to choose.
    """

    agreed: Signed


def secrets_of(terms: LockTerms) -> tuple[Preimage, ...]:
    """Return what opens a lock of amends: no secret of anybody, since its receiver alone has the key to take it."""
    return tuple(sha256(b"amends" + terms.agreement + i.to_bytes(1, "big")) for i in range(len(terms.hashes)))


def amends_terms(agreement: Agreement, index: int) -> LockTerms:
    """Return the terms of the lock that makes good for an arc: the same whenever asked."""
    owed, own = agreement.terms[index], AgreementId(sha256(b"amends" + agreement.agreement_id))
    hashes = tuple(sha256(sha256(b"amends" + own + i.to_bytes(1, "big"))) for i in range(agreement.size))
    return LockTerms(
        agreement=own,
        lock_id=lock_id_of(own, index),
        index=index,
        issuer=owed.issuer,
        kind=owed.kind,
        terms_hash=owed.terms_hash,
        quantity=owed.quantity,
        hashes=hashes,
        to_key=owed.to_key,
        refund_key=owed.refund_key,
        deadline=after(agreement.deadline(0), Span(agreement.pace.take // 2)),  # for us to pay, and for it to take
        delta=owed.delta,
        take_until=owed.take_until,
        previous_issuer=owed.previous_issuer,
    )


class Debtor:
    """Pays the debts of one node, and takes what others pay. Tasks live in the nursery of ``start``."""

    def __init__(
        self, *, key: SigningKey, caller: Caller, wallet: Wallet, store: Store, clock: Clock, limits: Limits
    ) -> None:
        self._key, self._caller, self._wallet = key, caller, wallet
        self._store, self._clock, self._limits = store, clock, limits
        self._start: Callable[..., None] | None = None
        self._owed: dict[DraftId, Agreement] = {}

    def start(self, start: Callable[..., None]) -> None:
        """Take up the debts that the disk remembers; ``start`` starts a task."""
        self._start = start
        self.look()

    def look(self) -> None:
        """Look for debts that are not pursued yet."""
        for draft, (signed, index) in self._store.read_now(tables.debts).items():
            if draft not in self._owed and self._start is not None:
                self._owed[draft] = agreement_of(signed)
                self._start(self._pay, draft, self._owed[draft], index)

    @property
    def owes(self) -> bool:
        """Whether something of our own issue is owed: nothing else is issued before."""
        return any(self._key.node_id in agreement.issuers for agreement in self._owed.values())

    async def _pay(self, draft: DraftId, agreement: Agreement, index: int) -> None:
        terms, paid = amends_terms(agreement, index), False
        self._wallet.lock_keys(draft, index)
        receiver = agreement.nodes[(index + 1) % agreement.size]
        message = seal_signed(self._key, DOMAIN_AMENDS, Amends(agreement.signed))
        pause = self._limits.swap_retry_first
        while self._clock.now() <= terms.take_until:
            try:
                paid = paid or await self._lock_and_open(draft, terms)
                if paid:
                    self._owed.pop(draft, None)
                    if await tell(self._caller, receiver, "swap.amends", message, self._limits.swap_call_timeout):
                        break
            except (Unreachable, PeerFault, Malformed):
                pass  # the issuer or the receiver is away
            await trio.sleep(pause / SECOND)
            pause = Span(min(2 * pause, self._limits.swap_poll_max))
        self._owed.pop(draft, None)
        await self._store.write(lambda db: tables.drop_debt(db, draft))

    async def _lock_and_open(self, draft: DraftId, terms: LockTerms) -> bool:
        until = after(self._clock.now(), Span(self._limits.request_valid_max // 2))
        locked = await self._wallet.lock(draft, terms, until)
        return not isinstance(locked, Refused) and not isinstance(
            await self._wallet.open(terms, secrets_of(terms)), Refused
        )

    async def on_amends(self, signed: Signed) -> bool:
        """Take what makes good for an arc that should have paid us; acknowledged when it is in the wallet.

        Of an agreement that we have signed and know nothing of, as after a copy was put back, the debtor hears that we
        have nothing, and keeps the debt: it says so again until the notes lapse, and our record may be found by then.
        """
        agreed = open_signed(signed, DOMAIN_AMENDS, Amends, size_max=AMENDS_MAX).agreed
        found = self._store.read_now(lambda db: tables.find_agreed(db, agreement_id_of(agreed)))
        agreement = agreement_of(agreed)
        if found is None:
            return self._key.node_id not in agreement.nodes or self._clock.now() > agreement.take_until
        draft, state = found
        mine = mine_in(state)
        paying = agreement.incoming(mine.index)
        if signed.signer != agreement.nodes[paying]:
            return True  # nobody else owes us this
        self._wallet.lock_keys(draft, mine.index)
        return not isinstance(await self._wallet.take(amends_terms(agreement, paying)), Refused)
