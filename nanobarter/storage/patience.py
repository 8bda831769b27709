"""A source of packs that waits for holders who are away for a moment, and says so, instead of failing at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from nanobarter.core.ids import PackId
from nanobarter.core.units import SECOND, Span
from nanobarter.storage.ports import PackMissing, PackSource

_FIRST_PAUSE: Final = 1.0  # seconds; a peer that restarts needs one or two
_LONGEST_PAUSE: Final = 15.0


@dataclass
class PatientSource:
    """Asks again, until patience ends, for a pack that may come later. ``again`` is called before each new try.

    ``waiting`` is told why, and for how many seconds more. A pack that did not come although it was waited for all
    the time ends the patience with all others: a holder who is gone for good must not cost a wait per file.
    """

    source: PackSource
    patience: Span
    waiting: Callable[[str, float], None]
    again: Callable[[], None]
    ended: bool = False

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body of a pack. Raises PackMissing."""
        ends, pause = trio.current_time() + self.patience / SECOND, _FIRST_PAUSE
        while True:
            try:
                return await self.source.get(pack_id)
            except PackMissing as error:
                left = ends - trio.current_time()
                if not error.later or self.ended:
                    raise
                if left <= 0:
                    self.ended = True
                    raise
                self.waiting(str(error), left)
            await trio.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
            self.again()
