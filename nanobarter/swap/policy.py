"""What the owner of the bids decides, asked by the swap just before it binds the node."""

from typing import Protocol

from nanobarter.core.errors import Refused
from nanobarter.core.ids import BidId, DraftId
from nanobarter.core.item import Item
from nanobarter.core.units import Quantity
from nanobarter.swap.messages import Draft


class Policy(Protocol):
    """The last look. The swap has checked what the draft itself can show: signatures, stock, limits, time."""

    async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:
        """Return why we do not take position ``index``, or None.

        Only here is known whether ``draft.bids[index]`` is the newest version of our bid, whether the others'
        bids still stand, who is trusted how far, and which limits the owner has set. Must answer well within
        the approval time.
        """
        ...

    def newest(self, item: Item) -> Item | None:
        """Return the version of a bid that stands now, or None when it was withdrawn."""
        ...

    def stock(self, bid: BidId) -> Quantity | None:
        """Return what the owner gives by a bid now, without what has settled; None: what the bid itself says.

        A ring that settles is taken off before the swap hears of anything else, so that no other ring is promised
        the same. What rings under way may take is not taken off: the swap counts it.
        """
        ...


class ApproveAll:
    """Takes everything that the bids allow: for tests and demonstrations."""

    async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:  # noqa: ARG002 - it never looks
        """Return None."""
        return None

    def newest(self, item: Item) -> Item | None:
        """Return what it was given."""
        return item

    def stock(self, bid: BidId) -> Quantity | None:  # noqa: ARG002 - it keeps no orders
        """Return None."""
        return None
