"""The book: every live bid, by id and, once it is searched, by level."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nanobarter.core.units import Instant
from nanobarter.matching.bids import Bid, Name

if TYPE_CHECKING:
    from nanobarter.matching.index import Index


class Book:
    """The live bids of a market. A bid that expires, is withdrawn or has nothing left is not in it.

    Strangers write bids, and one may bring out a bug of the levels. Then it is not in the book, the others are, the
    error is raised, and the levels are made anew at the next search.
    """

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
            self._levels(lambda index: index.insert(bid))
            self._bids[bid.id] = bid

    def withdraw(self, bid_id: Name) -> bool:
        """Take a bid out; return whether it was there."""
        bid = self._bids.pop(bid_id, None)
        if bid is not None:
            self._levels(lambda index: index.remove(bid))
        return bid is not None

    def _levels(self, change: Callable[["Index"], None]) -> None:
        """Carry a change over to the levels, or drop them: of one that failed, half may stand in them."""
        if self._index is None:
            return
        try:
            change(self._index)
        except BaseException:
            self._index = None
            raise

    @contextmanager
    def without(self, *bid_ids: Name) -> Generator[None]:
        """Keep bids out of the book meanwhile: what a search should not meet. Afterwards ``version`` is what it was.

        An error of a search may leave half-made bounds behind: the levels are made anew then, too.
        """
        version = self.version
        taken = [each for name in bid_ids if (each := self._bids.get(name)) is not None]
        try:
            for each in taken:
                self.withdraw(each.id)
            yield
        except BaseException:
            self._index = None
            raise
        finally:
            self._bids.update((each.id, each) for each in taken)
            self.version = version
            for each in taken:
                self._levels(lambda index, bid=each: index.insert(bid))

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
        self._levels(lambda index: index.swap(bid, changed))

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

            index = Index()
            for bid in list(self):
                try:
                    index.insert(bid)
                except BaseException:
                    del self._bids[bid.id]
                    raise
            self._index = index
        return self._index
