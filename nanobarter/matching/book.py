"""The book: every live bid, by id and, once it is searched, by level."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nanobarter.core.units import Instant
from nanobarter.matching.bids import Bid, Name

if TYPE_CHECKING:
    from nanobarter.matching.index import Index


class Book:
    """The live bids of a market. A bid that expires, is withdrawn or has nothing left is not in it."""

    def __init__(self) -> None:
        self._bids = dict[Name, Bid]()
        self._index: Index | None = None
        self.version = 0
        """Counts what came in: a search that found nothing finds nothing until it has moved. What goes takes only."""

    def __len__(self) -> int:
        return len(self._bids)

    def __iter__(self) -> Iterator[Bid]:
        return iter(self._bids.values())

    def __contains__(self, bid_id: object) -> bool:
        return bid_id in self._bids

    def get(self, bid_id: Name) -> Bid | None:
        """Return the bid, or None when it is not in the book."""
        return self._bids.get(bid_id)

    def insert(self, bid: Bid) -> None:
        """Put a bid into the book, in place of the one of the same id. One with nothing left only removes it."""
        if bid.id in self._bids:
            self.withdraw(bid.id)
        if bid.quantity > 0:
            self.version += 1
            self._bids[bid.id] = bid
            if self._index is not None:
                self._index.insert(bid)

    def withdraw(self, bid_id: Name) -> bool:
        """Take a bid out; return whether it was there."""
        bid = self._bids.pop(bid_id, None)
        if bid is not None and self._index is not None:
            self._index.remove(bid)
        return bid is not None

    @contextmanager
    def without(self, bid_id: Name, *others: Name) -> Generator[Bid | None]:
        """Yield a bid, or None, that is out of the book meanwhile: what a search for its cycles should not meet.

        The others are out of it too. Afterwards ``version`` is what it was.
        """
        bid, version = self._bids.get(bid_id), self.version
        taken = [each for name in (bid_id, *others) if (each := self._bids.get(name)) is not None]
        for each in taken:
            self.withdraw(each.id)
        try:
            yield bid
        finally:
            for each in taken:
                self.insert(each)
            self.version = version

    def replace_quantity(self, bid_id: Name, left: int) -> None:
        """Set what is left of a bid; with nothing left it leaves the book. An unknown id is ignored."""
        bid = self._bids.get(bid_id)
        if bid is None:
            return
        if left <= 0:
            self.withdraw(bid_id)
            return
        changed = replace(bid, quantity=left)
        self.version += 1
        self._bids[bid_id] = changed
        if self._index is not None:
            self._index.swap(bid, changed)

    def expire(self, now: Instant) -> list[Name]:
        """Take out the bids whose time is over; return their ids."""
        over = [bid.id for bid in self if bid.expires is not None and bid.expires <= now]
        for bid_id in over:
            self.withdraw(bid_id)
        return over

    def index(self) -> "Index":
        """Return the levels. They are made at the first call, since they bring numpy with them."""
        if self._index is None:
            from nanobarter.matching.index import Index  # noqa: PLC0415 - see above

            self._index = Index()
            for bid in self:
                self._index.insert(bid)
        return self._index
