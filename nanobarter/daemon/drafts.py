"""The drafts of a running node, as its person sees them: questions that wait for words, and rings under way."""

from collections.abc import Iterable
from typing import assert_never

from nanobarter.core.errors import Reason, Refused, UsageError
from nanobarter.core.ids import DraftId, show_node
from nanobarter.daemon import facade_drafts as f
from nanobarter.daemon.api import refuse
from nanobarter.daemon.desk import read_quantity
from nanobarter.daemon.services import Node
from nanobarter.swap.messages import Draft, open_draft
from nanobarter.swap.positions import agreement_in, draft_of, mine_in
from nanobarter.swap.questions import Question, asks, open_consent
from nanobarter.swap.states import (
    Aborted,
    Approved,
    Collecting,
    Committing,
    Ended,
    Gathering,
    Locking,
    Opened,
    State,
    Voted,
)


class DraftDesk:
    """Implements ``facade_drafts.DraftsFacade`` over a running node."""

    def __init__(self, node: Node) -> None:
        self._node, self._swap = node, node.swap

    async def list(self) -> f.DraftList:
        """List the drafts that have not ended."""
        rows = [self._asked_row(known, q) for known, q in self._swap.questions.questions().items()]
        rows += [self._ring_row(state) for state in self._swap.drafts().values()]
        return f.DraftList(drafts=tuple(sorted(rows, key=lambda row: (row.state != "asked", row.expires or 0))))

    async def show(self, draft: str) -> f.DraftShown:
        """Show a draft with its ring."""
        draft_id = self._find(draft)
        question = self._swap.questions.questions().get(draft_id)
        if question is not None:
            return f.DraftShown(draft=self._asked_row(draft_id, question), arcs=self._arcs(question.draft, question))
        state = self._swap.drafts()[draft_id]
        return f.DraftShown(draft=self._ring_row(state), arcs=self._ring_arcs(state))

    async def approve(self, draft: str, quantity: str) -> f.DraftApproved:
        """Agree to a draft, or to less of it."""
        draft_id = self._find(draft)
        question = self._swap.questions.questions().get(draft_id)
        if question is None:
            raise UsageError("this draft asks nobody: the policy has approved it", hint="see nbctl draft list")
        asked = question.draft.arcs[question.index].quantity
        said = read_quantity(quantity) if quantity else asked
        if said > asked:
            raise UsageError(f"the draft takes {asked} MiB, not {said} MiB", hint=f"approve at most {asked} MiB")
        refused = await self._swap.questions.say(draft_id, said)
        if refused is not None:
            raise refuse(refused.reason, refused.detail)
        return f.DraftApproved(draft=draft_id.hex(), mib=said)

    async def refuse(self, draft: str) -> f.DraftRefusedByYou:
        """Refuse a draft, also one that was approved."""
        draft_id = self._find(draft, anew=True)
        question = self._swap.questions.questions().get(draft_id)
        # Before the question, which a draft that is past the vote keeps until it has settled.
        await self._stop(draft_id if question is None else question.used)
        if question is not None:
            refused = await self._swap.questions.drop(draft_id, Reason.POLICY, "refused by its owner", self._node.me)
            if isinstance(refused, Refused):
                raise refuse(refused.reason, refused.detail)
            dropped = self._swap.questions.get(draft_id)  # a ring may have come to rest on it meanwhile
            await self._stop(None if dropped is None else dropped.used)
        return f.DraftRefusedByYou(draft=draft_id.hex())

    async def _stop(self, ring: DraftId | None) -> None:
        """Withdraw from a ring under way, or say that it is too late."""
        if ring is None or ring not in self._swap.drafts():
            return
        await self._swap.withdraw(ring, "refused by its owner")
        state = self._swap.drafts().get(ring)
        if state is not None and _state_of(state) in ("voted", "paid"):
            raise refuse(Reason.TOO_LATE, "your vote is out: the ring settles, or all comes back")

    def _find(self, text: str, *, anew: bool = False) -> DraftId:
        """Return the draft whose id begins so; ``anew``: or the one that has taken its place while she was reading."""
        known = (*self._swap.questions.questions(), *self._swap.drafts())
        followers = self._swap.questions.asked_anew()
        found = _begun(known, text) or _begun(followers, text)
        if len(found) != 1:
            problem = "more than one draft begins" if found else "no draft under way begins"
            raise UsageError(f"{problem} with {text!r}", hint="see nbctl draft list")
        draft_id = followers.get(found[0], found[0])
        if draft_id != found[0] and not anew:
            problem = f"the draft {text!r} was asked anew, perhaps on other terms, as {draft_id.hex()[:16]}"
            raise UsageError(problem, hint=f"see nbctl draft show {draft_id.hex()[:16]}")
        return draft_id

    def _asked_row(self, draft_id: DraftId, question: Question) -> f.DraftRow:
        draft, index = question.draft, question.index
        gives, gets = draft.arcs[index], draft.arcs[index - 1]
        return f.DraftRow(
            draft=draft_id.hex(),
            state="asked" if question.waits_for_us else "waiting",
            proposer=show_node(draft.arcs[0].giver),
            mine=index == 0,
            partners=len(draft.arcs),
            gives=str(gives.quality),
            gives_mib=gives.quantity,
            gets=str(gets.quality),
            gets_mib=gets.quantity,
            said_mib=question.said if asks(draft, index) else None,
            expires=question.expires,
        )

    def _ring_row(self, state: State) -> f.DraftRow:
        arcs, index = self._ring_arcs(state), mine_in(state).index
        return f.DraftRow(
            draft=draft_of(state).hex(),
            state=_state_of(state),
            proposer=arcs[0].node,
            mine=index == 0,
            partners=len(arcs),
            gives=arcs[index].gives,
            gives_mib=arcs[index].mib,
            gets=arcs[index - 1].gives,
            gets_mib=arcs[index - 1].mib,
        )

    def _ring_arcs(self, state: State) -> tuple[f.ArcRow, ...]:
        if isinstance(state, Approved | Gathering):
            return self._arcs(open_draft(state.draft), None)
        agreement = agreement_in(state)
        if agreement is None:
            raise UsageError("the draft has just ended", hint="see nbctl market")
        bid = mine_in(state).bid.hex()
        return tuple(
            f.ArcRow(
                node=show_node(node),
                me=node == self._node.me,
                bid=bid if node == self._node.me else "",
                gives=f"{terms.kind} of {show_node(terms.issuer)}",
                mib=terms.quantity,
                asks=False,
            )
            for node, terms in zip(agreement.nodes, agreement.terms, strict=True)
        )

    def _arcs(self, draft: Draft, question: Question | None) -> tuple[f.ArcRow, ...]:
        return tuple(
            f.ArcRow(
                node=show_node(arc.giver),
                me=arc.giver == self._node.me,
                bid=arc.bid.hex(),
                gives=str(arc.quality),
                mib=arc.quantity,
                asks=asks(draft, j),
                said_mib=None if question is None else _word(question, j),
            )
            for j, arc in enumerate(draft.arcs)
        )


def _begun(known: Iterable[DraftId], text: str) -> list[DraftId]:
    return [draft for draft in known if text and draft.hex().startswith(text.lower())]


def _word(question: Question, index: int) -> int | None:
    """Return what the person of a position agreed to, as far as this node knows."""
    if index == question.index:
        return question.said if asks(question.draft, index) else None
    consent = question.consents[index]
    return None if consent is None else open_consent(consent).quantity


def _state_of(state: State) -> f.DraftState:
    match state:
        case Approved() | Gathering():
            return "drafting"
        case Locking() | Collecting():
            return "locking"
        case Voted() | Committing():
            return "voted"
        case Opened():
            return "paid"
        case Aborted() | Ended():
            return "leaving"
        case _:
            assert_never(state)
