"""A ring of parties in one discrete-event loop: the production ``step``, model issuers, and bad luck.

Every node stores its state as bytes, may crash before and after each record and before each send, and comes back.
Messages are lost, repeated and overtake each other. Issuers are the nodes themselves, or nodes apart from the ring.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import BidId, LockId, NodeId, RequestId, sha256
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, HOUR, Instant, LeaseKind, Quantity
from nanobarter.matching.wire import BidBody, Want, bid_id_of
from nanobarter.mint.answer_messages import DOMAIN_ANSWER, DOMAIN_LOCKED, Locked, LockState, Refusal, States
from nanobarter.mint.messages import LockTerms
from nanobarter.swap.machine import step
from nanobarter.swap.making import make_agreed, make_approve, make_draft, seal_message
from nanobarter.swap.messages import Draft, DraftArc, open_draft
from nanobarter.swap.objections import draft_objection
from nanobarter.swap.orders import (
    Agree,
    Ask,
    Blame,
    Lock,
    Open,
    Order,
    Refund,
    Release,
    Send,
    Take,
    WakeAt,
    orders,
)
from nanobarter.swap.receipts import legs_seen, open_answer
from nanobarter.swap.states import (
    AgreementReceived,
    ApprovalReceived,
    Approved,
    CancelReceived,
    Deal,
    Ended,
    Gathering,
    Given,
    LegTaken,
    LockedReceived,
    LockFailed,
    Preimages,
    RefusalReceived,
    Restarted,
    State,
    TimePassed,
    VoteReceived,
)
from nanobarter.swap.terms import Agreement, SwapTimes, agreement_of

T = TypeVar("T")
KIND = LeaseKind("30d")
TERMS_HASH = sha256(b"terms")
START = Instant(1_800_000_000_000)
NO_REQUEST = RequestId(bytes(32))


def key_of(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()))


@dataclass
class Luck:
    """The fault model: chances per message or per crash point, and delays in milliseconds."""

    loss: float = 0.0
    repeat: float = 0.0
    delay: tuple[int, int] = (20, 400)
    crash: float = 0.0
    crashes_max: int = 0
    down: tuple[int, int] = (1_000, 60_000)


@dataclass
class ModelLock:
    terms: LockTerms
    state: str = "locked"
    how: str = ""
    at: Instant = START
    preimages: Preimages = ()
    taken: bool = False


@dataclass
class ModelMint:
    """The issuer's rules for locks, small and in the clear."""

    key: SigningKey
    locks: dict[LockId, ModelLock] = field(default_factory=dict[LockId, ModelLock])
    outages: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    opened: list[LockId] = field(default_factory=list[LockId])

    def answer(self, value: Record) -> Signed:
        return seal_signed(self.key, DOMAIN_ANSWER, value)

    def refusal(self, reason: Reason, now: Instant) -> Signed:
        return self.answer(Refusal(NO_REQUEST, reason, now, "", None))

    def lock(self, terms: LockTerms, valid_until: Instant, now: Instant) -> Signed:
        if terms.lock_id not in self.locks:
            if now > valid_until:
                return self.refusal(Reason.EXPIRED, now)
            self.locks[terms.lock_id] = ModelLock(terms, at=now)
        found = self.locks[terms.lock_id]
        return seal_signed(self.key, DOMAIN_LOCKED, Locked(found.terms, found.at))

    def state(self, lock: ModelLock) -> LockState:
        return LockState(
            NO_REQUEST, lock.terms.lock_id, lock.terms.agreement, lock.state, lock.how, lock.at, lock.preimages
        )

    def open(self, lock_id: LockId, preimages: Preimages, proof: Signed | None, now: Instant) -> Signed:
        lock = self.locks.get(lock_id)
        if lock is None:
            return self.refusal(Reason.UNKNOWN_LOCK, now)
        if tuple(sha256(p) for p in preimages) != lock.terms.hashes:
            return self.refusal(Reason.BAD_SIGNATURE, now)
        if lock.state == "returned":
            return self.refusal(Reason.TOO_LATE, now)
        if lock.state == "locked":
            if now > lock.terms.deadline and lock.terms.index and not self._proves(lock.terms, proof):
                return self.refusal(Reason.TOO_LATE, now)
            lock.state, lock.at, lock.preimages = "opened", now, preimages
            self.opened.append(lock_id)
        return self.answer(self.state(lock))

    def _proves(self, terms: LockTerms, proof: Signed | None) -> bool:
        if proof is None or proof.key != terms.previous_issuer:
            return False
        shown = open_answer(proof)
        return (
            isinstance(shown, LockState)
            and shown.agreement == terms.agreement
            and (shown.state == "opened" or shown.how == "release")
        )

    def give_back(self, lock_id: LockId, how: str, now: Instant) -> Signed:
        lock = self.locks.get(lock_id)
        if lock is None:
            return self.refusal(Reason.UNKNOWN_LOCK, now)
        if lock.state == "opened":
            return self.refusal(Reason.TOO_LATE, now)
        if lock.state == "locked":
            deadline, delta = lock.terms.deadline, lock.terms.delta
            free = max([deadline, *(e + 24 * HOUR for s, e in self.outages if s < deadline and e > deadline - delta)])
            if how == "refund" and now <= free:
                return self.refusal(Reason.NOT_YET, now)
            lock.state, lock.how, lock.at = "returned", how, now
        return self.answer(self.state(lock))

    def ask(self, lock_id: LockId, now: Instant) -> Signed:
        lock = self.locks.get(lock_id)
        return self.answer(States(NO_REQUEST, now, (), (self.state(lock),) if lock else ()))


class Node:
    """One node: its durable bytes, its mint, and the orders under way in this life."""

    def __init__(self, name: str, world: "World") -> None:
        self.key = key_of(name)
        self.mint = ModelMint(self.key)
        self.world = world
        self.disk: bytes | None = None
        self.watched: Agreement | None = None
        self.life = 0
        self.up = True
        self.mute = False  # a sleeper or a cheat: from now on it says nothing as a party, though its mint works
        self.standing: set[Order] = set()
        self.done: set[Order] = set()
        self.blames = list[Blame]()
        self.types = list[tuple[type, type, type]]()

    @property
    def node(self) -> NodeId:
        return self.key.node_id

    @property
    def state(self) -> State | None:
        return None if self.disk is None else decode(self.disk, cast("type[State]", State), size_max=10**6)

    def give(self, given: Given) -> None:
        state = self.state
        if state is None or not self.up or self.mute:
            return
        moved, effects = step(state, given, self.world.now, self.world.times)
        self.types.append((type(state), type(given), type(moved)))
        self.blames += [e for e in effects if isinstance(e, Blame)]
        self.record(state, moved)
        if self.up:
            self.stand({e for e in effects if not isinstance(e, Blame)})

    def record(self, before: State | None, after: State) -> None:
        if before != after:
            self.world.maybe_crash(self)
            if self.up:
                self.disk = encode(after)
                self.world.maybe_crash(self)

    def stand(self, wanted: set[Order]) -> None:
        for order in wanted - self.standing:
            self.world.later(0, lambda order=order, life=self.life: self.carry(order, life, 500))
        self.standing = wanted

    def carry(self, order: Order, life: int, pause: int) -> None:
        if life != self.life or order not in self.standing or order in self.done or self.mute:
            return
        self.world.maybe_crash(self)
        if not self.up:
            return
        again = self.perform(order)
        if again:
            self.world.later(pause, lambda: self.carry(order, life, min(pause * 2, self.world.pause_max(order))))

    def perform(self, order: Order) -> bool:
        """Carry out an order once; tell whether it is to be repeated."""
        world = self.world
        match order:
            case WakeAt():
                world.later(max(order.at - world.now, 0), lambda life=self.life: self.woken(life))
                return False
            case Agree():
                state = self.state
                assert isinstance(state, Gathering)
                self.give(AgreementReceived(make_agreed(self.key, state, world.now), fresh=True))
                return False
            case Send():
                if world.now >= order.until:
                    return False
                signed = seal_message(self.key, order.message)
                world.send(self, order.to, lambda to: to.receive(order.method, signed), lambda: self.done.add(order))
            case Lock():
                world.ask(self, order.terms.issuer, lambda m: world.lock(m, order), self.locked)
            case Open():
                world.ask(
                    self, order.terms.issuer, lambda m: world.open(m, order), lambda s: self.answered(s, order.terms)
                )
            case Ask() | Refund() | Release():
                world.ask(
                    self, order.terms.issuer, lambda m: world.lookup(m, order), lambda s: self.answered(s, order.terms)
                )
            case Take():
                world.ask(self, order.terms.issuer, lambda m: world.take(m, order), lambda i: self.give(LegTaken(i)))
        return True

    def woken(self, life: int) -> None:
        if life == self.life:
            self.give(TimePassed())

    def locked(self, signed: Signed) -> None:
        try:
            refusal = open_answer(signed)
        except Exception:  # noqa: BLE001 - a LOCKED is under another domain
            self.give(LockedReceived(signed))
            return
        assert isinstance(refusal, Refusal)
        self.give(LockFailed(refusal.reason, ""))

    def answered(self, signed: Signed, terms: LockTerms | None, *, again: bool = True) -> None:
        deal = getattr(self.state, "deal", None)
        if not isinstance(deal, Deal):
            return
        seen = legs_seen(agreement_of(deal.agreed), signed, terms.index if terms else None)
        for leg in seen:
            self.give(leg)
        if not seen and terms and again:  # refused: ask what is true instead
            ask = Ask(terms.index, terms)
            self.world.ask(
                self, terms.issuer, lambda m: self.world.lookup(m, ask), lambda s: self.answered(s, terms, again=False)
            )

    def receive(self, method: str, signed: Signed) -> bool:
        """Take a message; tell whether it may be acknowledged: a LOCKED that overtakes its AGREED may not."""
        if method == "swap.draft":
            self.drafted(signed)
            return True
        if method == "swap.opened":
            self.answered(signed, None)
            return True
        if method == "swap.agreed":
            self.watched = agreement_of(signed)
            self.give(AgreementReceived(signed, fresh=True))
            return True
        if method == "swap.approve":
            self.give(ApprovalReceived(signed, fresh=True))
            return True
        facts = {
            "swap.refuse": RefusalReceived,
            "swap.cancel": CancelReceived,
            "swap.locked": LockedReceived,
            "swap.vote": VoteReceived,
        }
        early = method == "swap.locked" and isinstance(self.state, Approved)
        self.give(facts[method](signed))
        return not early

    def drafted(self, signed: Signed) -> None:
        if self.disk is not None or self.mute:
            return
        draft = open_draft(signed)
        index = next(i for i, a in enumerate(draft.arcs) if a.giver == self.node)
        assert draft_objection(draft, index, self.world.times, self.world.now) is None
        self.adopt(Approved(signed, self.world.mine(self, signed, index)))

    def adopt(self, state: State) -> None:
        self.record(None, state)
        if self.up:
            self.stand(set(orders(state, self.world.now)))


class World:
    """All nodes, the messages under way, the time, and the luck."""

    def __init__(
        self, n: int, seed: int, luck: Luck | None = None, times: SwapTimes | None = None, *, third: bool = False
    ) -> None:
        self.random = random.Random(seed)
        self.luck = luck or Luck()
        self.times = times or SwapTimes()
        self.now = START
        self.queue = list[tuple[int, int, Callable[[], None]]]()
        self.numbers = itertools.count()
        self.crashes = 0
        self.crash_at: int | None = None
        self.points = 0
        self.parties = [Node(f"party {i}", self) for i in range(n)]
        self.issuers = [Node(f"issuer {i}", self) for i in range(n)] if third else self.parties
        self.by_id = {node.node: node for node in (*self.parties, *self.issuers)}

    # -- time and bad luck

    def later(self, span: int, act: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + span, next(self.numbers), act))

    def run(self, until: Instant) -> None:
        while self.queue and self.queue[0][0] <= until:
            at, _, act = heapq.heappop(self.queue)
            self.now = Instant(max(at, self.now))
            act()
        self.now = until

    def maybe_crash(self, node: Node) -> None:
        self.points += 1
        if self.crash_at is not None:
            if self.points == self.crash_at:
                self.crash(node, self.random.randint(*self.luck.down))
        elif self.crashes < self.luck.crashes_max and self.random.random() < self.luck.crash:
            self.crash(node, self.random.randint(*self.luck.down))

    def crash(self, node: Node, down: int) -> None:
        self.crashes += 1
        node.up = False
        node.life += 1
        node.standing, node.done = set(), set()
        node.mint.outages.append((self.now, self.now + down))
        self.later(down, lambda: self.restart(node))

    def restart(self, node: Node) -> None:
        node.up = True
        node.give(Restarted())

    def pause_max(self, order: Order) -> int:
        return 8_000 if isinstance(order, Send | Lock | Open) else 600_000

    # -- messages

    def _deliver(self, to: Node, act: Callable[[], None]) -> None:
        copies = 0 if self.random.random() < self.luck.loss else 1 + (self.random.random() < self.luck.repeat)
        for _ in range(copies):
            self.later(self.random.randint(*self.luck.delay), lambda: act() if to.up else None)

    def send(self, sender: Node, to: NodeId, act: Callable[[Node], bool], acknowledged: Callable[[], None]) -> None:
        other, life = self.by_id[to], sender.life

        def arrive() -> None:
            if act(other) and other.up:
                self._deliver(sender, lambda: acknowledged() if sender.life == life else None)

        self._deliver(other, arrive)

    def ask(self, sender: Node, to: NodeId, act: Callable[[Node], T], answered: Callable[[T], None]) -> None:
        other, life = self.by_id[to], sender.life

        def arrive() -> None:
            answer = act(other)
            self._deliver(sender, lambda: answered(answer) if sender.life == life else None)

        if other is sender:
            answered(act(other))
        else:
            self._deliver(other, arrive)

    # -- what issuers do

    def lock(self, issuer: Node, order: Lock) -> Signed:
        answer = issuer.mint.lock(order.terms, order.until, self.now)
        self.push(issuer, "swap.locked", answer)
        return answer

    def open(self, issuer: Node, order: Open) -> Signed:
        before = len(issuer.mint.opened)
        answer = issuer.mint.open(order.terms.lock_id, order.preimages, order.proof, self.now)
        if len(issuer.mint.opened) > before:
            self.push(issuer, "swap.opened", answer)
            known = self.agreement(issuer)
            for terms in known.terms if known else ():
                other = Open(terms.index, terms, order.preimages, answer)
                self.ask(issuer, terms.issuer, lambda m, o=other: self.open(m, o), lambda _: None)
        return answer

    def lookup(self, issuer: Node, order: Ask | Refund | Release) -> Signed:
        match order:
            case Ask():
                return issuer.mint.ask(order.terms.lock_id, self.now)
            case Refund():
                return issuer.mint.give_back(order.terms.lock_id, "refund", self.now)
            case Release():
                return issuer.mint.give_back(order.terms.lock_id, "release", self.now)

    def take(self, issuer: Node, order: Take) -> int:
        issuer.mint.locks[order.terms.lock_id].taken = True
        return order.index

    def agreement(self, issuer: Node) -> Agreement | None:
        deal = getattr(issuer.state, "deal", None)
        return agreement_of(deal.agreed) if isinstance(deal, Deal) else issuer.watched

    def push(self, issuer: Node, method: str, signed: Signed) -> None:
        known = self.agreement(issuer)
        for node in known.nodes if known else ():
            self.send(issuer, node, lambda to: to.receive(method, signed), lambda: None)

    # -- the ring

    def propose(self) -> None:
        arcs, bids = list[DraftArc](), list[Item]()
        for i, (party, issuer) in enumerate(zip(self.parties, self.issuers, strict=True)):
            got = Quality(self.issuers[i - 1].node, KIND)
            body = BidBody(
                "limit", Quality(issuer.node, KIND), Want(KIND, got.issuer, (), ()), (5, 4), Quantity(500), None
            )
            item = make_item(
                party.key, "bid", bytes([i]) * 16, sequence=1, expires=Instant(self.now + DAY), body=encode(body)
            )
            bids.append(item)
            arcs.append(DraftArc(BidId(bid_id_of(item)), party.node, body.gives, Quantity(100 + i)))
        draft = make_draft(self.parties[0].key, Draft(tuple(arcs), tuple(bids), self.times.pace, bytes(32), self.now))
        mine = self.mine(self.parties[0], draft, 0)
        self.parties[0].adopt(Gathering(draft, mine, (mine.approval, *[None] * (len(arcs) - 1))))

    def mine(self, node: Node, draft: Signed, index: int):
        issuer = self.issuers[index]
        return make_approve(
            node.key,
            draft,
            index,
            nonce=self.random.randbytes(32),
            to_key=key_of(f"to {index}").public,
            refund_key=key_of(f"refund {index}").public,
            issuer=issuer.key.public,
            terms_hash=TERMS_HASH,
        )

    def outcomes(self) -> list[str]:
        return [s.outcome if isinstance(s := p.state, Ended) else type(s).__name__ for p in self.parties]

    def leg(self, index: int) -> str:
        locks = [lock for lock in self.issuers[index].mint.locks.values() if lock.terms.index == index]
        return locks[0].state if locks else "absent"

    def losses(self) -> list[int]:
        """The parties whose arc was paid though the arc that pays them was not."""
        n = len(self.parties)
        return [i for i in range(n) if self.leg(i) == "opened" and self.leg((i - 1) % n) != "opened"]
