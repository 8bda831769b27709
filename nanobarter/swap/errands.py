"""What one question still wants done, again and again until it is over: telling, waiting, and at last drafting."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio
from msgspec.structs import replace

from nanobarter.core.canonical import Record
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused, Unreachable, is_ours
from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.units import SECOND, Quantity, Span, span_between
from nanobarter.swap.carrier import tell
from nanobarter.swap.ended import takes
from nanobarter.swap.events import Aborted, DraftRefused, Outcome
from nanobarter.swap.making import seal_message
from nanobarter.swap.messages import Cancel, DraftArc, Refuse
from nanobarter.swap.questions import Question, all_cover, drafted, make_consent, missing
from nanobarter.swap.states import Ended, State

_log = logging.getLogger(__name__)

FINAL = frozenset({Reason.WRONG_TERMS, Reason.POLICY, Reason.OVER_QUOTA, Reason.NO_CAPACITY})
"""Refusals of a draft that everybody has agreed to which another try does not change."""


class Questions(Protocol):
    """Where questions are kept."""

    def get(self, question_id: DraftId) -> Question | None:
        """Return a question, over or not."""
        ...

    def news(self, question_id: DraftId) -> trio.Event:
        """Return an event that is set at the next change of a question."""
        ...

    async def drop(self, question_id: DraftId, reason: Reason, detail: str, by: NodeId | None) -> Refused | None:
        """End a question."""
        ...

    async def ask_anew(self, question: Question, arcs: Sequence[DraftArc], bids: Sequence[Item]) -> None:
        """Ask about the same ring with other quantities, in place of a question."""
        ...


class Errands:
    """Runs the errands of the questions of one node."""

    def __init__(
        self,
        *,
        questions: Questions,
        key: SigningKey,
        caller: Caller,
        clock: Clock,
        limits: Limits,
        state: Callable[[DraftId], State | None],
        draft: Callable[[Sequence[DraftArc], Sequence[Item]], Awaitable[Outcome]],
        newest: Callable[[Item], Item | None],
    ) -> None:
        self._questions, self._key, self._caller = questions, key, caller
        self._clock, self._limits, self._state = clock, limits, state
        self._draft, self._newest = draft, newest

    async def pursue(self, question_id: DraftId) -> None:
        """Do what a question wants until it is over or has expired.

        A bug that it brings out is logged and leaves it alone until the next start, since others ask what they like;
        while a draft of ours rests on it, the bug ends the node, which takes that draft up again.
        """
        try:
            await self._pursue(question_id)
        except Exception as error:
            question = self._questions.get(question_id)
            if is_ours(error) or (question is not None and self._is_used(question)):
                raise
            _log.exception("our fault: question %s is left by a bug", question_id.hex()[:16])

    async def _pursue(self, question_id: DraftId) -> None:
        told, tries = set[int](), 0
        pause = self._limits.swap_retry_first
        while (question := self._questions.get(question_id)) is not None and question.notice is None:
            left = span_between(self._clock.now(), question.expires)
            if left <= 0:
                await self._questions.drop(question_id, Reason.EXPIRED, "nobody answered in time", None)
                return
            if question.used is not None and takes(used := self._state(question.used)):
                detail = "settled" if used.outcome == "settled" else "its ring has gone wrong, and has used it up"
                await self._questions.drop(question_id, Reason.SPENT, detail, None)
                return
            news, quiet = self._questions.news(question_id), True
            if question.index == 0 and await self._has_moved_on(question_id, question):
                return
            if question.index == 0 and question.said is not None and not missing(question):
                tries += not self._is_used(question)
                quiet = await self._try(question_id, question, tries)
            elif question.said is not None:
                quiet = await self._tell(question, told)
            wait = self._limits.swap_ask_again if quiet else pause
            with trio.move_on_after(min(wait, left) / SECOND) as waiting:
                await news.wait()
            if not waiting.cancelled_caught:
                pause = self._limits.swap_retry_first
            else:
                pause = Span(min(2 * pause, self._limits.swap_poll_max))
            if quiet and waiting.cancelled_caught:
                told.clear()  # whoever was told may have lost it

    async def _tell(self, question: Question, told: set[int]) -> bool:
        """Send our consent to the proposer, or the question to who has not answered; tell whether all know."""
        arcs = question.draft.arcs
        if question.index:
            wanted, method, message = [0], "swap.consent", make_consent(self._key, question)
        else:
            wanted, method, message = list(missing(question)), "swap.ask", question.signed
        for j in wanted:
            if j not in told and await self.say(arcs[j].giver, method, message):
                told.add(j)
        return told >= set(wanted)

    async def say(self, to: NodeId, method: str, message: Record) -> bool:
        """Send one message once; tell whether it was acknowledged."""
        try:
            signed = seal_message(self._key, message)
            return await tell(self._caller, to, method, signed, self._limits.swap_call_timeout)
        except (Unreachable, PeerFault, Malformed):
            return False

    async def part(self, question_id: DraftId, question: Question) -> None:
        """Tell whom it concerns that a question is over; a few times only, since they ask again by themselves."""
        if question.notice is None:
            return
        reason, detail = question.notice.reason, question.notice.detail
        if question.index:
            method, message = "swap.refuse", Refuse(question_id, question.index, reason, Quantity(0), detail)
        else:
            method, message = "swap.cancel", Cancel(question_id, reason, detail)
        for to in question.notice.to:
            for number in range(self._limits.swap_push_tries):
                if await self.say(to, method, message):
                    break
                await trio.sleep((self._limits.swap_retry_first << number) / SECOND)

    def _is_used(self, question: Question) -> bool:
        """Tell whether a draft that rests on the question is under way."""
        state = None if question.used is None else self._state(question.used)
        return state is not None and not isinstance(state, Ended)

    async def _has_moved_on(self, question_id: DraftId, question: Question) -> bool:
        """End a question whose bids give other quantities by now, before its persons have all answered.

        A person must not be left with a question about what is no longer there: what is there is asked about anew.
        """
        if (question.said is not None and not missing(question)) or self._is_used(question):
            return False  # drafting looks at the bids itself
        newest = self._newest_bids(question)
        arcs = drafted(question, newest)
        if arcs == question.draft.arcs:
            return False
        if arcs is None:
            await self._questions.drop(question_id, Reason.UNKNOWN_BID, "a bid was withdrawn or used up", None)
        else:
            await self._questions.ask_anew(question, arcs, newest)
        return True

    def _newest_bids(self, question: Question) -> list[Item]:
        """Return the bids of a question as they stand, without those that are gone."""
        newest = [self._newest(item) for item in question.draft.bids]
        return [item for item in newest if item is not None]

    async def _try(self, question_id: DraftId, question: Question, tries: int) -> bool:
        """Draft what all have agreed to; tell whether there is nothing to repeat soon."""
        if self._is_used(question):
            return True
        bids = self._newest_bids(question)
        if len(bids) < len(question.draft.bids):
            await self._questions.drop(question_id, Reason.UNKNOWN_BID, "a bid was withdrawn", None)
            return True
        arcs = drafted(question, bids)
        if arcs is None:
            await self._questions.drop(question_id, Reason.WRONG_TERMS, "no whole quantities are left", None)
            return True
        if not all_cover(question, replace(question.draft, arcs=arcs, bids=tuple(bids))):
            await self._questions.ask_anew(question, arcs, bids)
            return True
        outcome = await self._draft(arcs, bids)
        over = isinstance(outcome, DraftRefused | Aborted) and outcome.reason in FINAL
        if isinstance(outcome, DraftRefused | Aborted) and (over or tries >= self._limits.swap_question_tries):
            by = outcome.by if isinstance(outcome, DraftRefused) else None
            await self._questions.drop(question_id, outcome.reason, outcome.detail, by)
        return not isinstance(outcome, DraftRefused | Aborted)
