"""The leaving of the fake node: it has three shares of somebody, of which each look moves one."""

from collections.abc import AsyncIterator

import trio

from nanobarter.daemon.facade_leave import LeaveView
from nanobarter.daemon.shape import Progress


class FakeLeave:
    """Remembers what it was asked in ``asked``."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked
        self.view = LeaveView(shares=3, share_bytes=3_000_000, leases=1, holders=1)

    async def leave(self) -> LeaveView:
        await trio.lowlevel.checkpoint()
        return self.view

    async def begin(self) -> LeaveView:
        self._asked.append("leave")
        await trio.lowlevel.checkpoint()
        self.view = LeaveView(
            leaving=True, since=0, until=60_000, shares=3, share_bytes=3_000_000, holders=1, begun_shares=3, notes_mib=5
        )
        return self.view

    async def cancel(self) -> LeaveView:
        self._asked.append("stay")
        await trio.lowlevel.checkpoint()
        self.view = LeaveView(shares=3)
        return self.view

    async def wait(self) -> AsyncIterator[Progress | LeaveView]:
        yield Progress(phase="leaving", done=1, total=3, unit="shares")
        await trio.lowlevel.checkpoint()
        self.view = LeaveView(leaving=True, done=True, since=0, begun_shares=3, notes_mib=5)
        yield self.view
