"""Which agreements of others an issuer keeps in mind, so that strangers cannot make it forget those that count.

Anybody can sign an AGREED with keys made for it and name us as the issuer; only whoever has notes of ours, or has us
as a party, gets a lock. So an agreement with a lock that may still be opened stays, and so does one of our own. That
is one that a draft of ours became, one of each: with a single approval of ours its proposer can sign any number. All
others make way: when the time to lock is over, when their signer has brought too many, and the oldest first when the
table is full. One whose locks here are all opened or returned is not needed any more, since those are final.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from nanobarter.core.ids import AgreementId, LockId, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, after
from nanobarter.mint.rules import Lock
from nanobarter.swap.terms import Agreement


class Watched:
    """The agreements with an arc at the mint of ``me``, in the order in which they came."""

    def __init__(self, me: NodeId, limits: Limits, find_lock: Callable[[LockId], Lock | None]) -> None:
        self._me, self._limits, self._find_lock = me, limits, find_lock
        self._known = dict[AgreementId, Agreement]()
        self._held = set[AgreementId]()  # those with a lock here that is neither opened nor returned
        self._over = set[AgreementId]()
        self._coming = dict[AgreementId, Agreement]()

    def __contains__(self, agreement_id: AgreementId) -> bool:
        return agreement_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, agreement: Agreement) -> None:
        """Keep an agreement that is on the disk."""
        self._known[agreement.agreement_id] = agreement
        self.look(agreement.agreement_id)

    def look(self, agreement_id: AgreementId) -> Agreement | None:
        """Return an agreement if it is kept, after a look at what has become of its locks."""
        agreement = self._known.get(agreement_id)
        if agreement is not None:
            locks = self._locks(agreement)
            self._held.discard(agreement_id)
            if any(lock is not None and not lock.outcome for lock in locks):
                self._held.add(agreement_id)
            elif None not in locks:
                self._over.add(agreement_id)
        return agreement

    def is_over(self, agreement: Agreement) -> bool:
        """Tell whether all locks of an agreement here are opened or returned."""
        return all(lock is not None and lock.outcome for lock in self._locks(agreement))

    def has_room(self, agreement: Agreement) -> bool:
        """Tell whether one more of others may be kept, perhaps in the place of another (``make_room``)."""
        theirs = sum(
            a.nodes[0] == agreement.nodes[0] and a.agreement_id not in self._held
            for kept in (self._known, self._coming)
            for a in kept.values()
        )
        is_locked = any(self._locks(agreement))  # the giver says both at once, and the lock may be here first
        if theirs >= self._limits.swap_watched_signer_max and not is_locked:
            return False
        return not self._is_full() or next(self._yielding(), None) is not None

    def make_room(self) -> tuple[AgreementId, ...]:
        """Take out who makes way for one more, if somebody has to; return it, to be taken off the disk as well."""
        gone = next(self._yielding(), None) if self._is_full() else None
        if gone is None:
            return ()
        self._remove(gone)
        return (gone,)

    @contextmanager
    def coming(self, agreement: Agreement) -> Generator[None]:
        """Count an agreement while it is being recorded."""
        self._coming[agreement.agreement_id] = agreement
        try:
            yield
        finally:
            self._coming.pop(agreement.agreement_id, None)

    def drop_over(self, now: Instant) -> tuple[AgreementId, ...]:
        """Take out those of which nothing more will be heard from our mint; return them."""
        gone = [known for known, agreement in self._known.items() if self._is_idle(agreement, now)]
        for known in gone:
            self._remove(known)
        return tuple(gone)

    def _is_idle(self, agreement: Agreement, now: Instant) -> bool:
        known = agreement.agreement_id
        if known in self._over or agreement.take_until < now:
            return True
        if known in self._held or now <= after(agreement.lock_by, self._limits.swap_call_timeout):
            return False  # a lock that was made at the last moment is on the disk by then
        self.look(known)
        return known not in self._held

    def _is_full(self) -> bool:
        return len(self._known) + len(self._coming) >= self._limits.swap_watched_max

    def _yielding(self) -> Iterator[AgreementId]:
        return (k for k, a in self._known.items() if k not in self._held and not self._is_own(a))

    def _is_own(self, agreement: Agreement) -> bool:
        return self._me in agreement.nodes

    def _remove(self, agreement_id: AgreementId) -> None:
        del self._known[agreement_id]
        self._held.discard(agreement_id)
        self._over.discard(agreement_id)

    def _locks(self, agreement: Agreement) -> list[Lock | None]:
        return [self._find_lock(terms.lock_id) for terms in agreement.terms if terms.issuer == self._me]
