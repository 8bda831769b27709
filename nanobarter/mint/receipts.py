"""Receipts of other mints that this mint acts on: what they must say, and who must have signed them."""

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import AgreementId, LockId, PublicKey
from nanobarter.core.keys import Signed, open_signed
from nanobarter.mint.answer_messages import ANSWER_BYTES_MAX, DOMAIN_ANSWER, LockState


def shows_settled(proof: Signed, issuer: PublicKey, agreement: AgreementId, lock_id: LockId) -> bool:
    """Tell whether this issuer signed that the lock was opened, or released by its receiver.

    A refund does not count: it happens without the receiver's will, so it must not free the next arc's opener
    from its deadline. Anything else, also what is no receipt at all, is simply no proof.
    """
    if proof.key != issuer:
        return False
    try:
        state = open_signed(proof, DOMAIN_ANSWER, LockState, size_max=ANSWER_BYTES_MAX)
    except Malformed:
        return False
    if (state.agreement, state.lock_id) != (agreement, lock_id):
        return False
    return state.state == "opened" or (state.state == "returned" and state.how == "release")
