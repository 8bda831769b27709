"""Reading what issuers answer about locks, and what of it may be believed: only what M_j signed about arc j."""

from typing import Final, cast

from nanobarter.core.keys import Signed, open_signed
from nanobarter.mint.answer_messages import DOMAIN_ANSWER, Answer, LockState, States
from nanobarter.swap.states import Leg, LegSeen
from nanobarter.swap.terms import Agreement

ANSWER_MAX: Final = 64 * 1024  # the answer to a question about 64 locks, with all preimages


def open_answer(signed: Signed) -> Answer:
    """Return what a mint answered, or raise Malformed. Whether it is the right mint is checked apart."""
    return open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=ANSWER_MAX)


def legs_seen(agreement: Agreement, signed: Signed, asked: int | None) -> list[LegSeen]:
    """Return what a signed answer says about arcs of an agreement.

    ``asked`` is the arc that a ``state`` was asked about: if the answer does not list it, the issuer says that it
    knows no such lock. Raises Malformed when the signature does not verify; what the wrong issuer says is nothing.
    """
    answer = open_answer(signed)
    if isinstance(answer, LockState):
        return _seen(agreement, signed, (answer,), receipt=signed)
    if isinstance(answer, States):
        seen = _seen(agreement, signed, answer.locks, receipt=None)
        if asked is not None and agreement.issuer_key(asked) == signed.key and all(s.index != asked for s in seen):
            seen.append(LegSeen(asked, "absent", answer.at, (), None))
        return seen
    return []


def _seen(
    agreement: Agreement, signed: Signed, states: tuple[LockState, ...], *, receipt: Signed | None
) -> list[LegSeen]:
    places = {terms.lock_id: terms.index for terms in agreement.terms}
    seen = list[LegSeen]()
    for state in states:
        index = places.get(state.lock_id)
        if index is None or state.agreement != agreement.agreement_id or agreement.issuer_key(index) != signed.key:
            continue
        released = state.how == "release"
        seen.append(LegSeen(index, _leg(state), state.at, state.preimages, receipt, released))
    return seen


def _leg(state: LockState) -> Leg:
    """Tell how a lock was settled; one that lapsed unsettled pays nobody, so it counts as returned."""
    if state.state == "locked":
        return "pending"
    return "opened" if state.preimages and not state.how else "returned"
