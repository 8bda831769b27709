"""Notes become leases, and leases grow longer: redeem and extend."""

from msgspec.structs import replace as with_fields

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.units import after, term
from nanobarter.mint import rows, rules
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.messages import ExtendBody, RedeemBody
from nanobarter.mint.outcomes import Leasing, Outcome
from nanobarter.mint.steps import Steps


def redeem(work: Steps, body: RedeemBody) -> Outcome | Refused:
    """Turn notes into a lease of exactly their sum."""
    given = rules.lot_of_notes(body.inputs, work.book.keysets, work.now)
    if isinstance(given, Refused):
        return given
    if no := rules.may_redeem(given, body) or work.spent_before():
        return no
    rows.move(work.db, given.kind, outstanding=-given.quantity, leased=given.quantity)

    def record(contract: Contract) -> int:
        number = work.record(body.inputs, (), contract.end, contract)
        work.spend(number)
        return number

    return work.start_lease(body.lease, given.terms_hash, record)


def extend(work: Steps, body: ExtendBody) -> Outcome | Refused:
    """Lengthen a lease by one term from its old end, for notes of its kind and terms."""
    contract = rows.find_lease(work.db, body.lease_id)
    if contract is None:
        return Refused(Reason.UNKNOWN_LEASE, body.lease_id.hex())
    given = rules.lot_of_notes(body.inputs, work.book.keysets, work.now)
    if isinstance(given, Refused):
        return given
    no = rules.may_extend(contract, given, body.keep, work.now) or work.spent_before()
    if no:
        return no
    longer = with_fields(
        contract,
        terms=with_fields(contract.terms, quantity=body.keep),
        end=after(contract.end, term(contract.terms.kind)),
        version=contract.version + 1,
    )
    given_up = contract.terms.quantity - body.keep
    number = work.record(body.inputs, (), longer.end, longer)
    work.spend(number)
    rows.move(work.db, given.kind, outstanding=-given.quantity, leased=-given_up)
    rows.renew_lease(work.db, longer, number)
    return Leasing(longer)
