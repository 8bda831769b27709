"""What the owner of the bids decides, asked by the swap just before it binds the node."""

from typing import Protocol

from nanobarter.core.errors import Refused
from nanobarter.core.ids import DraftId
from nanobarter.core.item import Item
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


class ApproveAll:
    """Takes everything that the bids allow: for tests and demonstrations."""

    async def last_look(self, draft: Draft, index: int, draft_id: DraftId) -> Refused | None:  # noqa: ARG002 - it never looks
        """Return None."""
        return None

    def newest(self, item: Item) -> Item | None:
        """Return what it was given."""
        return item
