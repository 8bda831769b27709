"""A bound on bytes in memory at once, for things of many sizes: a count would be too many of the largest or too few."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Budget:
    """So many bytes may be held at once; who comes when too few are left waits, in the order of coming."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._line = trio.Lock()
        self._freed = trio.Event()

    @asynccontextmanager
    async def part(self, size: int) -> AsyncGenerator[None]:
        """Hold a part; what is larger than all counts as all, so that it comes through alone."""
        size = min(size, self._size)
        async with self._line:
            while self._left < size:
                self._freed = trio.Event()
                await self._freed.wait()
            self._left -= size
        try:
            yield
        finally:
            self._left += size
            self._freed.set()
