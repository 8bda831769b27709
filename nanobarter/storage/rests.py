"""Which peers failed lately. They are asked last for a while; those that give no sign of life are not waited for."""

from collections.abc import Awaitable, Callable

import trio

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.units import Instant, Span, after


class Rests:
    """The rests of peers that failed. ``lives`` asks one for a sign of life within so short a time."""

    def __init__(self, lives: Callable[[NodeId, Span], Awaitable[bool]], clock: Clock, limits: Limits) -> None:
        self._lives = lives
        self._clock = clock
        self._limits = limits
        self._until = dict[NodeId, Instant]()
        self._mute = dict[NodeId, Instant]()  # who gave no sign of life in the rest that ends then

    def begin(self, node: NodeId) -> None:
        """Let a peer rest: it failed. One that is mute stays so."""
        was_mute = self.mute(node)
        self._until[node] = after(self._clock.now(), self._limits.share_peer_rest)
        if was_mute:
            self._mute[node] = self._until[node]

    def resting(self, node: NodeId) -> bool:
        """Tell whether a peer failed not long ago."""
        return self._until.get(node, 0) > self._clock.now()

    def mute(self, node: NodeId) -> bool:
        """Tell whether a peer that rests was asked for a sign of life in vain."""
        return self.resting(node) and self._mute.get(node) == self._until[node]

    def end(self, node: NodeId) -> bool:
        """Forget that a peer failed lately; tell whether it had."""
        self._mute.pop(node, None)
        return self._until.pop(node, 0) > self._clock.now()

    def end_all(self) -> None:
        """Forget who failed lately: everybody gets another chance."""
        self._until.clear()
        self._mute.clear()

    async def end_of_the_living(self, *, mute_too: bool = False) -> int:
        """Forget the failures of the resting peers that answer now, and return how many do.

        A hung peer takes connections and answers nothing; another share for it would cost another wait. It is asked
        once in each of its rests, unless those that were mute get another chance ``too``.
        """
        fresh = [node for node in self._until if self.resting(node) and (mute_too or not self.mute(node))]
        back = list[NodeId]()

        async def ask(node: NodeId) -> None:
            if await self._lives(node, self._limits.sign_timeout):
                back.append(node)

        async with trio.open_nursery() as nursery:
            for node in fresh:
                nursery.start_soon(ask, node)
        self._mute = {node: until for node, until in self._until.items() if self.mute(node) or node in fresh}
        for node in back:
            self.end(node)
        return len(back)
