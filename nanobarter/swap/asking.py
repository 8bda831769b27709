"""Carries questions to persons and their words back: both sides of what ``questions`` decides.

The proposer asks its own person first, then the others', and drafts when all have agreed; nobody reserves before. What
is said is durable before it leaves the node. One task pursues each question until it is over: it repeats what was not
acknowledged, and from time to time all, since the other side may have lost its notice. ``shelf`` keeps the questions.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio
from msgspec.structs import replace

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import BidId, DraftId, NodeId, sha256
from nanobarter.core.item import Item
from nanobarter.core.keys import Signed, SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import Quantity, after
from nanobarter.swap import tasks
from nanobarter.swap.consents import Consents
from nanobarter.swap.ended import takes
from nanobarter.swap.errands import Errands, Questions
from nanobarter.swap.events import Asked, DraftRefused
from nanobarter.swap.messages import DETAIL_MAX, Draft, DraftArc, Refuse, draft_id_of, open_cancel, open_refuse
from nanobarter.swap.questions import (
    Question,
    begun,
    consent_objection,
    covers,
    followers,
    is_asked,
    is_refused,
    is_replaced,
    is_turned,
    make_question,
    open_consent,
    open_question,
    own_about,
    question_objection,
    replaced,
    serves,
    who_is_told,
)
from nanobarter.swap.shelf import Shelf
from nanobarter.swap.states import Notice, State
from nanobarter.swap.terms import SwapTimes


class Asker:
    """The questions of one node. ``state`` finds a draft's state; ``errands`` makes what carries the questions."""

    def __init__(  # noqa: PLR0913 - ports are passed by name
        self,
        *,
        key: SigningKey,
        store: Store,
        clock: Clock,
        limits: Limits,
        times: SwapTimes,
        state: Callable[[DraftId], State | None],
        errands: Callable[[Questions], Errands],
        newest: Callable[[Item], Item | None],
        told: Callable[[Asked | DraftRefused], None],
        blamed: Callable[[NodeId, str], None],
    ) -> None:
        self._key, self._clock, self._limits, self._times, self._state = key, clock, limits, times, state
        self._told, self._blamed, self._newest = told, blamed, newest
        self._shelf = Shelf(store, clock, limits, key.node_id)
        self.consents = Consents(self._shelf, clock, state)
        self._nursery: trio.Nursery | None = None
        self._errands = errands(self)

    def start(self, nursery: trio.Nursery) -> None:
        """Take up the questions that the disk remembers."""
        self._nursery = nursery
        self._shelf.load()
        for question_id in self.questions():
            nursery.start_soon(self._errands.pursue, question_id)

    # -- what the node and its person ask

    def questions(self) -> dict[DraftId, Question]:
        """Return the questions that are not over."""
        return self._shelf.open()

    def get(self, question_id: DraftId) -> Question | None:
        """Return a question, over or not."""
        return self._shelf.known.get(question_id)

    def asked_anew(self) -> dict[DraftId, DraftId]:
        """Return the questions that are over without a word, each with the open one about the same bids."""
        return followers(self._shelf.known)

    def news(self, question_id: DraftId) -> trio.Event:
        """Return an event that is set at the next change of a question."""
        return self._shelf.news(question_id)

    async def ask(self, draft: Draft) -> DraftId | Refused:
        """Begin to ask about a draft of our own; return the question's id. The same ring is asked about once."""
        ring = [(a.bid, a.giver) for a in draft.arcs]
        if is_refused(self._shelf.known.values(), draft, self._key.node_id):
            return Refused(Reason.POLICY, "its owner has refused these bids together")
        # One that has just become a swap is about to end; what is left of its bids is another question.
        live = {known: q for known, q in self.questions().items() if q.index == 0 and not self._is_spent(q)}
        for known, question in live.items():
            if [(a.bid, a.giver) for a in question.draft.arcs] == ring:
                return known
        if any(q.index and is_turned(q.draft, draft) for q in self.questions().values()):
            return Refused(Reason.BUSY, "a partner asks about these bids already")
        if sum(q.bid == draft.arcs[0].bid for q in live.values()) >= self._limits.swap_questions_bid_max:
            return Refused(Reason.TOO_MANY, "the persons of other rings are asked about this bid already")
        if not self._shelf.has_room(ours=True):
            return Refused(Reason.TOO_MANY, "too many questions are open")
        signed = make_question(self._key, draft, self._times.ask)
        question_id = draft_id_of(signed)
        if not await self._adopt(question_id, begun(signed, 0)):
            return Refused(Reason.BUSY, "a partner asks about these bids already")
        return question_id

    async def say(self, question_id: DraftId, quantity: Quantity) -> Refused | None:
        """Agree in our person's name to give at most so much."""
        async with self._shelf.turn:
            question = self._shelf.known.get(question_id)
            if question is None or question.notice is not None:
                return Refused(Reason.TOO_LATE, "the question is over")
            if not 1 <= quantity <= question.draft.arcs[question.index].quantity:
                return Refused(Reason.WRONG_TERMS, "more than was asked for, or nothing")
            if question.said is not None:
                return None if question.said == quantity else Refused(Reason.CONFLICT, "it is approved already")
            await self._shelf.record({question_id: replace(question, said=quantity)})
        return None

    async def drop(self, question_id: DraftId, reason: Reason, detail: str, by: NodeId | None) -> Refused | None:
        """End a question, and tell those whom it concerns unless it was they who ended it."""
        async with self._shelf.turn:
            question = self._shelf.known.get(question_id)
            if question is None or question.notice is not None:
                return Refused(Reason.TOO_LATE, "the question is over")
            to = tuple(node for node in who_is_told(question) if node != by)
            notice = Notice(to, after(self._clock.now(), self._limits.swap_retry_max), reason, detail[:DETAIL_MAX])
            question = replace(question, notice=notice, by=by)
            await self._shelf.record({question_id: question})
        self._shelf.no_more_news(question_id)
        if reason != Reason.SPENT:  # that is how it ends well
            self._start(self._errands.part, question_id, question)
        if reason not in (Reason.SPENT, Reason.CONFLICT):
            self._told(DraftRefused(question_id, question.bid, by, reason, detail))
        return None

    async def ask_anew(self, question: Question, arcs: Sequence[DraftArc], bids: Sequence[Item]) -> None:
        """Ask about the same ring with other quantities; who has agreed to as much is not troubled again."""
        now, old = self._clock.now(), question.draft
        draft = replace(old, arcs=tuple(arcs), bids=tuple(bids), nonce=sha256(old.nonce), time=now)
        signed = make_question(self._key, draft, self._times.ask)
        covered = question.said is not None and covers(old, 0, question.said, draft)
        fresh = replace(begun(signed, 0), said=draft.arcs[0].quantity) if covered else begun(signed, 0)
        old_id = draft_id_of(question.signed)
        await self._adopt(draft_id_of(signed), fresh, instead=old_id)
        self._start(self._errands.part, old_id, self._shelf.known[old_id])

    def bid_changed(self, bid: BidId) -> None:
        """Look again at our questions about a bid that is another than it was."""
        for question_id, question in self._shelf.known.items():
            if question.notice is None and question.index == 0 and any(a.bid == bid for a in question.draft.arcs):
                self._shelf.wake(question_id)

    def ended(self, draft_id: DraftId) -> None:
        """Look again at the questions whose draft has just ended."""
        for question_id, question in self._shelf.known.items():
            if question.used == draft_id:
                self._shelf.wake(question_id)

    # -- what others say

    async def on_question(self, signed: Signed) -> bool:
        """Keep a question for our person; answer at once where an earlier word covers it."""
        draft, question_id = open_question(signed), draft_id_of(signed)
        if question_id in self._shelf.known:
            question = self._shelf.known[question_id]
            if question.notice is not None:
                self._start(self._errands.part, question_id, question)
            return True
        index = next((i for i, arc in enumerate(draft.arcs) if arc.giver == self._key.node_id), 0)
        if not index:
            return True
        objection = self._objection(signed, draft, index)
        own = own_about(self.questions(), draft)
        if objection is None and own is not None and own[1].said is not None and self._key.node_id < signed.signer:
            return True  # ours has been said, too, and is the one that both take up
        if objection is None:
            for known in [known for known, q in self.questions().items() if is_replaced(q, signed)]:
                await self.drop(known, Reason.CONFLICT, "asked anew", signed.signer)
            question, instead = self._begun(signed, index, own)
            if not await self._adopt(question_id, question, instead=instead, seen=own):
                if own is not None and self._shelf.known.get(own[0]) is not own[1]:
                    return False  # our person spoke in this very moment: let it come again
                objection = Refused(Reason.BUSY, "its owner is asked about these bids already")
        if objection is not None:
            refuse = Refuse(question_id, index, objection.reason, Quantity(0), objection.detail[:DETAIL_MAX])
            self._start(self._errands.say, draft.arcs[0].giver, "swap.refuse", refuse)
        return True

    def _objection(self, signed: Signed, draft: Draft, index: int) -> Refused | None:
        """Return why our person is not asked what a partner asks."""
        limits, mine = self._limits, self.questions().values()
        if (
            no := question_objection(draft, index, self._times, limits.swap_question_life_max, self._clock.now())
        ) is not None:
            return no
        theirs = sum(q.signed.signer == signed.signer for q in mine)
        if not self._shelf.has_room(ours=False) or theirs >= limits.swap_questions_bid_max:
            return Refused(Reason.TOO_MANY, "too many questions wait for an answer")
        if any((now := self._newest(then)) is not None and now.sequence > then.sequence for then in draft.bids):
            return Refused(Reason.UNKNOWN_BID, "a bid in the draft was replaced")
        if is_refused(self._shelf.known.values(), draft, self._key.node_id):
            return Refused(Reason.POLICY, "its owner has refused these bids together")
        return None

    async def on_consent(self, signed: Signed) -> bool:
        """Take the consent of another's person."""
        consent = open_consent(signed)
        async with self._shelf.turn:
            question = self._shelf.known.get(consent.question)
            if question is None or question.index:
                return True
            if question.notice is not None:  # it died before it could say so, or we did
                self._start(self._errands.part, consent.question, question)
                return True
            if (objection := consent_objection(question, signed)) is not None:
                self._blamed(signed.signer, objection)
                return True
            if question.consents[consent.index] is None:
                consents = (*question.consents[: consent.index], signed, *question.consents[consent.index + 1 :])
                await self._shelf.record({consent.question: replace(question, consents=consents)})
        return True

    async def on_refuse(self, signed: Signed) -> None:
        """Take another's no to our question, if it is about one."""
        refuse = open_refuse(signed)
        question = self._shelf.known.get(refuse.draft)
        if question is None or question.index or refuse.index >= len(question.consents):
            return
        if question.draft.arcs[refuse.index].giver == signed.signer:
            await self.drop(refuse.draft, refuse.reason, refuse.detail, signed.signer)

    async def on_cancel(self, signed: Signed) -> None:
        """Take the proposer's end of a question, if it is about one."""
        cancel = open_cancel(signed)
        question = self._shelf.known.get(cancel.draft)
        if question is not None and question.index and question.signed.signer == signed.signer:
            await self.drop(cancel.draft, cancel.reason, cancel.detail, signed.signer)

    def _begun(
        self, signed: Signed, index: int, own: tuple[DraftId, Question] | None
    ) -> tuple[Question, DraftId | None]:
        """Return a partner's question as we keep it, with an earlier word that covers it, and what it replaces."""
        draft, question = open_question(signed), begun(signed, index)
        spoken = replace(question, said=draft.arcs[index].quantity)
        consent = self.consents.find(draft, index)
        if not isinstance(consent, Refused):
            return spoken, consent
        if own is None:
            return question, None
        return spoken if serves(own[1], draft, index) else question, own[0]

    # -- keeping

    def _is_spent(self, question: Question) -> bool:
        return question.used is not None and takes(self._state(question.used))

    async def _adopt(
        self,
        question_id: DraftId,
        question: Question,
        *,
        instead: DraftId | None = None,
        seen: tuple[DraftId, Question] | None = None,
    ) -> bool:
        """Keep a question, unless our person has the same bids before her already and this does not replace them.

        That is looked at in turn with what is being recorded: two may come in the same moment. The question that it
        replaces ends in the same write, and its word with it: a crash in between would let one word serve two rings.
        """
        async with self._shelf.turn:
            if instead is None and is_asked(self._shelf.known.values(), question.draft):
                return False
            if seen is not None and self._shelf.known.get(seen[0]) is not seen[1]:
                return False
            fresh = {question_id: question}
            if instead is not None and instead in self._shelf.known:
                fresh[instead] = replaced(
                    self._shelf.known[instead], after(self._clock.now(), self._limits.swap_retry_max)
                )
            await self._shelf.record(fresh)
        if instead is not None and question.index and instead in fresh and not fresh[instead].index:
            self._start(self._errands.part, instead, fresh[instead])
        self._told(Asked(question_id, question.bid, question.signed.signer, question.waits_for_us))
        self._start(self._errands.pursue, question_id)
        return True

    def _start(self, action: Callable[..., Awaitable[object]], *args: object) -> None:
        if self._nursery is not None:
            tasks.start(self._nursery, action, *args)
