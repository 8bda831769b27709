"""The steps that operations share: was it spent, was it issued, record the request, move the rows."""

from collections.abc import Callable, Sequence

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import Hash
from nanobarter.core.units import Instant, after, term
from nanobarter.mint import rows, rules
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.messages import BlindOutput, LeaseTerms, Note, lease_id_of
from nanobarter.mint.outcomes import Book, Case, Leasing, Minting, No, inputs_of
from nanobarter.mint.rows import Db


class Steps:
    """One request under judgement, inside the writer's transaction: the tables, the facts, and the time."""

    def __init__(self, db: Db, book: Book, case: Case, now: Instant) -> None:
        self.db, self.book, self.case, self.now = db, book, case, now

    def spent_before(self) -> No | None:
        """Return the no for the first of its notes that was spent before."""
        for note, name in zip(inputs_of(self.case.body), self.case.note_ids, strict=True):
            number = self.book.numbers.get(note.keyset)
            spent = None if number is None else rows.find_spent(self.db, number, name)
            if spent is not None:
                return No(Refused(Reason.SPENT, spent.note.hex()), self.now, spent)
        return None

    def issued_before(self, outputs: Sequence[BlindOutput]) -> Refused | None:
        """Refuse outputs that were signed before."""
        for output, name in zip(outputs, self.case.output_ids, strict=True):
            if rows.is_issued(self.db, self.book.numbers[output.keyset], name):
                return Refused(Reason.CONFLICT, "an output was signed before; restore gives the signature again")
        return None

    def record(
        self,
        inputs: Sequence[Note],
        outputs: Sequence[BlindOutput],
        until: Instant | None = None,
        contract: Contract | None = None,
    ) -> int:
        """Record the request as honoured and return its number."""
        purges = [self.book.keysets[item.keyset].announcement.purge_at for item in (*inputs, *outputs)]
        keep = after(max([*purges, until or self.now]), rules.KEEP_AFTER)
        return rows.add_request(
            self.db, self.case.request, self.now, keep, None if contract is None else encode(contract)
        )

    def spend(self, number: int) -> None:
        """Record its notes as spent, each with its witness; a holder's witness may follow those of the notes."""
        notes = zip(inputs_of(self.case.body), self.case.note_ids, self.case.witnesses, strict=False)
        for place, (note, name, witness) in enumerate(notes):
            keyset = self.book.numbers[note.keyset]
            rows.add_spent(self.db, keyset, name, note.quantity, request=number, place=place, witness=witness)

    def mint(self, outputs: tuple[BlindOutput, ...], number: int) -> Minting:
        """Record its outputs as issued."""
        for output, name in zip(outputs, self.case.output_ids, strict=True):
            rows.add_issued(self.db, self.book.numbers[output.keyset], name, output.quantity, request=number)
        return Minting(self.now, outputs)

    def start_lease(self, lease: LeaseTerms, terms_hash: Hash, record: Callable[[Contract], int]) -> Leasing:
        """Start a lease; ``record`` records its request and returns the number."""
        end = after(self.now, term(lease.kind))
        lease_id = lease_id_of(self.case.request)
        contract = Contract(lease_id, self.book.node, lease, terms_hash, self.now, end, version=1)
        rows.add_lease(self.db, contract, record(contract))
        return Leasing(contract)
