"""A machine that dies at its n-th durable deed: what was done until then is on the disk, and nothing follows."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from nanobarter.core.errors import LocalFault
from nanobarter.core.ids import PackId
from nanobarter.core.store import Change, Store
from nanobarter.storage.ports import Pack
from nanobarter.storage.prune import PackStock

T = TypeVar("T")


class Died(LocalFault):
    """The machine is dead."""


@dataclass
class Life:
    """``left`` deeds are done; the next one dies before it, or after it but before anybody learns of it."""

    left: int
    after: bool = False

    async def deed(self, do: Callable[[], Awaitable[T]]) -> T:
        self.left -= 1
        if self.left < 0 and not (self.after and self.left == -1):
            raise Died("the machine died")
        result = await do()
        if self.left < 0:
            raise Died("the machine died")
        return result

    @property
    def dead(self) -> bool:
        return self.left < 0

    def rule(self, store: Store) -> None:
        """Make every change of a store a deed."""
        write = store.write

        async def mortal(change: Change[T]) -> T:
            return await self.deed(lambda: write(change))

        store.write = mortal


@dataclass
class MortalStock:
    """Packs on a mortal machine."""

    packs: PackStock
    life: Life

    async def put(self, pack: Pack) -> None:
        await self.life.deed(lambda: self.packs.put(pack))

    async def get(self, pack_id: PackId) -> bytes:
        return await self.packs.get(pack_id)

    async def stocked(self) -> Collection[PackId]:
        return await self.packs.stocked()

    async def remove(self, pack_id: PackId) -> None:
        await self.life.deed(lambda: self.packs.remove(pack_id))
