"""The mint as its node runs it: its keysets, what time does to its promises, and the questions of its own node.

Requests of wallets are served by ``desk``; ``operations`` says what each does to the tables.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Refused
from nanobarter.core.ids import Hash, KeysetId, LeaseId, LockId, NodeId, sha256
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint import audit, keysets, lapses, pledge, restoration, rows, sweep, times
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.answers import Speaker
from nanobarter.mint.desk import Desk
from nanobarter.mint.events import LeaseEnded, LeaseStarted, MintEvent, PromisesLapsed
from nanobarter.mint.notes import Keyset
from nanobarter.mint.outcomes import Book
from nanobarter.mint.pledge import Capacity
from nanobarter.mint.rows import Db
from nanobarter.mint.rsa import make_key
from nanobarter.mint.rules import Lock


class Mint:
    """Issues notes on pledged space and honours them. ``store`` must be running; call ``start`` before ``handle``.

    ``pledged`` is MiB per lease kind; ``service_terms`` is what a lease promises, whose hash notes carry;
    ``heard`` tells whether some peer answers at present, since a mint cut off from all counts as down; ``remembers``
    whether its store is known to be its newest: before, it makes no keysets, since it may have announced others.
    """

    def __init__(  # noqa: PLR0913 - ports, keyword only
        self,
        *,
        store: Store,
        key: SigningKey,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        pledged: dict[LeaseKind, Quantity],
        service_terms: bytes,
        key_source: keysets.KeySource = make_key,
        heard: Callable[[], bool] = lambda: True,
        remembers: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store, self._key, self._clock, self._limits = store, key, clock, limits
        self._entropy = entropy
        self._pledged = {kind: quantity for kind, quantity in pledged.items() if quantity > 0}
        self._key_source, self._heard, self._remembers = key_source, heard, remembers
        self._making = trio.Lock()
        self._observers = list[Callable[[MintEvent], None]]()
        self._book = Book(
            node=key.node_id,
            key=key.public,
            keysets={},
            numbers={},
            terms_hash=sha256(service_terms),
            request_valid_max=limits.request_valid_max,
            locks_max=limits.mint_locks_max,
            alive_gap=limits.mint_alive_gap,
            lock_min=limits.mint_lock_min,
            locks_per_node_max=limits.mint_locks_per_node_max,
        )
        self._speaker = Speaker(store, key)
        self._desk = Desk(
            store=store, clock=clock, limits=limits, book=lambda: self._book, speaker=self._speaker, told=self._tell
        )

    # -- life

    async def start(self) -> None:
        """Take over the pledge, note any outage, make missing keysets (about 0.1 s of a worker per key).

        Raises UsageError when less is pledged than is promised.
        """
        await self.expire()  # what ended while we were away no longer stands against a smaller pledge
        await self._store.write(self._begin)
        await self.make_keysets()

    def _begin(self, db: Db) -> None:
        pledge.set_pledges(db, self._pledged)
        times.mark_alive(db, times.advance_time(db, self._clock.now()), self._limits.mint_alive_gap)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Mark the mint alive, let time do its work and keep keysets ahead of need, until cancelled."""
        tick = min(self._limits.mint_alive_gap / 3, self._limits.mint_sweep_span) / 1000
        async with trio.open_nursery() as nursery:
            await nursery.start(self._desk.run)
            task_status.started()
            while True:
                await self.alive()
                await self.expire()
                await self.make_keysets()
                await trio.sleep(tick)

    async def alive(self) -> None:
        """Durably mark that the mint is up and some peer answers."""
        heard, gap = self._heard(), self._limits.mint_alive_gap
        await self._store.write(
            lambda db: times.mark_alive(db, times.advance_time(db, self._clock.now()), gap, heard=heard)
        )

    async def expire(self) -> None:
        """End what has run out: keysets, locks, leases, reservations; then tell of the ended leases."""
        most = self._limits.mint_sweep_rows_max
        swept = await self._store.write(lambda db: sweep.sweep(db, times.advance_time(db, self._clock.now()), most))
        for lease_id in swept.leases:
            self._tell(LeaseEnded(lease_id))
        for lapse in swept.lapsed:
            self._tell(lapse)
        await self._reload()

    def lapses(self) -> list[PromisesLapsed]:
        """Return the promises that lapsed, as far as they are remembered: observers may have missed them in a crash."""
        return self._store.read_now(lapses.lapses)

    async def repledge(
        self, pledged: Mapping[LeaseKind, Quantity], besides: pledge.Besides = lambda _db, _kind: ()
    ) -> list[pledge.Blocked]:
        """Pledge so much of each kind from now on, or return what stands against it. New kinds get their keysets.

        ``besides`` tells what the node has promised of its space that is no note, lock, lease or reservation here.
        """
        await self.expire()
        blocked = await self._store.write(lambda db: pledge.change_pledges(db, pledged, besides))
        if not blocked:
            self._pledged = {kind: quantity for kind, quantity in pledged.items() if quantity > 0}
            await self.make_keysets()
        return blocked

    async def make_keysets(self) -> None:
        """Make, store and from then on announce the keysets that this hour needs."""
        async with self._making:  # two would make two for one window, and announcing both convicts the issuer
            if self._remembers():
                await self._make_keysets()

    async def _make_keysets(self) -> None:
        await self._reload()
        have = {
            (k.announcement.kind, k.announcement.issue_from) for k in self._book.keysets.values() if not k.withdrawn
        }
        generation = self._store.read_now(restoration.past).generation
        for wanted in keysets.missing(
            list(self._pledged), cast("set[tuple[str, int]]", have), self._now(), self._limits
        ):
            private = dict[Quantity, bytes]()
            for quantity in keysets.denominations(self._pledged.get(wanted.kind, Quantity(1))):
                private[quantity] = await trio.to_thread.run_sync(self._key_source)
            one = replace(wanted, generation=generation)
            signed = keysets.announce(self._key, one, private, self._book.terms_hash, self._limits)

            def add(db: Db, signed: Signed = signed, private: dict[Quantity, bytes] = private) -> None:
                keysets.add(db, signed, private)

            await self._store.write(add)
            await self._reload()

    async def restored(self) -> Signed:
        """Begin a new generation, since the store is older than what was signed; returns the notice to tell to all.

        All notes issued before are refused as retired from now on. New keysets are made at once.
        """
        async with self._making:
            now = self._now()
            withdrawn = {i: replace(k, withdrawn=True) for i, k in self._book.keysets.items()}
            self._book = replace(self._book, keysets=withdrawn)  # before the commit: nothing slips in behind it
            notice = await self._store.write(lambda db: restoration.begin_generation(db, self._key, now))
            self._book = replace(self._book, keysets={}, numbers={})
            await self._reload()
        await self.make_keysets()
        return notice

    async def adopt(self, shown: restoration.Remembered) -> int:
        """Take up again the leases and locks of before a restoration that a holder shows; returns how many leases."""
        me = self._book.node
        taken = await self._store.write(
            lambda db: restoration.adopt(db, me, shown, times.advance_time(db, self._clock.now()))
        )
        for contract in taken:
            self._tell(LeaseStarted(contract))
        return len(taken)

    async def _reload(self) -> None:
        known = set(self._book.keysets)
        stored = await self._store.read(
            lambda db: {KeysetId(i) for (i,) in db.execute("SELECT keyset_id FROM mint_keysets WHERE closed < 2")}
        )
        if stored != known:
            found = await self._store.read(keysets.load)
            self._book = replace(
                self._book,
                keysets={keyset.keyset_id: keyset for _, keyset in found},
                numbers={keyset.keyset_id: number for number, keyset in found},
            )
            self._speaker.keep_only(stored)

    # -- requests

    async def handle(self, peer: NodeId, body: bytes) -> bytes:
        """Answer one request ("mint.request"): a canonical Request in, a canonical Signed Answer out.

        Anyone may relay a request; only new locks are counted, by who brings them. Raises Malformed, blaming the peer,
        when the bytes are no request. Every other no is a signed Refusal.
        """
        return await self._desk.serve(body, peer)

    async def announcements(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - the same for all
        """Answer "mint.announcements": the canonical tuple of signed announcements that are of use now."""
        return encode(tuple(keyset.signed for keyset in self.usable()))

    # -- what the node asks of its own mint

    def observe(self, callback: Callable[[MintEvent], None]) -> None:
        """Call back after each change is durable, in trio's thread. The callback must not block or raise."""
        self._observers.append(callback)

    def usable(self) -> list[Keyset]:
        """Return the keysets whose notes are worth something now or will be issued soon."""
        now = self._now()
        return [k for k in self._book.keysets.values() if not k.withdrawn and now < k.announcement.redeem_until]

    def terms_hash(self, kind: LeaseKind) -> Hash:
        """Return the hash of the service terms that this mint promises now with notes and locks of a kind."""
        return self._book.terms_of(kind, self._now())

    def capacity(self) -> list[Capacity]:
        """Return how the pledged space is promised, per kind."""
        return self._store.read_now(pledge.capacities)

    def lease(self, lease_id: LeaseId) -> Contract | None:
        """Return the newest contract of a running lease."""
        return self._store.read_now(lambda db: rows.find_lease(db, lease_id))

    def leases(self) -> list[Contract]:
        """Return the contracts of all running leases."""
        return self._store.read_now(rows.live_leases)

    def lock(self, lock_id: LockId) -> Lock | None:
        """Return a lock, live or not, that is not purged yet."""
        return self._store.read_now(lambda db: rows.find_lock(db, lock_id))

    def locks(self) -> list[Lock]:
        """Return all locks that hold space."""
        return self._store.read_now(rows.live_locks)

    async def reserve(self, purpose: bytes, kind: LeaseKind, quantity: Quantity, until: Instant) -> Refused | None:
        """Set free space aside for a purpose (1 to 64 bytes), in the place of what it had before."""
        return await self._store.write(
            lambda db: pledge.reserve(db, times.advance_time(db, self._clock.now()), purpose, kind, quantity, until)
        )

    async def unreserve(self, purpose: bytes) -> None:
        """Free what was set aside for a purpose."""
        await self._store.write(lambda db: pledge.drop_reservation(db, purpose))

    def audit(self) -> Sequence[audit.Finding]:
        """Count everything anew and return what does not add up; empty when all is well."""
        return self._store.read_now(audit.audit)

    def _tell(self, event: MintEvent) -> None:
        for callback in self._observers:
            callback(event)

    def _now(self) -> Instant:
        return self._store.read_now(lambda db: times.newest_time(db, self._clock.now()))
