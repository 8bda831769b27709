"""The leases that this vault holds at others: made from notes in steps, filled exactly, extended in time.

A lease's bytes are those of the placements under it, those under way included, so a crash forgets nothing. A
little of each stays free for the vault's head. Notes become leases in steps, since a lease's term runs from the day
it is made: at least 64 MiB, and half of what is held at that issuer already.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import LeaseId, NodeId, PublicKey
from nanobarter.core.keys import Signed, SigningKey, open_signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import MIB, Instant, Quantity, after, quantity_for, span_between, term
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, Contract
from nanobarter.storage.lead import renewal_lead

_CONTRACT_MAX: Final = 4096
_CONTRACTS_KEPT: Final = 1024  # decoded: each share that is placed looks at all leases


class Holding(Protocol):
    """Notes of one quality in the wallet; ``reserved`` of them are promised elsewhere."""

    @property
    def quality(self) -> Quality:
        """Whose notes, for how long."""
        ...

    @property
    def quantity(self) -> Quantity:
        """All of them, MiB."""
        ...

    @property
    def reserved(self) -> Quantity:
        """How many of them are promised, MiB."""
        ...


class LeaseSource(Protocol):
    """Where leases come from: the wallet."""

    def holdings(self) -> Sequence[Holding]:
        """Return the notes held, by quality."""
        ...

    async def redeem(self, quality: Quality, quantity: Quantity, holder: PublicKey) -> Signed | Refused:
        """Return a contract, signed under DOMAIN_CONTRACT, for a lease of so many MiB paid with notes."""
        ...

    def leases(self) -> Sequence[Signed]:
        """Return the newest contract of each live lease, those of calls that a crash cut off too."""
        ...

    async def extend(self, contract: Contract, holder_key: SigningKey, keep: Quantity) -> Signed | Refused:
        """Return the contract of the lease with one more term from its old end, paid with notes."""
        ...


@dataclass(frozen=True)
class HeldLease:
    """One live lease and how full it is. ``used_bytes`` counts shares, not the head."""

    lease_id: LeaseId
    issuer: NodeId
    quota_bytes: int
    used_bytes: int
    starts_at: Instant
    ends_at: Instant
    contract: Signed


def room_bytes(lease: HeldLease, head_reserve: int) -> int:
    """Return what shares may still take."""
    return max(lease.quota_bytes - head_reserve - lease.used_bytes, 0)


def renewal_due(lease: HeldLease, now: Instant, term_span: int, on: float = 1.0) -> bool:
    """Tell whether a third of the term, or less, is left; more of it when the machine is seldom on (``lead``)."""
    return span_between(now, lease.ends_at) <= renewal_lead(term_span, on)


def read_contract(signed: Signed, holder: PublicKey) -> Contract:
    """Return the contract inside. Raises PeerFault unless its issuer signed it for this holder."""
    try:
        contract = open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=_CONTRACT_MAX)
    except Malformed as error:
        raise PeerFault(f"the contract cannot be read: {error}", evidence=encode(signed)) from None
    if signed.signer != contract.issuer or contract.terms.holder != holder:
        raise PeerFault("the contract is not this vault's, or not signed by its issuer", evidence=encode(signed))
    return contract


# -- rows


_LIVE = """
    SELECT l.lease_id, l.issuer, l.quota_bytes,
        coalesce((SELECT used_bytes FROM storage_lease_use AS u WHERE u.lease_id = l.lease_id), 0),
        l.starts_at, l.ends_at, l.contract
    FROM storage_leases AS l WHERE l.ends_at > ? ORDER BY l.ends_at DESC, l.lease_id
"""


@lru_cache(maxsize=_CONTRACTS_KEPT)
def _contract_of(raw: bytes) -> Signed:
    return decode(raw, Signed, size_max=_CONTRACT_MAX)


def live_leases(db: sqlite3.Connection, now: Instant) -> list[HeldLease]:
    """Return the leases that have not ended, the longest first."""
    return [HeldLease(*row[:6], contract=_contract_of(row[6])) for row in db.execute(_LIVE, (now,)).fetchall()]


def keep_contract(db: sqlite3.Connection, signed: Signed, contract: Contract) -> None:
    """Keep a lease, or its newer version."""
    db.execute(
        "INSERT INTO storage_leases VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "quota_bytes = excluded.quota_bytes, ends_at = excluded.ends_at, contract = excluded.contract "
        "WHERE excluded.ends_at >= ends_at",
        (
            contract.lease_id,
            contract.issuer,
            contract.terms.quantity * MIB,
            contract.start,
            contract.end,
            encode(signed),
        ),
    )


class LeaseBook:
    """The leases of one vault."""

    def __init__(
        self, *, store: Store, source: LeaseSource, holder: SigningKey, clock: Clock, limits: Limits = LIMITS
    ) -> None:
        self._store = store
        self._source = source
        self._holder = holder
        self._clock = clock
        self._limits = limits
        self.on: Callable[[], float] = lambda: 1.0
        """Tells which part of the time this machine is on."""
        self._redeeming = dict[NodeId, trio.Lock]()
        self._full = dict[NodeId, Instant]()  # until when the space that they owe is not counted on
        self._pending = dict[LeaseId, int]()  # bytes given out whose placements are not recorded yet

    def live(self) -> list[HeldLease]:
        """Return the leases that have not ended."""
        now = self._clock.now()
        return self._store.read_now(lambda db: live_leases(db, now))

    def capacity(self) -> dict[NodeId, int]:
        """Return, by issuer, the bytes that shares may take: in leases, and in notes that could become leases.

        Notes leave the wallet a moment before their lease is in the book; until then the wallet's copy counts.
        """
        reserve, found = self._limits.lease_head_reserve_bytes, dict[NodeId, int]()
        live = self.live()
        for lease in live:
            found[lease.issuer] = found.get(lease.issuer, 0) + room_bytes(lease, reserve)
        for held in self._source.holdings():
            room = (held.quantity - held.reserved) * MIB - reserve
            found[held.quality.issuer] = found.get(held.quality.issuer, 0) + max(room, 0)
        for lease in self._unkept(live):  # read last: what left the holdings meanwhile is here
            room = max(lease.terms.quantity * MIB - reserve, 0)
            found[lease.issuer] = found.get(lease.issuer, 0) + room
        return found

    def _unkept(self, live: Sequence[HeldLease]) -> list[Contract]:
        """Return the leases of this vault that the wallet has and the book does not have yet."""
        ids, contracts = {lease.lease_id for lease in live}, {encode(lease.contract) for lease in live}
        found, now = list[Contract](), self._clock.now()
        for signed in self._source.leases():
            if encode(signed) not in contracts:
                with suppress(PeerFault):  # of another holder
                    contract = read_contract(signed, self._holder.public)
                    if contract.lease_id not in ids and contract.end > now:
                        found.append(contract)
        return found

    async def lease_for(self, issuer: NodeId, size: int) -> HeldLease | Refused:
        """Return a lease at this issuer with room for a share, making one from notes when none has.

        The room is set aside until ``recorded`` is called with the same lease and size, once the placement is in
        the store or was given up. Raises Unreachable and PeerFault.
        """
        async with self._redeeming.setdefault(issuer, trio.Lock()):
            found = self._with_room(issuer, size)
            if found is None and any(lease.issuer == issuer for lease in self._unkept(self.live())):
                await self.adopt()
                found = self._with_room(issuer, size)
            if found is None:
                no = await self._redeem(issuer, size)
                found = self._with_room(issuer, size)
                if no is not None or found is None:
                    return no or Refused(Reason.NO_CAPACITY, "the new lease has no room")
            self._pending[found.lease_id] = self._pending.get(found.lease_id, 0) + size
            return found

    def recorded(self, lease_id: LeaseId, size: int) -> None:
        """Give back what ``lease_for`` set aside: from now on the placement itself counts."""
        self._pending[lease_id] -= size
        if not self._pending[lease_id]:
            del self._pending[lease_id]

    def took(self, issuer: NodeId, no: Refused | None) -> None:
        """Note that an issuer took a share under a lease with room, or that it did not."""
        if no is None:
            self._full.pop(issuer, None)
        elif no.reason == Reason.DISK_FULL:
            self._full[issuer] = after(self._clock.now(), self._limits.share_full_rest)

    def full(self) -> set[NodeId]:
        """Return the issuers whose disk had no room lately for what they owe: space is to be sought elsewhere."""
        now = self._clock.now()
        return {node for node, until in self._full.items() if until > now}

    async def keep(self, signed: Signed) -> Contract:
        """Take a lease made elsewhere, for instance out of a swap. Raises PeerFault when it is not this vault's."""
        contract = read_contract(signed, self._holder.public)
        await self._store.write(lambda db: keep_contract(db, signed, contract))
        return contract

    async def adopt(self) -> int:
        """Take the leases of this vault that the wallet received while nobody waited; return how many were new."""
        known, count = {lease.lease_id: lease.ends_at for lease in self.live()}, 0
        for signed in self._source.leases():
            try:
                contract = read_contract(signed, self._holder.public)
            except PeerFault:
                continue  # of another holder
            if contract.end > max(self._clock.now(), known.get(contract.lease_id, 0)):
                await self.keep(signed)
                count += 1
        return count

    async def extend_due(self, *, but: Collection[LeaseId] = ()) -> list[tuple[LeaseId, Refused | None]]:
        """Extend each lease that comes up for renewal and has shares in it; return how each attempt went.

        Only what is used is kept, with the head's reserve: an emptied lease ends by itself, and so do those of
        ``but``.
        """
        now, went = self._clock.now(), list[tuple[LeaseId, Refused | None]]()
        for lease in self.live():
            contract = read_contract(lease.contract, self._holder.public)
            due = renewal_due(lease, now, term(contract.terms.kind), self.on())
            if due and lease.used_bytes and lease.lease_id not in but:
                went.append((lease.lease_id, await self._extend(lease, contract)))
        return went

    async def _extend(self, lease: HeldLease, contract: Contract) -> Refused | None:
        needed = quantity_for(lease.used_bytes + self._limits.lease_head_reserve_bytes)
        keep = Quantity(min(needed, contract.terms.quantity))
        try:
            answer = await self._source.extend(contract, self._holder, keep)
            if isinstance(answer, Refused):
                return answer
            await self.keep(answer)
        except (Unreachable, PeerFault) as error:
            return Refused(Reason.BUSY, str(error))
        return None

    def _with_room(self, issuer: NodeId, size: int) -> HeldLease | None:
        for lease in self.live():
            left = room_bytes(lease, self._limits.lease_head_reserve_bytes) - self._pending.get(lease.lease_id, 0)
            if lease.issuer == issuer and left >= size:
                return lease
        return None

    async def _redeem(self, issuer: NodeId, size: int) -> Refused | None:
        mine = [held for held in self._source.holdings() if held.quality.issuer == issuer]
        least = quantity_for(size + self._limits.lease_head_reserve_bytes)
        fitting = [held for held in mine if held.quantity - held.reserved >= least]
        if not fitting:
            return Refused(Reason.NO_CAPACITY, f"no notes for {least} MiB at this peer")
        chosen = max(fitting, key=lambda held: (term(held.quality.kind), held.quantity))
        leased = sum(lease.quota_bytes for lease in self.live() if lease.issuer == issuer) // MIB
        wanted = max(least, self._limits.lease_step_quantity, leased // 2)
        quantity = Quantity(min(wanted, chosen.quantity - chosen.reserved))
        answer = await self._source.redeem(chosen.quality, quantity, self._holder.public)
        if isinstance(answer, Refused):
            return answer
        await self.keep(answer)
        return None
