"""Sees what mints and proposers say to this node, and accuses who contradicts itself.

It stands between the services and the network and passes everything on unchanged. What it remembers is bounded, and is
after a restart what the swap has kept for it; what is not seen is not accused. Nothing here decides anything: the
judge does.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import trio

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import DraftId, LockId, NodeId, NoteId
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Body, Caller, Handler, Priority, Registrar, whole
from nanobarter.core.units import Span
from nanobarter.court.proofs import Convicted, Proof, verify
from nanobarter.mint.answer_messages import ANSWER_BYTES_MAX, Refusal
from nanobarter.mint.messages import REQUEST_BYTES_MAX, Note, OpenBody, Request
from nanobarter.mint.notes import note_id
from nanobarter.mint.proofs import find
from nanobarter.mint.proofs.records import Exchange
from nanobarter.mint.proofs.statements import inputs_of, lock_states, read_answer, read_body, read_locked
from nanobarter.swap.messages import AGREED_MAX, DOMAIN_AGREED, SIGNED_EXTRA, Agreed
from nanobarter.swap.proofs import TwoAgreed

K = TypeVar("K")
V = TypeVar("V")

_LOCKS_MAX: Final = 1024
_DRAFTS_MAX: Final = 256
_ISSUERS_MAX: Final = 1024
_NOTES_MAX: Final = 4096  # those we tried to spend last, at 320 bytes each
_SAID_MAX: Final = 8  # of each sort about one lock; an issuer that is honest says the same again
_ANNOUNCED_MAX: Final = 64  # of one issuer, as many as the wallet takes
_HEARD: Final = frozenset({"swap.locked", "swap.opened", "swap.agreed"})


class Wire(Caller, Registrar, Protocol):
    """The part of the network that is listened to."""


@dataclass
class _Lock:
    locked: list[Signed] = field(default_factory=list[Signed])
    said: list[Signed] = field(default_factory=list[Signed])
    opens: list[Exchange] = field(default_factory=list[Exchange])


class Witness:
    """Implements Caller and Registrar over the network. ``accuse`` gets each proof that convicts another node."""

    def __init__(self, wire: Wire, accuse: Callable[[Proof], object], limits: Limits) -> None:
        self._wire, self._accuse, self._limits = wire, accuse, limits
        self._locks = OrderedDict[LockId, _Lock]()
        self._agreed = OrderedDict[DraftId, list[Signed]]()
        self._announced = OrderedDict[NodeId, list[Signed]]()
        self._notes = OrderedDict[NoteId, Note]()
        self._one_at_a_time = trio.CapacityLimiter(1)  # what is remembered is not made for two threads

    @property
    def node_id(self) -> NodeId:
        """The id of this node."""
        return self._wire.node_id

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        """Return the peer's answer, after a look at it."""
        raw = await self._wire.call(peer, method, body, timeout=timeout, priority=priority)
        if method == "mint.request":
            await self._judge(self._exchange, whole(body), raw)
        elif method == "mint.announcements":
            await self._judge(self._announcements, peer, raw)
        return raw

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method, after a look at what comes in."""
        if method not in _HEARD:
            self._wire.add(method, handler, body_max=body_max)
            return

        async def look_first(peer: NodeId, body: bytes) -> bytes:
            await self._judge(self._heard, method, body)
            return await handler(peer, body)

        self._wire.add(method, look_first, body_max=body_max)

    async def _judge(self, look: Callable[..., Iterable[Proof]], *what: object) -> None:
        """Make proofs of what was seen and judge them, in a worker thread: signatures take their time."""

        def work() -> list[Proof]:
            try:
                return [proof for proof in look(*what) if self._convicts_another(proof)]
            except Malformed:
                return []  # whoever asked will say so; nonsense convicts nobody

        for proof in await trio.to_thread.run_sync(work, limiter=self._one_at_a_time):
            self._accuse(proof)

    def _convicts_another(self, proof: Proof) -> bool:
        verdict = verify(proof)
        return isinstance(verdict, Convicted) and verdict.node != self._wire.node_id

    def recall(self, locked: Iterable[Signed], agreed: Iterable[Signed]) -> None:
        """Take in what the swap has kept of rings under way: a restart is no reason to let a cheat go."""
        for signed in locked:
            _keep(self._lock(read_locked(signed).terms.lock_id).locked, signed, _SAID_MAX)
        for signed in agreed:
            list(self._agreement(signed))

    # -- what was seen

    def _exchange(self, message: bytes, raw: bytes) -> Iterable[Proof]:
        request = decode(message, Request, size_max=REQUEST_BYTES_MAX)
        answer = decode(raw, Signed, size_max=ANSWER_BYTES_MAX)
        body = read_body(request.body)
        yield from find.of_exchange(request, answer, self._announced.get(body.mint, ()))
        if isinstance(body, OpenBody) and isinstance(read_answer(answer), Refusal):
            _keep(self._lock(body.lock_id).opens, Exchange(request.body, answer), _SAID_MAX)
            yield from self._about(body.lock_id)
        for note in inputs_of(body):
            _entry(self._notes, note_id(note), note, _NOTES_MAX)
        yield from find.of_states(self._notes, answer)
        yield from self._told(answer)

    def _told(self, answer: Signed) -> Iterable[Proof]:
        for lock_id in {state.lock_id for state, _ in lock_states(read_answer(answer))}:
            _keep(self._lock(lock_id).said, answer, _SAID_MAX)
            yield from self._about(lock_id)

    def _heard(self, method: str, raw: bytes) -> Iterable[Proof]:
        if method == "swap.agreed":
            yield from self._agreement(decode(raw, Signed, size_max=AGREED_MAX + SIGNED_EXTRA))
            return
        signed = decode(raw, Signed, size_max=ANSWER_BYTES_MAX)
        if method == "swap.opened":
            yield from self._told(signed)
            return
        lock_id = read_locked(signed).terms.lock_id
        _keep(self._lock(lock_id).locked, signed, _SAID_MAX)
        yield from self._about(lock_id)

    def _agreement(self, signed: Signed) -> Iterable[Proof]:
        draft = open_signed(signed, DOMAIN_AGREED, Agreed, size_max=AGREED_MAX).draft
        known = _entry(self._agreed, draft, list[Signed](), _DRAFTS_MAX)
        yield from (TwoAgreed(other, signed) for other in known)
        _keep(known, signed, 2)

    def _announcements(self, issuer: NodeId, raw: bytes) -> Iterable[Proof]:
        known = _entry(self._announced, issuer, list[Signed](), _ISSUERS_MAX)
        for signed in decode(raw, tuple[Signed, ...], size_max=self._limits.frame_bytes_max)[:_ANNOUNCED_MAX]:
            yield from find.of_announcements(known, signed)
            _keep(known, signed, _ANNOUNCED_MAX)

    def _lock(self, lock_id: LockId) -> _Lock:
        return _entry(self._locks, lock_id, _Lock(), _LOCKS_MAX)

    def _about(self, lock_id: LockId) -> Iterable[Proof]:
        lock = self._lock(lock_id)
        return list(find.of_lock(lock_id, lock.locked, lock.said, lock.opens))


def _entry(held: OrderedDict[K, V], key: K, fresh: V, count_max: int) -> V:
    """Return what is held under a key; the one used least recently gives way to a new one."""
    value = held.setdefault(key, fresh)
    held.move_to_end(key)
    if len(held) > count_max:
        held.popitem(last=False)
    return value


def _keep(held: list[V], value: V, count_max: int) -> None:
    if value not in held and len(held) < count_max:
        held.append(value)
