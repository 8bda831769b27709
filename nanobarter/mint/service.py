"""The mint as its node runs it: requests come in, are committed together, signed, and answered.

Order is the whole safety: look up, authorise, commit, sign, answer, and tell the node's own observers. A crash
between any two loses nothing, since an answer can be made again from the rows (``operations``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never, cast

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import InvariantBroken, NanobarterError, Reason, Refused
from nanobarter.core.ids import Hash, KeysetId, LeaseId, LockId, NodeId, sha256
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint import audit, keysets, operations, rows, sweep
from nanobarter.mint.blind import blind_sign
from nanobarter.mint.events import (
    LeaseEnded,
    LeaseExtended,
    LeaseStarted,
    LockMade,
    LockOpened,
    LockReturned,
    MintEvent,
)
from nanobarter.mint.messages import (
    DOMAIN_ANSWER,
    DOMAIN_CONTRACT,
    DOMAIN_LOCKED,
    REQUEST_BYTES_MAX,
    Answer,
    BlindOutput,
    Body,
    Contract,
    Leased,
    LockAnswer,
    Minted,
    Refusal,
    Request,
    States,
    request_id_of,
)
from nanobarter.mint.notes import Keyset
from nanobarter.mint.operations import Book, Case, Done, Leasing, Locking, Minting, No, Outcome, Settling, Telling
from nanobarter.mint.rows import Db
from nanobarter.mint.rsa import RawKey, load_key, make_key
from nanobarter.mint.rules import Lock, epoch_of, room

DETAIL_MAX = 200


@dataclass(frozen=True)
class Capacity:
    """How the pledged space of one kind is promised, in MiB."""

    kind: LeaseKind
    pledged: Quantity
    outstanding: Quantity
    locked: Quantity
    leased: Quantity
    reserved: Quantity
    free: Quantity


@dataclass
class _Reply:
    """Where the answer to one request will be."""

    done: trio.Event = field(default_factory=trio.Event)
    answer: bytes = b""
    error: NanobarterError | None = None


class Mint:
    """Issues notes on pledged space and honours them. ``store`` must be running; call ``start`` before ``handle``.

    ``pledged`` is MiB per lease kind; ``service_terms`` is what a lease promises, whose hash notes carry;
    ``heard`` tells whether some peer answers at present, since a mint cut off from all counts as down.
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
    ) -> None:
        self._store, self._key, self._clock, self._limits = store, key, clock, limits
        self._entropy = entropy
        self._pledged = {kind: quantity for kind, quantity in pledged.items() if quantity > 0}
        self._key_source, self._heard = key_source, heard
        self._observers = list[Callable[[MintEvent], None]]()
        self._keys = dict[tuple[KeysetId, Quantity], RawKey]()
        self._workers: trio.Nursery | None = None
        self._book = Book(
            node=key.node_id,
            key=key.public,
            keysets={},
            numbers={},
            terms_hash=sha256(service_terms),
            request_valid_max=limits.request_valid_max,
            locks_max=limits.mint_locks_max,
            alive_gap=limits.mint_alive_gap,
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
        sweep.set_pledges(db, self._pledged)
        rows.mark_alive(db, rows.advance_time(db, self._clock.now()), self._limits.mint_alive_gap)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Mark the mint alive, let time do its work and keep keysets ahead of need, until cancelled."""
        tick = min(self._limits.mint_alive_gap / 3, self._limits.mint_sweep_span) / 1000
        try:
            async with trio.open_nursery() as self._workers:
                task_status.started()
                while True:
                    await self.alive()
                    await self.expire()
                    await self.make_keysets()
                    await trio.sleep(tick)
        finally:
            self._workers = None

    async def alive(self) -> None:
        """Durably mark that the mint is up and some peer answers."""
        heard, gap = self._heard(), self._limits.mint_alive_gap
        await self._store.write(
            lambda db: rows.mark_alive(db, rows.advance_time(db, self._clock.now()), gap, heard=heard)
        )

    async def expire(self) -> None:
        """End what has run out: keysets, locks, leases, reservations; then tell of the ended leases."""
        most = self._limits.mint_sweep_rows_max
        ended = await self._store.write(lambda db: sweep.sweep(db, rows.advance_time(db, self._clock.now()), most))
        for lease_id in ended:
            self._tell(LeaseEnded(lease_id))
        await self._reload()

    async def make_keysets(self) -> None:
        """Make, store and from then on announce the keysets that this hour needs."""
        await self._reload()
        have = {(k.announcement.kind, k.announcement.issue_from) for k in self._book.keysets.values()}
        for wanted in keysets.missing(
            list(self._pledged), cast("set[tuple[str, int]]", have), self._now(), self._limits
        ):
            private = dict[Quantity, bytes]()
            for quantity in keysets.denominations(self._pledged[wanted.kind]):
                private[quantity] = await trio.to_thread.run_sync(self._key_source)
            signed = keysets.announce(self._key, wanted, private, self._book.terms_hash, self._limits)

            def add(db: Db, signed: Signed = signed, private: dict[Quantity, bytes] = private) -> None:
                keysets.add(db, signed, private)

            await self._store.write(add)
            await self._reload()

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
            self._keys = {name: key for name, key in self._keys.items() if name[0] in stored}

    # -- requests

    async def handle(self, peer: NodeId, body: bytes) -> bytes:  # noqa: ARG002 - anyone may relay a request
        """Answer one request ("mint.request"): a canonical Request in, a canonical Signed Answer out.

        Raises Malformed, blaming the peer, when the bytes are no request. Every other no is a signed Refusal.
        """
        request = decode(body, Request, size_max=REQUEST_BYTES_MAX)
        inner = decode(request.body, cast("type[Body]", Body), size_max=REQUEST_BYTES_MAX)
        case = Case(request_id_of(request.body), inner, request.witnesses)
        if self._workers is None:
            return encode(await self._serve(case))
        # A peer that hangs up cancels this handler, but what it asked for may be committed already, and then our
        # own observers must hear of it. So the work belongs to ``run``, and only the waiting to the peer.
        reply = _Reply()
        self._workers.start_soon(self._serve_into, case, reply)
        await reply.done.wait()
        if reply.error is not None:
            raise reply.error
        return reply.answer

    async def _serve_into(self, case: Case, reply: "_Reply") -> None:
        try:
            reply.answer = encode(await self._serve(case))
        except NanobarterError as error:
            reply.error = error
            if isinstance(error, InvariantBroken):
                raise
        finally:
            reply.done.set()

    async def _serve(self, case: Case) -> Signed:
        done = await self._decide(case)
        signed, event = await trio.to_thread.run_sync(self._say, case, done)
        if event is not None:
            self._tell(event)
        return signed

    async def _decide(self, case: Case) -> Done:
        if case.body.mint != self._book.node:
            return Done(No(Refused(Reason.WRONG_MINT, "the request is for another mint"), self._now()))
        book = self._book
        early = await self._store.read(lambda db: self._look_up(db, book, case))
        if early is not None:
            return Done(early)
        return await self._store.write(lambda db: operations.apply(db, book, case, self._clock.now()))

    def _look_up(self, db: Db, book: Book, case: Case) -> Outcome | None:
        now = self._now_in(db)
        if (before := operations.replay(db, book, case, now)) is not None:
            return before
        refused = operations.authorise(db, book, case)
        return None if refused is None else No(refused, now)

    def _say(self, case: Case, done: Done) -> tuple[Signed, MintEvent | None]:
        """Sign the answer, and make the event if this call changed something. Runs in a worker thread."""
        answer = self._answer(case, done.outcome)
        signed = seal_signed(self._key, DOMAIN_ANSWER, answer)
        return signed, self._event(done.outcome, answer, signed) if done.first else None

    def _answer(self, case: Case, outcome: Outcome) -> Answer:
        match outcome:
            case Minting(at, outputs):
                return Minted(case.request, at, epoch_of(at), tuple(self._sign(o) for o in outputs))
            case Locking(locked):
                return LockAnswer(case.request, seal_signed(self._key, DOMAIN_LOCKED, locked))
            case Settling(lock):
                return operations.state_of(lock, case.request)
            case Leasing(contract):
                return Leased(case.request, seal_signed(self._key, DOMAIN_CONTRACT, contract))
            case Telling(at, spent, locks):
                return States(case.request, at, spent, tuple(operations.history_of(x, case.request) for x in locks))
            case No(refused, at, spent):
                return Refusal(case.request, refused.reason, at, refused.detail[:DETAIL_MAX], spent)
            case _:
                assert_never(outcome)

    def _event(self, outcome: Outcome, answer: Answer, signed: Signed) -> MintEvent | None:
        match outcome:
            case Locking() if isinstance(answer, LockAnswer):
                return LockMade(answer.locked)
            case Settling(lock) if lock.outcome == "opened":
                return LockOpened(lock.terms, lock.preimages, signed)
            case Settling(lock) if lock.how:
                return LockReturned(lock.terms, lock.how, signed)
            case Leasing(contract):
                return LeaseStarted(contract) if contract.version == 1 else LeaseExtended(contract)
            case _:
                return None

    def _sign(self, output: BlindOutput | None) -> bytes:
        if output is None:
            return b""
        name = (output.keyset, output.quantity)
        key = self._keys.get(name)
        if key is None:
            key = load_key(self._store.read_now(lambda db: rows.private_key(db, *name)))
            self._keys[name] = key
        return blind_sign(key, output.blinded)

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
        return [k for k in self._book.keysets.values() if now < k.announcement.redeem_until]

    def terms_hash(self, kind: LeaseKind) -> Hash:  # noqa: ARG002 - all kinds of a node share their terms today
        """Return the hash of the service terms that this mint's notes of a kind promise."""
        return self._book.terms_hash

    def capacity(self) -> list[Capacity]:
        """Return how the pledged space is promised, per kind."""
        sql = (
            "SELECT kind, pledged, outstanding, locked, leased, reserved, "
            "pledged - outstanding - locked - leased - reserved FROM mint_totals ORDER BY kind"
        )
        return [Capacity(*row) for row in self._store.read_now(lambda db: db.execute(sql).fetchall())]

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

        def change(db: Db) -> Refused | None:
            now = rows.advance_time(db, self._clock.now())
            held = rows.one(db, "SELECT quantity FROM mint_reservations WHERE purpose = ? AND kind = ?", purpose, kind)
            if until <= now or quantity < 1:
                return Refused(Reason.TOO_LATE, "a reservation of nothing, or until a time that has passed")
            if no := room(rows.free(db, kind) + (held[0] if held else 0), quantity):
                return no
            sweep.drop_reservation(db, purpose)
            rows.move(db, kind, reserved=quantity)
            db.execute("INSERT INTO mint_reservations VALUES (?, ?, ?, ?)", (purpose, kind, quantity, until))
            return None

        return await self._store.write(change)

    async def unreserve(self, purpose: bytes) -> None:
        """Free what was set aside for a purpose."""
        await self._store.write(lambda db: sweep.drop_reservation(db, purpose))

    def audit(self) -> Sequence[audit.Finding]:
        """Count everything anew and return what does not add up; empty when all is well."""
        return self._store.read_now(audit.audit)

    def _tell(self, event: MintEvent) -> None:
        for callback in self._observers:
            callback(event)

    def _now(self) -> Instant:
        """Return a time that no durable mark contradicts."""
        return self._store.read_now(self._now_in)

    def _now_in(self, db: Db) -> Instant:
        held = rows.one(db, "SELECT value FROM mint_marks WHERE name = 'now'")
        return Instant(max(self._clock.now(), held[0] if held else 0))
