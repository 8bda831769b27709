"""What our person has agreed to, as it binds us: which word carries a draft, and whether it still stands."""

from collections.abc import Callable

from msgspec.structs import replace

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import DraftId
from nanobarter.core.ports import Clock
from nanobarter.swap.ended import takes
from nanobarter.swap.messages import Draft
from nanobarter.swap.questions import covers, is_dead
from nanobarter.swap.shelf import Shelf
from nanobarter.swap.states import Ended, State


class Consents:
    """The words of our person among the questions that are kept. ``state`` finds a draft's state."""

    def __init__(self, shelf: Shelf, clock: Clock, state: Callable[[DraftId], State | None]) -> None:
        self._shelf, self._clock, self._state = shelf, clock, state

    def find(self, draft: Draft, index: int) -> DraftId | Refused:
        """Return the question in which our person agreed to a draft, or why it does not count now."""
        now, found = self._clock.now(), Refused(Reason.POLICY, "a person is asked about this bid: send a question")
        for question_id, question in self._shelf.known.items():
            if question.said is None or question.index != index or is_dead(question):
                continue
            if self._shelf.expires(question_id) <= now or not covers(question.draft, index, question.said, draft):
                continue
            used = None if question.used is None else self._state(question.used)
            if used is None or (isinstance(used, Ended) and not takes(used)):
                return question_id
            found = Refused(Reason.BUSY, "a draft rests on this consent already")
        return found

    async def use(self, question_id: DraftId, draft_id: DraftId) -> Refused | None:
        """Note durably that a draft rests on a consent, before we bind ourselves to it, unless it counts no more."""
        async with self._shelf.turn:
            if (refused := self.taken_back(question_id)) is None:
                await self._shelf.record({question_id: replace(self._shelf.known[question_id], used=draft_id)})
        return refused

    def taken_back(self, question_id: DraftId) -> Refused | None:
        """Return why no draft may rest on a consent that we had found, or None while it stands."""
        question = self._shelf.known.get(question_id)
        if question is None:
            return Refused(Reason.EXPIRED, "the consent is forgotten")
        if question.notice is not None and (is_dead(question) or question.said is None):
            return Refused(question.notice.reason, question.notice.detail)
        return None
