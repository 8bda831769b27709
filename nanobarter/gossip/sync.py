"""Catching up: two nodes compare what they have (``reconcile``), and trade what differs.

Equal nodes spend one print each way. The asking side fetches what it lacks and offers what the other one lacks, so one
exchange serves both. Every answer is bounded, and each step must bring something new, or the peer is to blame; so an
exchange ends whatever the peer says.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

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
from nanobarter.gossip.ids import PREFIX_BYTES, PRINT_BYTES, SHORT_BYTES, prefix_of, short_of
from nanobarter.gossip.messages import (
    COMPARE,
    FETCH,
    GET,
    GET_BYTES_MAX,
    GET_IDS_MAX,
    LIST_MAX,
    PARTS_MAX,
    PRINTS_MAX,
    CompareAnswer,
    CompareRequest,
    FetchRequest,
    GetRequest,
    Items,
    Listed,
    split_names,
)
from nanobarter.gossip.reconcile import Comparison, answer, named

_T = TypeVar("_T")
_TIMEOUT: Final = Span(20 * SECOND)
_ENVELOPE: Final = 16  # bytes of one part or list besides its prints or names
_COMPARE_MAX: Final = PARTS_MAX * _ENVELOPE + PRINTS_MAX * PRINT_BYTES + 64
# An answer cuts or lists each print of the question once: by at most 2^7 parts, or with so many short names.
COMPARE_ANSWER_MAX: Final = PRINTS_MAX * (_ENVELOPE + max(LIST_MAX * SHORT_BYTES, PRINT_BYTES << 7)) + 64
_FETCH_MAX: Final = GET_IDS_MAX * (_ENVELOPE + SHORT_BYTES) + 64
_GET_REQUEST_MAX: Final = GET_IDS_MAX * PREFIX_BYTES + 64
_GET_MAX: Final = GET_BYTES_MAX + PROOF_ITEM_MAX + 64
_BUCKETS_MAX: Final = 10_000
_BURST_SECONDS: Final = 64  # of answers; a newcomer fetches the whole book of a market at once


class DigestServer:
    """Answers those who catch up, each within a rate."""

    def __init__(self, held: Held, registrar: Registrar, limits: Limits) -> None:
        rate = limits.gossip_served_bytes_per_s
        self._held = held
        self._buckets = Buckets(rate, rate * _BURST_SECONDS, _BUCKETS_MAX)
        registrar.add(COMPARE, self._compare, body_max=_COMPARE_MAX)
        registrar.add(FETCH, self._fetch, body_max=_FETCH_MAX)
        registrar.add(GET, self._get, body_max=_GET_REQUEST_MAX)

    async def _compare(self, peer: NodeId, body: bytes) -> bytes:
        request = decode(body, CompareRequest, size_max=_COMPARE_MAX)
        return await self._within_rate(peer, answer(self._held.ids, request))

    async def _fetch(self, peer: NodeId, body: bytes) -> bytes:
        request = decode(body, FetchRequest, size_max=_FETCH_MAX)
        ids = [item_id for entry in request.lists for item_id in named(self._held.ids, request.salt, entry)]
        return await self._within_rate(peer, self._items(ids))

    async def _get(self, peer: NodeId, body: bytes) -> bytes:
        request = decode(body, GetRequest, size_max=_GET_REQUEST_MAX)
        ids = (self._held.ids.starting(name) for name in split_names(request.names, PREFIX_BYTES))
        return await self._within_rate(peer, self._items([item_id for item_id in ids if item_id is not None]))

    def _items(self, ids: Iterable[Hash]) -> Items:
        found = [item for item_id in ids if (item := self._held.by_id(item_id)) is not None]
        items, size = list[Item](), 0
        for item in sorted(found, key=lambda item: item.topic != "proof"):
            if size < GET_BYTES_MAX and len(items) < GET_IDS_MAX:
                items.append(item)
                size += len(encode(item))
        return Items(tuple(items))

    async def _within_rate(self, peer: NodeId, said: Record) -> bytes:
        await trio.lowlevel.checkpoint()
        body = encode(said)
        if not self._buckets.take(peer, len(body), trio.current_time()):
            raise Unreachable("more than this peer's share of answers")
        return body


async def get_named(caller: Caller, peer: NodeId, names: tuple[bytes, ...]) -> tuple[Item, ...]:
    """Return those of the named items that a peer gives. Raises Unreachable, or PeerFault for other items."""
    items = (await ask(caller, peer, GET, GetRequest(b"".join(names)), Items, _GET_MAX)).items
    if not {prefix_of(item.item_id) for item in items} <= set(names):
        raise PeerFault(f"{short_node(peer)} sent items that were not asked for")
    return items


class CatchUp:
    """One exchange with one peer: ``take`` gets the items that it sends, ``offer`` the ids that it lacks."""

    def __init__(
        self,
        caller: Caller,
        peer: NodeId,
        comparison: Comparison,
        *,
        take: Callable[[NodeId, Iterable[Item]], None],
        offer: Callable[[NodeId, Iterable[Hash]], None],
    ) -> None:
        self._caller, self._peer, self._comparison = caller, peer, comparison
        self._take, self._offer = take, offer

    async def run(self) -> None:
        """Compare, fetch and offer until both have the same, but for what came meanwhile.

        Raises Unreachable, or PeerFault when the peer answers nonsense.
        """
        comparison = self._comparison
        while (question := comparison.question()) is not None:
            said = await ask(self._caller, self._peer, COMPARE, question, CompareAnswer, COMPARE_ANSWER_MAX)
            try:
                comparison.take(said)
            except Malformed as error:
                raise PeerFault(f"{short_node(self._peer)} compares wrongly: {error}") from None
            surplus, comparison.surplus = comparison.surplus, []
            self._offer(self._peer, surplus)
            lacking, comparison.lacking = comparison.lacking, []
            await self._fetch(lacking)

    async def _fetch(self, lacking: list[Listed]) -> None:
        salt = self._comparison.salt
        left = [(entry, short) for entry in lacking for short in split_names(entry.shorts, SHORT_BYTES)]
        while left:
            asked, left = left[:GET_IDS_MAX], left[GET_IDS_MAX:]
            request = FetchRequest(salt, _joined(asked))
            items = (await ask(self._caller, self._peer, FETCH, request, Items, _GET_MAX)).items
            came = {short_of(salt, prefix_of(item.item_id)) for item in items}
            if not came <= {short for _, short in asked}:
                raise PeerFault(f"{short_node(self._peer)} sent items that were not asked for")
            self._take(self._peer, items)
            # What did not come has been replaced or has expired, unless the answer was full.
            if came:
                left = [(entry, short) for entry, short in asked if short not in came] + left


def _joined(asked: list[tuple[Listed, bytes]]) -> tuple[Listed, ...]:
    lists = dict[tuple[int, int], list[bytes]]()
    for entry, short in asked:
        lists.setdefault((entry.depth, entry.number), []).append(short)
    return tuple(Listed(depth, number, b"".join(shorts)) for (depth, number), shorts in lists.items())


async def ask(caller: Caller, peer: NodeId, method: str, request: Record, kind: type[_T], size_max: int) -> _T:
    """Return a peer's answer. Raises Unreachable, or PeerFault when it cannot be read."""
    try:
        body = await caller.call(peer, method, encode(request), timeout=_TIMEOUT)
    except PeerFault as error:  # it may not serve gossip at all, which is no offence
        raise Unreachable(str(error)) from None
    try:
        return decode(body, kind, size_max=size_max)
    except Malformed as error:
        raise PeerFault(f"{short_node(peer)} answered {method} with {error}", evidence=body[:1024]) from None
