"""Which questions that are over are forgotten before they expire. Everything here is pure.

They are kept so that nobody is asked twice, but to ask and to cancel costs a stranger nothing. So of each proposer a
few are kept, and never so many in all that there is no room for others. What our own person refused goes last.
"""

from collections import Counter
from collections.abc import Mapping

from nanobarter.core.errors import Reason
from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant
from nanobarter.swap.questions import Question


def is_her_no(question: Question, me: NodeId) -> bool:
    """Tell whether our person refused what was asked about."""
    return question.by == me and question.notice is not None and question.notice.reason == Reason.POLICY


def forgotten(
    known: Mapping[DraftId, Question], ends: Mapping[DraftId, Instant], me: NodeId, limits: Limits, now: Instant
) -> list[DraftId]:
    """Return the questions to forget; ``known`` is in the order of asking, ``ends`` says when each expires."""
    over = {known_id: question for known_id, question in known.items() if question.notice is not None}
    gone = [known_id for known_id in over if ends[known_id] <= now]
    for known_id in gone:
        del over[known_id]
    of_signer = Counter[NodeId]()
    for known_id, question in reversed(list(over.items())):
        signer = question.signed.signer
        if is_her_no(question, me):
            continue
        of_signer[signer] += 1
        if of_signer[signer] > limits.swap_questions_over_signer_max:
            gone.append(known_id)
            del over[known_id]
    last = sorted(over, key=lambda known_id: (is_her_no(over[known_id], me), over[known_id].signed.signer == me))
    return gone + last[: max(0, len(over) - limits.swap_questions_over_max)]
