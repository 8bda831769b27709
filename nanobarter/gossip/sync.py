"""Catching up: two nodes compare digests of 256 ranges, list the ids of those that differ, and trade the rest.

Equal nodes spend one hash each way. The asking side fetches what it lacks and offers what the other one lacks,
so one exchange serves both. Every answer is bounded, and each step must bring something new, or the peer is to
blame; so an exchange ends whatever the peer says.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import Hash, NodeId, short_node
from nanobarter.core.item import PROOF_ITEM_MAX, Item
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Registrar
from nanobarter.core.units import SECOND, Span
from nanobarter.gossip.bucket import Buckets
from nanobarter.gossip.held import Held
from nanobarter.gossip.messages import (
    GET,
    GET_BYTES_MAX,
    GET_IDS_MAX,
    LIST,
    LIST_IDS_MAX,
    RANGES,
    SUMMARY,
    GetAnswer,
    GetRequest,
    ListAnswer,
    Listed,
    ListRequest,
    Summary,
    SummaryRequest,
)
from nanobarter.gossip.spread import Recent

if TYPE_CHECKING:
    from nanobarter.gossip.service import Gossip

_T = TypeVar("_T")
_TIMEOUT: Final = Span(20 * SECOND)
_SUMMARY_MAX: Final = RANGES * 34 + 64
_LIST_REQUEST_MAX: Final = RANGES * 2 + 64
_LIST_MAX: Final = LIST_IDS_MAX * 34 + RANGES * 8 + 64
_GET_REQUEST_MAX: Final = GET_IDS_MAX * 34 + 64
_GET_MAX: Final = GET_BYTES_MAX + PROOF_ITEM_MAX + 64
_BUCKETS_MAX: Final = 10_000
_BURST_SECONDS: Final = 64  # of answers; a newcomer fetches the whole book of a market at once


class DigestServer:
    """Answers those who catch up, each within a rate."""

    def __init__(self, held: Held, registrar: Registrar, limits: Limits) -> None:
        rate = limits.gossip_served_bytes_per_s
        self._held = held
        self._buckets = Buckets(rate, rate * _BURST_SECONDS, _BUCKETS_MAX)
        registrar.add(SUMMARY, self._summary, body_max=64)
        registrar.add(LIST, self._list, body_max=_LIST_REQUEST_MAX)
        registrar.add(GET, self._get, body_max=_GET_REQUEST_MAX)

    async def _summary(self, peer: NodeId, body: bytes) -> bytes:
        request = decode(body, SummaryRequest, size_max=64)
        digests = () if request.root == self._held.root() else self._held.digests()
        return await self._within_rate(peer, Summary(digests))

    async def _list(self, peer: NodeId, body: bytes) -> bytes:
        request = decode(body, ListRequest, size_max=_LIST_REQUEST_MAX)
        listed, count = list[Listed](), 0
        for number in request.ranges:
            ids = self._held.ids(number)[:LIST_IDS_MAX]
            if listed and count + len(ids) > LIST_IDS_MAX:
                break
            listed.append(Listed(number, tuple(ids)))
            count += len(ids)
        return await self._within_rate(peer, ListAnswer(tuple(listed)))

    async def _get(self, peer: NodeId, body: bytes) -> bytes:
        request = decode(body, GetRequest, size_max=_GET_REQUEST_MAX)
        items, size = list[Item](), 0
        for item_id in request.ids:
            item = self._held.by_id(item_id)
            if item is not None and size < GET_BYTES_MAX:
                items.append(item)
                size += len(encode(item))
        return await self._within_rate(peer, GetAnswer(tuple(items)))

    async def _within_rate(self, peer: NodeId, answer: Record) -> bytes:
        await trio.lowlevel.checkpoint()
        body = encode(answer)
        if not self._buckets.take(peer, len(body), trio.current_time()):
            raise Unreachable("more than this peer's share of answers")
        return body


class CatchUp:
    """One exchange with one peer. Raises Unreachable, or PeerFault when it answers nonsense."""

    def __init__(self, gossip: "Gossip", held: Held, seen: Recent, caller: Caller, peer: NodeId) -> None:
        self._gossip, self._held, self._seen, self._caller, self._peer = gossip, held, seen, caller, peer

    async def run(self) -> None:
        """Compare, fetch and offer until both have the same, but for what came meanwhile."""
        summary = await self._ask(SUMMARY, SummaryRequest(self._held.root()), Summary, _SUMMARY_MAX)
        if not summary.digests:
            return
        if len(summary.digests) != RANGES:
            raise PeerFault(f"{short_node(self._peer)} sent {len(summary.digests)} digests")
        ours = self._held.digests()
        differ = [number for number in range(RANGES) if ours[number] != summary.digests[number]]
        while differ:
            listed = (await self._ask(LIST, ListRequest(tuple(differ)), ListAnswer, _LIST_MAX)).ranges
            numbers = [entry.number for entry in listed]
            if not numbers or numbers != differ[: len(numbers)]:
                raise PeerFault(f"{short_node(self._peer)} listed other ranges than asked for")
            await self._fetch([item_id for entry in listed for item_id in entry.ids])
            self._offer(listed)
            differ = differ[len(numbers) :]

    async def _fetch(self, ids: Sequence[Hash]) -> None:
        missing = [item_id for item_id in ids if item_id not in self._seen and self._held.by_id(item_id) is None]
        while missing:
            asked = missing[:GET_IDS_MAX]
            items = (await self._ask(GET, GetRequest(tuple(asked)), GetAnswer, _GET_MAX)).items
            got = {item.item_id for item in items}
            if not got <= set(asked):
                raise PeerFault(f"{short_node(self._peer)} sent items that were not asked for")
            self._gossip.take_in(items, self._peer)
            # What did not come has been replaced or has expired, unless the answer was full.
            rest = [item_id for item_id in asked if item_id not in got] if got else []
            missing = rest + missing[GET_IDS_MAX:]

    def _offer(self, listed: Iterable[Listed]) -> None:
        for entry in listed:
            theirs = set(entry.ids)
            for item_id in self._held.ids(entry.number):
                item = self._held.by_id(item_id)
                if item_id not in theirs and item is not None and len(theirs) < LIST_IDS_MAX:
                    self._gossip.offer(self._peer, item)

    async def _ask(self, method: str, request: Record, kind: type[_T], size_max: int) -> _T:
        try:
            body = await self._caller.call(self._peer, method, encode(request), timeout=_TIMEOUT)
        except PeerFault as error:  # it may not serve gossip at all, which is no offence
            raise Unreachable(str(error)) from None
        try:
            return decode(body, kind, size_max=size_max)
        except Malformed as error:
            raise PeerFault(f"{short_node(self._peer)} answered {method} with {error}", evidence=body[:1024]) from None
