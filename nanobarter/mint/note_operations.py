"""Notes for notes, and notes from free space: swap and issue."""

from nanobarter.core.errors import InvariantBroken, Refused
from nanobarter.mint import rows, rules
from nanobarter.mint.messages import IssueBody, SwapBody
from nanobarter.mint.outcomes import Outcome
from nanobarter.mint.rules import Lot
from nanobarter.mint.steps import Steps


def swap(work: Steps, body: SwapBody) -> Outcome | Refused:
    """Take notes for fresh ones of the same kind, terms and sum."""
    given = rules.lot_of_notes(body.inputs, work.book.keysets, work.now)
    wanted = rules.lot_of_outputs(body.outputs, work.book.keysets, work.now)
    if isinstance(given, Refused) or isinstance(wanted, Refused):
        return given if isinstance(given, Refused) else _no(wanted)
    no = rules.same_lot(given, wanted) or work.spent_before() or work.issued_before(body.outputs)
    if no:
        return no
    number = work.record(body.inputs, body.outputs)
    work.spend(number)
    return work.mint(body.outputs, number)


def issue(work: Steps, body: IssueBody) -> Outcome | Refused:
    """Make fresh notes from free pledged space."""
    wanted = rules.lot_of_outputs(body.outputs, work.book.keysets, work.now)
    if isinstance(wanted, Refused):
        return wanted
    no = rules.room(rows.free(work.db, wanted.kind), wanted.quantity) or work.issued_before(body.outputs)
    if no:
        return no
    rows.move(work.db, wanted.kind, outstanding=wanted.quantity)
    return work.mint(body.outputs, work.record((), body.outputs))


def _no(answer: Lot | Refused) -> Refused:
    if isinstance(answer, Refused):
        return answer
    raise InvariantBroken("a lot is not a refusal")
