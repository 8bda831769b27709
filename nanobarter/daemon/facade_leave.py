"""What a node tells and does about leaving: the shape, and the door behind it. See ``facade``."""

from collections.abc import AsyncIterator
from typing import Protocol

from nanobarter.daemon.shape import Progress, Shape


class LeaveView(Shape, frozen=True, kw_only=True, tag="leave"):
    """Whether this node leaves, and what it still keeps for others under leases that run, the last until ``until``.

    ``done`` when it leaves and nothing is left. ``begun_`` is what it kept when it began. ``notes_mib`` are its own
    notes that others hold: they lose their worth when it goes.
    """

    leaving: bool = False
    done: bool = False
    since: int | None = None
    until: int | None = None
    shares: int = 0
    share_bytes: int = 0
    leases: int = 0
    holders: int = 0
    begun_shares: int = 0
    begun_bytes: int = 0
    notes_mib: int = 0


class LeaveFacade(Protocol):
    """The leaving of one node. Errors and iterators are as in ``facade.NodeFacade``."""

    async def leave(self) -> LeaveView:
        """Tell how far it is."""
        ...

    async def begin(self) -> LeaveView:
        """Say to all that this node leaves, and take nothing new in; again is fine."""
        ...

    async def cancel(self) -> LeaveView:
        """Stay after all."""
        ...

    def wait(self) -> AsyncIterator[Progress | LeaveView]:
        """Tell how far it is until nothing is left, or this node stays after all."""
        ...
