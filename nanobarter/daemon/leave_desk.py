"""Implements ``facade_leave.LeaveFacade`` over a running node, and the routes to it."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import trio

from nanobarter.daemon.api import Routes
from nanobarter.daemon.facade_leave import LeaveFacade, LeaveView
from nanobarter.daemon.jobs import Say
from nanobarter.daemon.routing import Nothing, many, one
from nanobarter.daemon.shape import Progress

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

LOOK_AGAIN: Final = 1.0  # seconds


class LeaveDesk:
    """The leaving of one node, for its person."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def leave(self) -> LeaveView:
        """Tell how far it is."""
        leaver, kept = self._node.leaver, await self._node.leaver.kept()
        begun = leaver.begun
        return LeaveView(
            leaving=begun is not None,
            done=begun is not None and not kept.shares,
            since=begun.since if begun else None,
            until=kept.last_end if kept.shares else None,
            shares=kept.shares,
            share_bytes=kept.share_bytes,
            leases=kept.leases,
            holders=kept.holders,
            begun_shares=begun.shares if begun else 0,
            begun_bytes=begun.share_bytes if begun else 0,
            notes_mib=sum(c.outstanding for c in self._node.mint.capacity()),
        )

    async def begin(self) -> LeaveView:
        """Leave from now on."""
        await self._node.leaver.begin()
        return await self.leave()

    async def cancel(self) -> LeaveView:
        """Stay after all."""
        await self._node.leaver.cancel()
        return await self.leave()

    def wait(self) -> AsyncGenerator[Progress | LeaveView]:
        """Tell how far it is until nothing is left."""
        return self._node.jobs.events(self._wait)

    async def _wait(self, say: Say) -> LeaveView:
        while (now := await self.leave()).leaving and not now.done:
            gone = max(now.begun_shares - now.shares, 0)
            note = f"{now.shares} shares are left"
            say(Progress(phase="leaving", done=gone, total=now.begun_shares, unit="shares", note=note))
            await trio.sleep(LOOK_AGAIN)
        return now


def leave_routes(leave: LeaveFacade) -> Routes:
    """Return the routes of leaving."""
    return {
        ("GET", "/v1/leave"): one(Nothing, lambda _: leave.leave()),
        ("POST", "/v1/leave/begin"): one(Nothing, lambda _: leave.begin()),
        ("POST", "/v1/leave/cancel"): one(Nothing, lambda _: leave.cancel()),
        ("POST", "/v1/leave/wait"): many(Nothing, lambda _: leave.wait()),
    }
