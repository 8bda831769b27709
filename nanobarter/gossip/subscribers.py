"""Those who are told of items: what an item of a stranger brings out in one of them ends nothing else."""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from nanobarter.core.errors import is_ours
from nanobarter.core.ids import short_node
from nanobarter.core.item import Item, Topic

TOLD_MAX: Final = 16  # then only each power of two: a flood of such items must not push all else out of the log
_log = logging.getLogger(__name__)


class Subscribers:
    """Calls back by topic. Whoever passes strangers' items on to services does it through one of these.

    An item whose callback fails by a bug is left out there: the bug is told in the log, and counted in ``left_out``.
    Only what says that the node itself cannot go on (InvariantBroken, LocalFault) escapes.
    """

    def __init__(self) -> None:
        self._all = list[tuple[Topic, Callable[[Item], None]]]()
        self.left_out = 0
        """How often an item was not taken."""

    def add(self, topic: Topic, callback: Callable[[Item], None], known: Iterable[Item] = ()) -> None:
        """Call back for what is known already, and for each item of the topic from now on."""
        self._all.append((topic, callback))
        for item in known:
            self._tell(callback, item)

    def tell(self, item: Item) -> None:
        """Tell everybody who wants to know."""
        for topic, callback in list(self._all):
            if topic == item.topic:
                self._tell(callback, item)

    def _tell(self, callback: Callable[[Item], None], item: Item) -> None:
        try:
            callback(item)
        except Exception as error:
            if is_ours(error):
                raise
            self.left_out += 1
            if self.left_out <= TOLD_MAX or self.left_out.bit_count() == 1:
                told = "our fault: an item (%s) of %s is left out by a bug; %d since the start"
                _log.exception(told, item.topic, short_node(item.node), self.left_out)
