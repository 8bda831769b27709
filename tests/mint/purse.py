"""The smallest honest wallet, for tests of the mint: it derives everything from counters and keeps its notes."""

import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count, cycle
from pathlib import Path

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.ids import AgreementId, LeaseId, LockId, sha256
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, MINUTE, Instant, LeaseKind, Quantity, Span
from nanobarter.mint import blind
from nanobarter.mint.answer_messages import Answer, Contract, Minted, open_answer
from nanobarter.mint.messages import (
    BlindOutput,
    Body,
    ExtendBody,
    IssueBody,
    LeaseTerms,
    LockBody,
    LockTerms,
    Note,
    OpenBody,
    RedeemBody,
    RefundBody,
    ReleaseBody,
    Request,
    SwapBody,
    TakeBody,
    lock_id_of,
    make_request,
    request_id_of,
)
from nanobarter.mint.notes import Keyset, note_message, split, verify_note
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS

NODE = SigningKey(bytes(range(32)))
KIND = LeaseKind("30d")
OTHER = LeaseKind("7d")
START = Instant(1_700_000_000_000 - 1_700_000_000_000 % (7 * DAY) + DAY)
PLEDGED = {KIND: Quantity(255), OTHER: Quantity(15)}
DELTA = Span(15 * MINUTE)
SMALL = Limits(mint_lock_min=1)


@cache
def stored_keys() -> tuple[bytes, ...]:
    """Return RSA-2048 keys (PKCS#8 DER) made once, since making them is slow. They guard nothing."""
    path = Path(__file__).parent.parent / "vectors" / "mint-test-keys.json"
    return tuple(bytes.fromhex(text) for text in json.loads(path.read_text()))


def key_of(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


def secrets_of(name: str, parties: int = 3) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(f"{name}/{i}".encode()).digest() for i in range(parties))


@dataclass(frozen=True)
class Held:
    """A note with its secret."""

    note: Note
    owner: SigningKey


@dataclass(frozen=True)
class Pending:
    """An output and what unblinds its signature."""

    output: BlindOutput
    owner: SigningKey
    inverse: int


class Crash(Exception):
    """The node stopped here."""


class Bench:
    """A mint on a real file that can be closed and opened again, and a clock that is moved by hand.

    ``crash_in`` says in how many durable writes the plug is pulled, ``crash_after`` whether after its commit.
    """

    def __init__(self, path: Path, keys: Sequence[bytes], limits: Limits = SMALL) -> None:
        self.path, self.limits = path, limits
        self.crash_in, self.crash_after, self.crashes = 0, False, 0
        self.keys: Iterator[bytes] = cycle(keys)
        self.service_terms = b"terms"
        self.clock = ManualClock(START)
        self.store: Store
        self.mint: Mint

    @asynccontextmanager
    async def open(self, pledged: dict[LeaseKind, Quantity] | None = None) -> AsyncGenerator[Mint]:
        self.pledged = PLEDGED if pledged is None else pledged
        try:
            async with trio.open_nursery() as self._nursery:
                await self._start()
                yield self.mint
                self._nursery.cancel_scope.cancel()
        finally:
            self.store.close()

    async def restart(self) -> None:
        """Go on with what is on the disk, as after a crash."""
        self._scope.cancel()
        self.store.close()
        self.crashes += 1
        await self._start()

    async def _start(self) -> None:
        self.crash_in = 0
        self.store = Store.open(self.path, MIGRATIONS, self.limits)
        self._scope = await self._nursery.start(run_until_cancelled, self.store)
        for name in ("write", "write_all"):
            setattr(self.store, name, self._plugged(getattr(self.store, name)))
        self.mint = Mint(
            store=self.store,
            key=NODE,
            clock=self.clock,
            entropy=SeededEntropy(0, "mint"),
            limits=self.limits,
            pledged=self.pledged,
            service_terms=self.service_terms,
            key_source=self.make_key,
        )
        await self.mint.start()

    def make_key(self) -> bytes:
        """Give the next stored key in the place of one that takes a worker 0.1 s."""
        return next(self.keys)

    def _plugged(self, write: Callable[[object], Awaitable[object]]) -> Callable[[object], Awaitable[object]]:
        async def plugged(change: object) -> object:
            self.crash_in -= 1
            now = self.crash_in == 0
            if now and not self.crash_after:
                raise Crash
            done = await write(change)
            if now:
                raise Crash
            return done

        return plugged


async def run_until_cancelled(
    store: Store, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await store.run()


class Purse:
    """Makes requests and keeps what comes of them."""

    def __init__(self, bench: Bench, name: str = "purse") -> None:
        self.bench, self.name = bench, name
        self.counter = count()
        self.notes = list[Held]()
        self.sent = list[tuple[bytes, bytes]]()

    @property
    def until(self) -> Instant:
        return Instant(self.bench.clock.now() + MINUTE)

    def keyset(self, kind: LeaseKind = KIND) -> Keyset:
        now = self.bench.clock.now()
        return next(k for k in self.bench.mint.usable() if k.announcement.kind == kind and k.issuing(now))

    def outputs(self, quantities: tuple[int, ...] | list[int], keyset: Keyset | None = None) -> list[Pending]:
        keyset = keyset or self.keyset()
        made = list[Pending]()
        for quantity in quantities:
            owner = key_of(f"{self.name}/{next(self.counter)}")
            modulus = keyset.moduli[Quantity(quantity)]
            message = note_message(keyset.keyset_id, Quantity(quantity), owner.public)
            factor = blind.factor_from(owner.secret * 9, modulus)
            done = blind.blind(blind.PSS_DETERMINISTIC, modulus, message, salt=bytes(48), factor=factor)
            output = BlindOutput(keyset.keyset_id, Quantity(quantity), done.message)
            made.append(Pending(output, owner, done.inverse))
        return made

    async def send(self, request: Request) -> Answer:
        raw = encode(request)
        try:
            answer = await self.bench.mint.handle(NODE.node_id, raw)
        except Crash:
            await self.bench.restart()
            answer = await self.bench.mint.handle(NODE.node_id, raw)
        self.sent.append((raw, answer))
        return open_answer(answer, NODE.node_id, request_id_of(request.body))[1]

    async def ask(self, body: Body, *witnesses: SigningKey) -> Answer:
        return await self.send(make_request(body, witnesses))

    def unblind(self, answer: Answer, pending: list[Pending]) -> list[Held]:
        assert isinstance(answer, Minted), answer
        held = list[Held]()
        for signature, p in zip(answer.signatures, pending, strict=True):
            keyset = next(k for k in self.bench.mint.usable() if k.keyset_id == p.output.keyset)
            modulus = keyset.moduli[p.output.quantity]
            message = note_message(p.output.keyset, p.output.quantity, p.owner.public)
            whole = blind.finalize(blind.PSS_DETERMINISTIC, modulus, message, signature, p.inverse)
            note = Note(p.output.keyset, p.output.quantity, p.owner.public, whole)
            assert verify_note(note, keyset)
            held.append(Held(note, p.owner))
        return held

    async def issue(self, *quantities: int, kind: LeaseKind = KIND) -> list[Held]:
        pending = self.outputs(quantities, self.keyset(kind))
        body = IssueBody(NODE.node_id, self.until, tuple(p.output for p in pending))
        return self.unblind(await self.ask(body, NODE), pending)

    async def swap(self, given: list[Held], *quantities: int) -> Answer:
        pending = self.outputs(quantities)
        inputs = tuple(h.note for h in given)
        body = SwapBody(NODE.node_id, self.until, inputs, tuple(p.output for p in pending))
        answer = await self.ask(body, *(h.owner for h in given))
        if isinstance(answer, Minted):
            self.notes += self.unblind(answer, pending)
        return answer

    def terms(self, name: str, quantity: int, *, index: int = 1, kind: LeaseKind = KIND) -> LockTerms:
        agreement = AgreementId(sha256(name.encode()))
        now = self.bench.clock.now()
        return LockTerms(
            agreement=agreement,
            lock_id=lock_id_of(agreement, index),
            index=index,
            issuer=NODE.node_id,
            kind=kind,
            terms_hash=self.bench.mint.terms_hash(kind),
            quantity=Quantity(quantity),
            hashes=tuple(sha256(s) for s in secrets_of(name)),
            to_key=key_of(name + "/to").public,
            refund_key=key_of(name + "/refund").public,
            deadline=Instant(now + 2 * DELTA),
            delta=DELTA,
            take_until=Instant(now + 2 * DELTA + 35 * DAY),
            previous_issuer=NODE.public,
        )

    async def lock(self, terms: LockTerms, given: list[Held] | None = None) -> Answer:
        given = given or []
        body = LockBody(NODE.node_id, self.until, tuple(h.note for h in given), terms)
        return await self.ask(body, *([h.owner for h in given] or [NODE]))

    async def open(self, name: str, lock_id: LockId) -> Answer:
        return await self.ask(OpenBody(NODE.node_id, self.until, lock_id, secrets_of(name), None))

    async def refund(self, name: str, lock_id: LockId) -> Answer:
        return await self.ask(RefundBody(NODE.node_id, self.until, lock_id), key_of(name + "/refund"))

    async def release(self, name: str, lock_id: LockId) -> Answer:
        return await self.ask(ReleaseBody(NODE.node_id, self.until, lock_id), key_of(name + "/to"))

    async def take(self, owner: SigningKey, lock_id: LockId, quantity: int) -> Answer:
        pending = self.outputs(list(split(quantity, 128)))
        body = TakeBody(NODE.node_id, self.until, lock_id, tuple(p.output for p in pending), None)
        answer = await self.ask(body, owner)
        if isinstance(answer, Minted):
            self.notes += self.unblind(answer, pending)
        return answer

    async def take_lease(self, owner: SigningKey, lock_id: LockId, quantity: int, holder: SigningKey) -> Answer:
        lease = LeaseTerms(KIND, Quantity(quantity), holder.public)
        return await self.ask(TakeBody(NODE.node_id, self.until, lock_id, (), lease), owner)

    async def redeem(self, given: list[Held], holder: SigningKey) -> Answer:
        total = sum(h.note.quantity for h in given)
        lease = LeaseTerms(KIND, Quantity(total), holder.public)
        body = RedeemBody(NODE.node_id, self.until, tuple(h.note for h in given), lease)
        return await self.ask(body, *(h.owner for h in given))

    async def extend(self, given: list[Held], lease: LeaseId, keep: int, holder: SigningKey) -> Answer:
        body = ExtendBody(NODE.node_id, self.until, tuple(h.note for h in given), lease, Quantity(keep))
        return await self.ask(body, *(h.owner for h in given), holder)


__all__ = ["Bench", "Contract", "Held", "Purse", "key_of", "secrets_of"]
