"""Where the questions of one node are kept: in memory as on disk, over or not, until they expire or are forgotten."""

from collections.abc import Mapping

import trio

from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.swap import tables
from nanobarter.swap.forgetting import forgotten
from nanobarter.swap.questions import Question


class Shelf:
    """See the module. Who looks at a question and then records another holds ``turn`` meanwhile."""

    def __init__(self, store: Store, clock: Clock, limits: Limits, me: NodeId) -> None:
        self._store, self._clock, self._limits, self._me = store, clock, limits, me
        self.known = dict[DraftId, Question]()
        self.turn = trio.Lock()
        self._ends = dict[DraftId, Instant]()
        self._forgotten = set[DraftId]()  # not yet off the disk
        self._news: dict[DraftId, trio.Event] = {}

    def load(self) -> None:
        """Take up the questions that the disk remembers."""
        self.known = self._store.read_now(tables.questions)
        self._ends = {known: question.expires for known, question in self.known.items()}
        self._forget()

    def open(self) -> dict[DraftId, Question]:
        """Return the questions that are not over."""
        return {known: question for known, question in self.known.items() if question.notice is None}

    def expires(self, question_id: DraftId) -> Instant:
        """Return when a question that is kept expires."""
        return self._ends[question_id]

    def has_room(self, *, ours: bool) -> bool:
        """Tell whether one more may be open. What others ask leaves room for what we ask."""
        self._forget()
        like = sum((question.index == 0) == ours for question in self.open().values())
        return like < self._limits.swap_questions_max

    async def record(self, fresh: Mapping[DraftId, Question]) -> None:
        """Keep questions as they are now, in one write; durable on return. Call it in turn."""
        gone = self._forgotten - set(fresh)
        self._forgotten = set[DraftId]()

        def write(db: tables.Db) -> None:
            tables.drop_questions(db, gone)
            for question_id, question in fresh.items():
                tables.put_question(db, question_id, question)

        await self._store.write(write)
        self.known |= fresh
        self._ends |= {question_id: question.expires for question_id, question in fresh.items()}
        for question_id in fresh:
            self.wake(question_id)

    # -- who waits for news

    def news(self, question_id: DraftId) -> trio.Event:
        """Return an event that is set at the next change of a question."""
        event = self._news[question_id] = trio.Event()
        return event

    def wake(self, question_id: DraftId) -> None:
        """Tell who waits for news of a question."""
        if question_id in self._news:
            self._news[question_id].set()

    def no_more_news(self, question_id: DraftId) -> None:
        """Forget who waited for news of a question: it is over."""
        self._news.pop(question_id, None)

    def _forget(self) -> None:
        for known in forgotten(self.known, self._ends, self._me, self._limits, self._clock.now()):
            del self.known[known], self._ends[known]
            self._news.pop(known, None)
            self._forgotten.add(known)
