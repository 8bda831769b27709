"""The one judge of proofs against mints. Pure: the same verdict at every node, from the proof alone.

The rule behind all of them: a proof convicts when no honest mint signs such a thing in any history, crashed, slow,
with a clock that is off, or restored with notice (docs/spec/mint.md lists what each relies on). So silence, losses
that a restoration explains, and reasons that only the mint can know convict nobody.
"""

from collections.abc import Callable
from typing import Any, Final

from nanobarter.core.errors import Malformed
from nanobarter.mint.proofs import judge_answers, judge_heads, judge_locks, records
from nanobarter.mint.proofs.records import MintProof
from nanobarter.mint.proofs.verdict import Convicted, NotProven, Verdict

_JUDGES: Final[dict[type, Callable[[Any], Convicted]]] = {
    records.TwoReceipts: judge_answers.two_receipts,
    records.FalseRefusal: judge_answers.false_refusal,
    records.FalseState: judge_answers.false_state,
    records.FalseAnswer: judge_answers.false_answer,
    records.TwoAnnouncements: judge_heads.two_announcements,
    records.BadModulus: judge_heads.bad_modulus,
    records.BadHead: judge_heads.bad_head,
    records.TwoHeads: judge_heads.two_heads,
    records.Omitted: judge_heads.omitted,
    records.Overlet: judge_heads.overlet,
    records.TwoLocked: judge_locks.two_locked,
    records.TwoOutcomes: judge_locks.two_outcomes,
    records.FalseOutcome: judge_locks.false_outcome,
    records.OpenRefused: judge_locks.open_refused,
}


def verify_mint(proof: MintProof) -> Verdict:
    """Return what a proof against a mint comes to. Never raises; takes up to some ms for 64 notes."""
    try:
        return _JUDGES[type(proof)](proof)
    except Malformed as error:
        return NotProven(str(error))
