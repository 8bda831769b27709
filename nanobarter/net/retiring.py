"""How one of two connections to a peer ends without losing a call. Pure.

A side that retires a connection starts nothing more on it, and says DONE once nothing of its own is open. After both
said it, nothing can be under way.
"""

from collections.abc import Callable


class Retirement:
    """Where a connection stands in this; ``has_own`` tells whether something of this side is open on it."""

    def __init__(self, *, has_own: Callable[[], bool], say_done: Callable[[], None], over: Callable[[], None]) -> None:
        self._has_own, self._say_done, self._over = has_own, say_done, over
        self.has_begun = False
        """Whether nothing more may be started: this side retires it, or the other one said DONE."""
        self._said = self._heard = False

    def begin(self) -> None:
        """Start nothing more, and say DONE as soon as that is true."""
        self.has_begun = True
        self.look()

    def heard_done(self) -> None:
        """Note that the other side starts nothing more, and has nothing of its own open."""
        self._heard = True
        self.begin()

    def look(self) -> None:
        """Look again, when something of this side ended."""
        if self.has_begun and not self._said and not self._has_own():
            self._said = True
            self._say_done()
        if self._said and self._heard:
            self._over()
