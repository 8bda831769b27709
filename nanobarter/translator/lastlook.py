"""The last look: what this node's policy says to a draft just before it binds itself.

The swap has checked signatures, stock and limits. Here: does our bid still stand as it is in the draft, is its
proposer's claim about the others' bids what we heard too, and does the issuer whose notes we would get answer now?
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.item import Item
from nanobarter.core.ports import Caller
from nanobarter.core.units import SECOND, Quantity, Span
from nanobarter.matching.wire import bid_id_of
from nanobarter.swap.messages import Draft
from nanobarter.translator.market import Market

PING: Final = "node.ping"
PING_BYTES_MAX: Final = 32
_PING_TIMEOUT: Final = Span(3 * SECOND)


async def answer_ping(_peer: NodeId, body: bytes) -> bytes:
    """Send the nonce back: the node is there."""
    return body


class Standings(Protocol):
    """What the look compares a draft with: the own bids as they are public, and what was heard of others'."""

    def is_current(self, bid: BidId, item: Item) -> bool:
        """Tell whether this very version of an own bid stands now."""
        ...

    def item_of(self, bid: BidId) -> Item | None:
        """Return the live item of a bid."""
        ...


def outdated(draft: Draft, index: int, known: Standings) -> Refused | None:
    """Return which bid of a draft is no longer what it shows, as far as is known here, or None."""
    mine = draft.bids[index]
    if not known.is_current(bid_id_of(mine), mine):
        return Refused(Reason.UNKNOWN_BID, "this version of the bid no longer stands")
    for item in draft.bids:
        heard = known.item_of(bid_id_of(item))
        if heard is not None and heard.sequence > item.sequence:
            return Refused(Reason.UNKNOWN_BID, "a bid in the draft was replaced")
    return None


DealersLook = Callable[[Draft, int, DraftId], Awaitable[Refused | None]]
"""Returns why a dealer steps back from a draft."""


async def _no_dealers(_draft: Draft, _index: int, _draft_id: DraftId) -> Refused | None:
    return None


class LastLook:
    """The swap's policy for the own bids of one market, which is attached once it exists."""

    def __init__(
        self,
        caller: Caller,
        shunned: Callable[[NodeId], bool] = lambda _node: False,
        *,
        quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        """``shunned`` says with whom no ring is shared, ``quiet`` that this node joins no drafts now."""
        self._caller, self._shunned, self._quiet = caller, shunned, quiet
        self._market: Market | None = None
        self._dealers: DealersLook = _no_dealers

    def attach(self, market: Market) -> None:
        """Look at this market's bids from now on."""
        self._market = market

    def ask_dealers(self, look: DealersLook) -> None:
        """Let dealers look last at what goes through their bids."""
        self._dealers = look

    async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:
        """Return why we stay out of this draft, or None."""
        if self._market is None:
            return Refused(Reason.BUSY, "the market is not open yet")
        if (refused := self._stays_out(draft) or outdated(draft, index, self._market)) is not None:
            return refused
        issuer = draft.arcs[index - 1].quality.issuer
        try:
            await self._caller.call(issuer, PING, b"", timeout=_PING_TIMEOUT)
        except (Unreachable, PeerFault):
            return Refused(Reason.UNVETTED, "the issuer of what we would get does not answer")
        return await self._dealers(draft, index, draft_id)

    def _stays_out(self, draft: Draft) -> Refused | None:
        if self._quiet():
            return Refused(Reason.NOT_YET, "this node was restored from a copy, and joins no drafts yet")
        if any(self._shunned(node) for arc in draft.arcs for node in (arc.giver, arc.quality.issuer)):
            return Refused(Reason.POLICY, "a node in the ring is convicted of fraud, or was restored too often")
        return None

    def newest(self, item: Item) -> Item | None:
        """Return the version of a bid that stands now, or None when it was withdrawn."""
        return None if self._market is None else self._market.item_of(bid_id_of(item))

    def stock(self, bid: BidId) -> Quantity | None:
        """Return what is left of the order behind an own bid."""
        return None if self._market is None else self._market.stock_of(bid)
