"""The most zealous prosecutor: makes every proof that anyone could make of what a mint and its customers signed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, permutations, product

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import Hash, sha256
from nanobarter.core.keys import Signed
from nanobarter.core.units import before
from nanobarter.mint import answer_messages as am
from nanobarter.mint import messages as m
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.heads.messages import WhereAnswer, WhereQuestion
from nanobarter.mint.notes import note_id
from nanobarter.mint.proofs import entries, records, tree
from nanobarter.mint.proofs.heads import open_head
from nanobarter.mint.proofs.records import Exchange, MintProof
from nanobarter.mint.proofs.statements import inputs_of, read_answer, read_body, read_contract, read_locked
from nanobarter.mint.rules import shrink_within


@dataclass
class Evidence:
    """Everything that was said: requests with answers, announcements, heads."""

    said: list[tuple[m.Request, Signed]] = field(default_factory=list[tuple[m.Request, Signed]])
    announced: list[Signed] = field(default_factory=list[Signed])
    heads: list[Signed] = field(default_factory=list[Signed])

    def add(self, sent: list[tuple[bytes, bytes]]) -> None:
        for raw, answer in sent:
            request = decode(raw, m.Request, size_max=m.REQUEST_BYTES_MAX)
            pair = (request, decode(answer, Signed, size_max=am.ANSWER_BYTES_MAX))
            if pair not in self.said:
                self.said.append(pair)

    def announce(self, signed: list[Signed]) -> None:
        self.announced += [s for s in signed if s not in self.announced]

    @property
    def answers(self) -> list[Signed]:
        return [answer for _, answer in self.said]

    @property
    def locks(self) -> list[Signed]:
        found = [read_answer(answer) for answer in self.answers]
        return list(dict.fromkeys(a.locked for a in found if isinstance(a, am.LockAnswer)))

    @property
    def contracts(self) -> list[Signed]:
        found = [read_answer(answer) for answer in self.answers]
        return list(dict.fromkeys(a.contract for a in found if isinstance(a, am.Leased)))


def accusations(e: Evidence) -> Iterator[MintProof]:
    """Yield every proof of the kinds that need no path into a tree."""
    exchanges = [Exchange(request.body, answer) for request, answer in e.said]
    yield from (records.TwoReceipts(a, b) for a, b in permutations(exchanges, 2) if _share(a, b))
    for request, answer in e.said:
        yield records.FalseRefusal(request, answer, tuple(e.announced[:8]))
        for note in inputs_of(read_body(request.body)):
            yield from (records.FalseState(note.keyset, note.quantity, note.key, a) for a in e.answers)
    yield from (records.FalseAnswer(x, a) for x, a in product(exchanges, [None, *e.announced]))
    yield from (records.TwoAnnouncements(a, b) for a, b in permutations(e.announced, 2))
    yield from (records.BadModulus(a) for a in e.announced)
    yield from (records.BadHead(h) for h in e.heads)
    yield from (records.TwoHeads(a, b) for a, b in permutations(e.heads, 2))
    for head in e.heads:
        yield from _overlets(head, e.contracts)
    yield from (records.TwoLocked(a, b) for a, b in permutations(e.locks, 2))
    telling = [a for a in e.answers if isinstance(read_answer(a), am.LockState | am.States)]
    for lock in e.locks:
        lock_id = read_locked(lock).terms.lock_id
        about = [a for a in telling if lock_id in a.body]
        yield from (records.TwoOutcomes(lock_id, a, b) for a, b in permutations(about, 2))
        yield from (records.FalseOutcome(lock, a) for a in telling)
        opens = [x for x in exchanges if isinstance(read_body(x.body), m.OpenBody) and lock_id in x.body]
        for x, later in product(opens, [None, *about]):
            yield records.OpenRefused(lock, x.body, x.answer, later)


def _share(a: Exchange, b: Exchange) -> bool:
    """Spare the verifier the pairs that have no note in common."""
    notes = [{note_id(n) for n in inputs_of(read_body(x.body))} for x in (a, b)]
    return bool(notes[0] & notes[1])


def _overlets(head: Signed, contracts: list[Signed]) -> Iterator[MintProof]:
    """Yield the largest sets of contracts that the verifier can take: the best version of each lease at that time."""
    body = open_head(head)
    opened = [(read_contract(c), c) for c in contracts]
    yield from (records.Overlet(head, (signed,)) for _, signed in opened)
    for kind in {c.terms.kind for c, _ in opened}:
        best = dict[bytes, tuple[int, Signed]]()
        for contract, signed in opened:
            full = before(contract.end, shrink_within(kind))
            if contract.terms.kind == kind and contract.start < body.at < full and body.covers(contract.start):
                known = best.get(contract.lease_id, (0, signed))
                best[contract.lease_id] = max(known, (contract.terms.quantity, signed), key=lambda x: x[0])
        if best:
            yield records.Overlet(head, tuple(signed for _, signed in best.values()))


async def omissions(e: Evidence, herald: Herald) -> Iterator[MintProof]:
    """Yield every receipt held against every head, with the path that the mint itself gives, and with others' paths."""
    found = list[MintProof]()
    for receipt, number, key in chain(_receipts(e), _others(e)):
        for head in e.heads:
            question = WhereQuestion(open_head(head).epoch, number, sha256(b"") if key is None else Hash(key))
            answer = decode(await herald.on_where(head.signer, encode(question)), WhereAnswer, size_max=2**20)
            if answer.place is not None:
                found.append(records.Omitted(receipt, head, records.Other(answer.place)))
                found.append(records.Omitted(receipt, head, records.Absent(tree.Gap(answer.place, None))))
            if answer.gap is not None:
                found.append(records.Omitted(receipt, head, records.Absent(answer.gap)))
    return iter(found)


def _receipts(e: Evidence) -> Iterator[tuple[records.Receipt, int, bytes]]:
    for request, answer in e.said:
        body, exchange = read_body(request.body), Exchange(request.body, answer)
        for i, note in enumerate(inputs_of(body)):
            yield records.SpentReceipt(exchange, i), tree.SPENT, note_id(note)
        outputs = body.outputs if isinstance(body, m.SwapBody | m.IssueBody | m.TakeBody | m.RestoreBody) else ()
        for i, output in enumerate(outputs):
            yield records.IssuedReceipt(exchange, i), tree.ISSUED, entries.output_id(output)
    for lock in e.locks:
        yield records.LockReceipt(lock), tree.LOCKS, read_locked(lock).terms.lock_id
    for contract in e.contracts:
        yield records.LeaseReceipt(contract), tree.LEASES, sha256(contract.body)


def _others(e: Evidence) -> Iterator[tuple[records.Receipt, int, None]]:
    yield from ((receipt, number, None) for receipt, number, _ in islice(_receipts(e), 10))
