"""What the market loop stands on: where bids are read, who settles a match, who keeps what a person ordered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from nanobarter.core.errors import Refused
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import Item, Topic
from nanobarter.core.units import DAY, HOUR, SECOND, Quantity, Span
from nanobarter.matching.network import Match
from nanobarter.swap.events import Outcome
from nanobarter.translator.orders import Order

PARTNERS_MAX: Final = 6  # the longest ring that is proposed; longer ones rarely hold, though up to 8 are accepted
PATIENCE: Final = Span(3 * SECOND)  # how long the newest bid of a ring has the first word
RETRY: Final = Span(SECOND // 2)
GATHER: Final = Span(SECOND // 5)  # a look at every single bid of a network that starts would cost a core


class Board(Protocol):
    """Where bids are posted and read: gossip."""

    async def publish(self, item: Item) -> Refused | None:
        """Say this to all, or tell why not."""
        ...

    def next_sequence(self, topic: Topic, author: bytes, key: bytes) -> int:
        """Return a sequence that replaces what was said in a slot, also if the clock went back since."""
        ...

    def items(self, topic: Topic) -> Sequence[Item]:
        """Return the live items of a topic."""
        ...

    def subscribe(self, topic: Topic, callback: Callable[[Item], None]) -> None:
        """Call back for what is live now, and then for each new version. What it raises costs that item only."""
        ...


class Proposer(Protocol):
    """What turns a match into exchanged notes: the swap service."""

    async def propose(self, match: Match, bids: Sequence[Item]) -> Outcome:
        """Draft the match, gather approvals, and settle or give up."""
        ...

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft is at work on this bid."""
        ...


class Drawer(Protocol):
    """Where the orders that a person placed by hand outlive a restart."""

    def load(self) -> Sequence[Order]:
        """Return what is kept, the oldest first."""
        ...

    async def keep(self, order: Order) -> None:
        """Keep an order, in place of the one with its key; durable on return."""
        ...

    async def drop(self, order: Order) -> None:
        """Forget an order; durable on return."""
        ...


@dataclass(frozen=True)
class Issuers:
    """Whose notes the person wants at all, whoever orders them: not the ``refused``; only the ``wanted``, if any."""

    refused: frozenset[NodeId] = frozenset()
    wanted: frozenset[NodeId] = frozenset()

    def takes(self, issuer: NodeId | None) -> bool:
        """Tell whether notes of an issuer may be ordered; None: of anybody but the refused."""
        if issuer is None:
            return not self.wanted  # a pattern names one issuer or all of them
        return issuer not in self.refused and (not self.wanted or issuer in self.wanted)


ANYBODY: Final = Issuers()


@dataclass(frozen=True)
class Pace:
    """How patient the loop is.

    ``bid_span`` is how long a bid lives unless renewed, ``patience`` how long the newest bid of a ring has the first
    word, ``retry`` the shortest wait after a refusal, and ``gather`` the least time between two looks at the book, in
    which news gather: a whole network's bids come within seconds, and a look costs more than any of them.
    ``asks``: of drafts that take more of a bid the person decides, None: of none. ``ask``: how long that may take.
    ``quote_span`` is how long a dealer's bid lives at most, ``issuers`` whose notes are wanted at all.
    """

    bid_span: Span
    patience: Span
    retry: Span
    partners_max: int
    asks: Quantity | None = None
    ask: Span = DAY
    gather: Span = GATHER
    quote_span: Span = HOUR
    issuers: Issuers = ANYBODY
