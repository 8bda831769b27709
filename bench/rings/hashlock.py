"""What RING-COMMIT is compared with: a ring of hash locks made one after the other, its preimage travelling back.

P_0 alone has a secret. It locks arc 0 and shows the receipt to P_1, which locks arc 1, and so on round the ring. With
arc n-1 in place P_0 opens it, which shows the secret to P_{n-1}, which opens arc n-2, and so on back. So each step
waits for the one before: 2n messages one after the other, where RING-COMMIT needs the same few whatever n is. It uses
the same transport, mints, wallets and disks, and is spared what a real one needs besides: the agreement on the
quantities, the exchange of keys, deadlines that grow along the ring, restarts, and refusals. It is for measuring only.
"""

from collections.abc import Callable, Sequence

import trio

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import InvariantBroken, PeerFault, Refused
from nanobarter.core.ids import AgreementId, Hash, NodeId, PublicKey, sha256
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.ports import Caller, Clock, Registrar
from nanobarter.core.units import DAY, MINUTE, SECOND, LeaseKind, Quantity, Span, after
from nanobarter.mint.answer_messages import DOMAIN_LOCKED, Locked
from nanobarter.mint.events import LockOpened, MintEvent
from nanobarter.mint.messages import LockTerms
from nanobarter.swap.messages import lock_id_of
from nanobarter.wallet.service import Wallet

ToKey = Callable[[int, bytes, int], PublicKey]
"""The key that party number so-and-so takes an arc with, in a ring: agreed on beforehand."""


class Shown(Record, frozen=True):
    """The receipt of the arc that pays the receiver, for the ring of the first ``parties`` nodes."""

    ring: bytes
    parties: int
    receipt: Signed


class HashLock:
    """One node's part. ``nodes`` and ``keys`` are all parties in order; every arc is a fresh issue of its giver."""

    def __init__(  # noqa: PLR0913 - ports are passed by name
        self,
        *,
        number: int,
        nodes: Sequence[NodeId],
        keys: Sequence[PublicKey],
        to_key: ToKey,
        caller: Caller,
        registrar: Registrar,
        wallet: Wallet,
        clock: Clock,
        kind: LeaseKind,
        terms_hash: Hash,
        quantity: Quantity,
        nursery: trio.Nursery,
    ) -> None:
        self._number, self._nodes, self._keys, self._to_key = number, nodes, keys, to_key
        self._caller, self._wallet, self._clock = caller, wallet, clock
        self._kind, self._terms_hash, self._quantity, self._nursery = kind, terms_hash, quantity, nursery
        self._paying: dict[AgreementId, LockTerms] = {}
        self._secrets: dict[bytes, tuple[bytes, ...]] = {}
        self._ends: dict[bytes, trio.Event] = {}
        registrar.add("bench.shown", self._on_shown, body_max=4096)

    async def propose(self, ring: bytes, parties: int) -> None:
        """Run a ring as P_0; returns when its own note is in the wallet."""
        # One would do; a lock of our mints has as many as its ring has parties.
        self._secrets[ring] = tuple(sha256(b"secret %d" % i + ring) for i in range(parties))
        self._ends[ring] = trio.Event()
        hashes = tuple(sha256(secret) for secret in self._secrets[ring])
        await self._lock(ring, parties, hashes)
        await self._ends[ring].wait()
        del self._ends[ring]

    async def _lock(self, ring: bytes, parties: int, hashes: tuple[Hash, ...]) -> None:
        """Lock the own arc and show the receipt to the next party."""
        index, now = self._number, self._clock.now()
        following = (index + 1) % parties
        agreement = AgreementId(sha256(ring))
        deadline = after(now, Span((parties - index) * 15 * MINUTE))
        terms = LockTerms(
            agreement=agreement,
            lock_id=lock_id_of(agreement, index),
            index=index,
            issuer=self._nodes[index],
            kind=self._kind,
            terms_hash=self._terms_hash,
            quantity=self._quantity,
            hashes=hashes,
            to_key=self._to_key(following, ring, following),
            refund_key=self._wallet.lock_keys(ring, index).refund.public,
            deadline=deadline,
            delta=Span(15 * MINUTE),
            take_until=after(deadline, Span(35 * DAY)),
            previous_issuer=self._keys[index - 1 if index else parties - 1],
        )
        locked = await self._wallet.lock(ring, terms, after(now, Span(MINUTE)))
        if isinstance(locked, Refused):
            raise InvariantBroken(f"no lock: {locked}")
        shown = encode(Shown(ring, parties, locked))
        await self._caller.call(self._nodes[following], "bench.shown", shown, timeout=Span(10 * SECOND))

    async def _on_shown(self, peer: NodeId, body: bytes) -> bytes:
        shown = decode(body, Shown, size_max=4096)
        terms = open_signed(shown.receipt, DOMAIN_LOCKED, Locked, size_max=2048).terms
        ours = self._wallet.lock_keys(shown.ring, self._number).to.public
        if shown.receipt.signer != peer or terms.to_key != ours or terms.quantity != self._quantity:
            raise PeerFault("not the lock that was agreed on")
        self._paying[terms.agreement] = terms
        if self._number == 0:
            self._nursery.start_soon(self._collect, terms, self._secrets[shown.ring], shown.ring)
        else:
            self._nursery.start_soon(self._lock, shown.ring, shown.parties, terms.hashes)
        return b""

    def heard(self, event: MintEvent) -> None:
        """Learn the secrets when our own arc is opened, and go on to the one that pays us."""
        if not isinstance(event, LockOpened) or not self._number:
            return
        if (terms := self._paying.get(event.terms.agreement)) is not None:
            self._nursery.start_soon(self._collect, terms, event.preimages, b"")

    async def _collect(self, terms: LockTerms, secrets: tuple[bytes, ...], ring: bytes) -> None:
        opened = await self._wallet.open(terms, secrets)
        if isinstance(opened, Refused):
            raise InvariantBroken(f"not opened: {opened}")
        await self._wallet.take(terms)
        if ring in self._ends:
            self._ends[ring].set()
