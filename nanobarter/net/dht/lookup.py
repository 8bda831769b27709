"""Which contact to ask next on the way to a key. Pure: ``now`` in seconds.

Five questions are under way at once, not in lock-step: a question that stays unanswered for half a second no longer
counts, though its answer is still welcome. It is over when the nearest eight that are not silent have answered.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.net.dht.wire import CONTACTS_MAX, KEY_BYTES, Contact

ALPHA: Final = 5
STALL: Final = 0.5  # seconds
NEAREST: Final = CONTACTS_MAX
_CANDIDATES_MAX: Final = 256  # what liars invent does not grow without bound


class _State(Enum):
    NEW = auto()
    ASKED = auto()
    ANSWERED = auto()
    FAILED = auto()


@dataclass
class _Candidate:
    contact: Contact
    state: _State = _State.NEW
    asked_at: float = 0.0


class Lookup:
    """One walk towards a key."""

    def __init__(self, key: bytes, own: NodeId) -> None:
        self._key, self._own = int.from_bytes(key, "big"), own
        self._candidates: dict[NodeId, _Candidate] = {}

    def learn(self, contacts: list[Contact]) -> None:
        """Take contacts that somebody told of."""
        for contact in contacts:
            if contact.node != self._own and contact.node not in self._candidates:
                self._candidates[contact.node] = _Candidate(contact)
        if len(self._candidates) > _CANDIDATES_MAX:
            for far in self._sorted()[_CANDIDATES_MAX:]:
                del self._candidates[far.contact.node]

    def answered(self, node: NodeId) -> None:
        """Note an answer."""
        if node in self._candidates:
            self._candidates[node].state = _State.ANSWERED

    def failed(self, node: NodeId) -> None:
        """Note that no answer will come."""
        if node in self._candidates and self._candidates[node].state is not _State.ANSWERED:
            self._candidates[node].state = _State.FAILED

    def next(self, now: float) -> list[Contact]:
        """Return whom to ask now; they count as asked."""
        room = ALPHA - sum(1 for one in self._candidates.values() if self._is_open(one, now))
        chosen = [one for one in self._front(now) if one.state is _State.NEW][: max(room, 0)]
        for one in chosen:
            one.state, one.asked_at = _State.ASKED, now
        return [one.contact for one in chosen]

    def is_over(self, now: float) -> bool:
        """Tell whether nothing nearer is to be found."""
        return not any(one.state is _State.NEW or self._is_open(one, now) for one in self._front(now))

    def wakes_at(self, now: float) -> float:
        """Return when the next question stalls; infinity when none is under way."""
        times = [one.asked_at + STALL for one in self._candidates.values() if self._is_open(one, now)]
        return min(times, default=float("inf"))

    def nearest(self) -> list[Contact]:
        """Return those nearest to the key that answered."""
        return [one.contact for one in self._sorted() if one.state is _State.ANSWERED][:NEAREST]

    def stalled(self, now: float) -> list[NodeId]:
        """Return those who left a question unanswered for too long."""
        silent = [one for one in self._candidates.values() if one.state is _State.ASKED and not self._is_open(one, now)]
        return [one.contact.node for one in silent]

    def _is_open(self, one: _Candidate, now: float) -> bool:
        return one.state is _State.ASKED and now - one.asked_at < STALL

    def _front(self, now: float) -> list[_Candidate]:
        """Return the nearest that are not known to be silent: eight, and those of whom an answer may still come.

        The latter do not take the place of others: seven answers and a row of dead contacts would be waited out one
        by one.
        """
        front, settled = list[_Candidate](), 0
        for one in self._sorted():
            is_open = self._is_open(one, now)
            if settled < NEAREST and (is_open or one.state in (_State.NEW, _State.ANSWERED)):
                front.append(one)
                settled += not is_open
        return front

    def _sorted(self) -> list[_Candidate]:
        def distance(one: _Candidate) -> int:
            return int.from_bytes(one.contact.node[:KEY_BYTES], "big") ^ self._key

        return sorted(self._candidates.values(), key=distance)
