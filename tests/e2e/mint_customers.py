"""Customers of a mint in another process: wallets that go through all operations, and thieves that pay twice."""

import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Reason, Refused, Unreachable
from nanobarter.core.ids import AgreementId, LeaseId, NodeId, RequestId, sha256
from nanobarter.core.keys import Signed, SigningKey, open_signed, verify
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Body as RequestBody
from nanobarter.core.ports import Caller, Clock, Entropy, Priority, whole
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, HOUR, MINUTE, LeaseKind, Quantity, Span, after
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, Answer, Contract, Minted, Refusal, open_answer
from nanobarter.mint.messages import (
    DOMAIN_REQUEST,
    Body,
    IssueBody,
    LockTerms,
    Note,
    Request,
    SwapBody,
    lock_id_of,
    make_request,
    request_id_of,
)
from nanobarter.mint.notes import Keyset
from nanobarter.wallet.acts import Acts
from nanobarter.wallet.courier import blind_coins, unblind_coins
from nanobarter.wallet.rows import Cheque, Meaning
from nanobarter.wallet.secrets import Coin, note_key
from nanobarter.wallet.service import Wallet

T = TypeVar("T")
HOLDER = SigningKey(sha256(b"holder"))
SHORTLY: Final = Span(4_000)
REFUNDED_WITHIN: Final = Span(20_000)
EMPTY_HANDED = (Reason.NO_STOCK, Reason.TOO_MANY)  # another chain of the same wallet has the notes just now


class WentWrongError(Exception):
    """Something that must not happen."""


class Line:
    """The way to the mint: the real network, with a list of the requests that are on it at this moment."""

    def __init__(self, network: Caller) -> None:
        self._network, self._next = network, itertools.count()
        self.under_way = dict[int, str]()
        self.served = 0

    @property
    def node_id(self) -> NodeId:
        return self._network.node_id

    async def call(
        self, peer: NodeId, method: str, body: RequestBody, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        with self._noted(method, whole(body)):
            answer = await self._network.call(peer, method, body, timeout=timeout, priority=priority)
        self.served += 1
        return answer

    @contextmanager
    def _noted(self, method: str, body: bytes) -> Generator[None]:
        number = next(self._next)
        if method == "mint.request":
            inner = decode(body, Request, size_max=len(body)).body
            self.under_way[number] = type(decode(inner, cast("type[Body]", Body), size_max=len(inner))).__name__
        try:
            yield
        finally:
            self.under_way.pop(number, None)


async def insist(operation: Callable[[], Awaitable[T]]) -> T:
    """Do it again until the mint answers, as a node does that finds its body in the journal."""
    while True:
        try:
            return await operation()
        except Unreachable:
            await trio.sleep(0.05)


@dataclass
class Ports:
    """What customers share."""

    mint: SigningKey  # its node key: only the node itself may issue, and its messenger stands here
    line: Line
    clock: Clock
    entropy: Entropy
    limits: Limits


class Customer:
    """An honest wallet. Every chain of operations ends with nothing left locked."""

    def __init__(self, name: str, ports: Ports, store: Store) -> None:
        self.name, self._ports, self._store = name, ports, store
        self.wallet = Wallet(
            store=store,
            seed=sha256(name.encode()) * 2,
            key=SigningKey(sha256(b"node of " + name.encode())),
            caller=ports.line,
            clock=ports.clock,
            entropy=ports.entropy,
            limits=ports.limits,
        )
        self._acts = Acts(store=store, clock=ports.clock, limits=ports.limits, courier=self.wallet.courier)
        self.leased = dict[LeaseId, Contract]()
        self.done = Counter[str]()
        self._late = 0

    def held(self, kind: LeaseKind) -> int:
        return sum(h.quantity for h in self.wallet.holdings() if h.quality.kind == kind)

    def unsettled(self) -> int:
        """Return how many bodies the wallet has written and not settled, but for locks that came too late.

        A refused lock stays a cheque until its ``valid_until``: until then the mint could still honour it.
        """
        sql = "SELECT count(*) FROM wallet_journal WHERE state = 'open'"
        return self._store.read_now(lambda db: db.execute(sql).fetchone())[0] - self._late

    async def shop(self, label: str, luck: random.Random, kind: LeaseKind, other: "Customer") -> None:
        """Go through a chain of operations; the seed says which."""
        quality = Quality(self._ports.mint.node_id, kind)
        await self._issue(label, quality, luck.randrange(1, 16))
        chains = [self._barter, self._lend, self._get_back, self._hand_over, self._redeem]
        for number, chain in enumerate(luck.sample(chains, 4)):
            await chain(f"{label}/{number}", luck, quality, other)

    async def do(self, what: str, operation: Callable[[], Awaitable[T | Refused]]) -> T | None:
        done = await insist(operation)
        if isinstance(done, Refused):
            if done.reason in EMPTY_HANDED:
                return None
            raise WentWrongError(f"{self.name}: {what} was refused: {done.reason.name} {done.detail}")
        self.done[what] += 1
        return done

    async def _issue(self, label: str, quality: Quality, quantity: int) -> None:
        subject = b"issue" + label.encode()

        async def make() -> Cheque | Refused:
            made = await self.wallet.payments.fresh(quality, None, Quantity(quantity))
            if isinstance(made, Refused):
                return made
            coins, outputs = made
            body = IssueBody(quality.issuer, self._acts.until(), outputs)
            meaning = Meaning(quality, None, Quantity(quantity), "take")
            return await self.wallet.payments.write(body, [self._ports.mint], subject, meaning, coins=coins)

        answer = await insist(lambda: self._acts.act(subject, make))
        if not isinstance(answer, Minted):
            raise WentWrongError(f"{self.name}: the mint did not issue: {answer}")
        self.done["issue"] += 1

    def _terms(self, label: str, quality: Quality, quantity: int, taker: "Customer", span: Span) -> LockTerms:
        agreement, draft = AgreementId(sha256(label.encode())), sha256(b"draft" + label.encode())
        deadline = after(self._ports.clock.now(), span)
        keyset = next(k for k in self.wallet.keysets.of(quality.issuer) if k.quality == quality)
        return LockTerms(
            agreement=agreement,
            lock_id=lock_id_of(agreement, 0),
            index=0,
            issuer=quality.issuer,
            kind=quality.kind,
            terms_hash=keyset.terms_hash,
            quantity=Quantity(quantity),
            hashes=tuple(sha256(s) for s in _preimages(label)),
            to_key=taker.wallet.lock_keys(draft, 1).to.public,
            refund_key=self.wallet.lock_keys(draft, 0).refund.public,
            deadline=deadline,
            delta=Span(15 * MINUTE),
            take_until=after(deadline, Span(35 * DAY)),
            previous_issuer=self._ports.mint.public,
        )

    async def _lock(self, label: str, quality: Quality, quantity: int, taker: "Customer") -> LockTerms | None:
        terms, until = self._terms(label, quality, quantity, taker, HOUR), self._acts.until()
        locked = await self.do("lock", lambda: self.wallet.lock(b"ring", terms, until))
        return None if locked is None else terms

    async def _barter(self, label: str, luck: random.Random, quality: Quality, other: "Customer") -> None:
        terms = await self._lock(label, quality, luck.randrange(4, 10), other)
        if terms is None:
            return
        if luck.random() < 0.3:
            await other.do("release", lambda: other.wallet.release(terms))
            await self.do("take back", lambda: self.wallet.take(terms))
            return
        await self.do("open", lambda: self.wallet.open(terms, _preimages(label)))
        await other.do("take", lambda: other.wallet.take(terms))

    async def _get_back(self, label: str, luck: random.Random, quality: Quality, other: "Customer") -> None:
        """Lock, let nobody open it, and have it back after the deadline; a kill in between only delays that."""
        terms, until = self._terms(label, quality, luck.randrange(4, 10), other, SHORTLY), self._acts.until()
        locked = await insist(lambda: self.wallet.lock(b"ring", terms, until))
        if isinstance(locked, Refused):
            if locked.reason not in (*EMPTY_HANDED, Reason.TOO_LATE):
                raise WentWrongError(f"{self.name}: a lock was refused: {locked.reason.name} {locked.detail}")
            self._late += locked.reason is Reason.TOO_LATE  # the mint was down, or we were slow, until the deadline
            return
        self.done["lock"] += 1
        given_up_at = after(terms.deadline, REFUNDED_WITHIN)
        while isinstance(back := await insist(lambda: self.wallet.refund(terms)), Refused):
            if back.reason is not Reason.NOT_YET:
                raise WentWrongError(f"{self.name}: a refund was refused: {back.reason.name} {back.detail}")
            if self._ports.clock.now() > given_up_at:  # the mint takes itself for one that was away: a day, then
                await other.do("release", lambda: other.wallet.release(terms))
                break
            await trio.sleep(0.5)
        else:
            self.done["refund"] += 1
        await self.do("take back", lambda: self.wallet.take(terms))

    async def _lend(self, label: str, luck: random.Random, quality: Quality, other: "Customer") -> None:
        terms = await self._lock(label, quality, luck.randrange(4, 7), other)
        if terms is None:
            return
        await self.do("open", lambda: self.wallet.open(terms, _preimages(label)))
        signed = await other.do("take a lease", lambda: other.wallet.take_lease(terms, HOLDER.public))
        other.keep(signed)

    async def _hand_over(self, _label: str, luck: random.Random, quality: Quality, other: "Customer") -> None:
        quantity = Quantity(luck.randrange(1, 8))
        line = await self.do("send a line", lambda: self.wallet.note_send(quality, quantity))
        if line is not None:
            await other.do("receive a line", lambda: other.wallet.note_receive(line))

    async def _redeem(self, label: str, luck: random.Random, quality: Quality, _other: "Customer") -> None:
        quantity, purpose = Quantity(luck.randrange(2, 6)), label.encode()
        signed = await self.do("redeem", lambda: self.wallet.redeem(quality, quantity, HOLDER.public, purpose=purpose))
        contract = self.keep(signed)
        if contract is not None:
            longer = await self.do("extend", lambda: self.wallet.extend(contract, HOLDER, quantity, purpose=purpose))
            self.keep(longer)

    def keep(self, signed: Signed | None) -> Contract | None:
        if signed is None:
            return None
        contract = open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=4096)
        self.leased[contract.lease_id] = contract
        return contract


@dataclass
class Theft:
    """What one note was paid for, and what the mint said."""

    note: Note
    owner: SigningKey
    winner: RequestId
    message: bytes
    answer: bytes


@dataclass
class Thief:
    """Pays with each note twice at the same time, and later again; has what the first payment brought."""

    name: str
    ports: Ports
    kind: LeaseKind
    gains: int = 0
    refusals: int = 0
    thefts: list[Theft] = field(default_factory=list[Theft])
    _count: Iterator[int] = field(default_factory=itertools.count)

    async def steal(self, keyset: Keyset) -> None:
        """Have a note issued, and send two bodies that spend it."""
        seed, until = sha256(self.name.encode()), after(self.ports.clock.now(), Span(4 * MINUTE))
        coins = [Coin(keyset.keyset_id, Quantity(1), next(self._count)) for _ in range(3)]
        outputs = blind_coins(seed, keyset, coins)
        mint = self.ports.mint.node_id
        issued, _ = await self._send(encode(make_request(IssueBody(mint, until, outputs[:1]), [self.ports.mint])))
        if not isinstance(issued, Minted):
            raise WentWrongError(f"{self.name}: nothing was issued: {issued}")
        ((note, coin, _),) = unblind_coins(seed, [keyset], coins[:1], issued.signatures)
        owner, answers = note_key(seed, coin), dict[bytes, tuple[Answer, bytes]]()

        async def pay(output: int) -> None:
            body = SwapBody(mint, until, (note,), outputs[output : output + 1])
            message = encode(make_request(body, [owner]))
            answers[message] = await self._send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pay, 1)
            nursery.start_soon(pay, 2)
        won = [(message, raw) for message, (answer, raw) in answers.items() if isinstance(answer, Minted)]
        if len(won) != 1:
            raise WentWrongError(f"{self.name}: of two payments with one note {len(won)} were honoured: {answers}")
        message, raw = won[0]
        theft = Theft(note, owner, request_id_of(decode(message, Request, size_max=len(message)).body), message, raw)
        for answer, _ in answers.values():
            if not isinstance(answer, Minted):
                self._caught(theft, answer)
        self.gains += 1
        self.thefts.append(theft)

    async def try_again(self, keyset: Keyset, luck: random.Random, count: int) -> None:
        """Spend some old notes once more, and repeat the bodies that were honoured."""
        seed, until = sha256(self.name.encode()), after(self.ports.clock.now(), Span(4 * MINUTE))
        for theft in luck.sample(self.thefts, min(count, len(self.thefts))):
            coin = Coin(keyset.keyset_id, Quantity(1), next(self._count))
            body = SwapBody(self.ports.mint.node_id, until, (theft.note,), blind_coins(seed, keyset, [coin]))
            self._caught(theft, (await self._send(encode(make_request(body, [theft.owner]))))[0])
            if (await self._send(theft.message))[1] != theft.answer:
                raise WentWrongError(f"{self.name}: a repeated request got another answer")

    def _caught(self, theft: Theft, answer: Answer) -> None:
        spent = answer.spent if isinstance(answer, Refusal) and answer.reason == Reason.SPENT else None
        if spent is None or spent.request != theft.winner:
            raise WentWrongError(f"{self.name}: a second payment was not refused as spent by the first: {answer}")
        if not verify(theft.note.key, DOMAIN_REQUEST, spent.request, spent.witness):
            raise WentWrongError(f"{self.name}: the witness of a refusal does not verify")
        self.refusals += 1

    async def _send(self, message: bytes) -> tuple[Answer, bytes]:
        mint, timeout = self.ports.mint.node_id, self.ports.limits.call_timeout
        raw = await insist(lambda: self.ports.line.call(mint, "mint.request", message, timeout=timeout))
        request = request_id_of(decode(message, Request, size_max=len(message)).body)
        return open_answer(raw, mint, request)[1], raw


def _preimages(label: str) -> tuple[bytes, bytes]:
    return sha256(b"one" + label.encode()), sha256(b"two" + label.encode())
