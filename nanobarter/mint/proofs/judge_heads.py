"""Announcements and heads: what a mint says about itself, held against itself and against its receipts."""

from nanobarter.core.keys import open_signed
from nanobarter.core.units import Instant, Quantity, before
from nanobarter.mint.answer_messages import Contract, Leased, LockAnswer, Minted
from nanobarter.mint.bignum import gcd, primorial
from nanobarter.mint.messages import (
    DOMAIN_ANNOUNCEMENT,
    MODULUS_BYTES,
    Announcement,
    BlindOutput,
    IssueBody,
    SwapBody,
    TakeBody,
    request_id_of,
)
from nanobarter.mint.notes import ANNOUNCEMENT_BYTES_MAX, SCHEME_BLIND_RSA, note_id
from nanobarter.mint.proofs import entries
from nanobarter.mint.proofs.heads import Head, open_head
from nanobarter.mint.proofs.records import (
    Absent,
    BadHead,
    BadModulus,
    Exchange,
    IssuedReceipt,
    LeaseReceipt,
    LockReceipt,
    Omitted,
    Overlet,
    Receipt,
    SpentReceipt,
    TwoAnnouncements,
    TwoHeads,
)
from nanobarter.mint.proofs.statements import honours, inputs_of, read_contract, read_exchange, read_locked
from nanobarter.mint.proofs.tree import ISSUED, LEASES, LOCKS, SPENT, check_gap, stands
from nanobarter.mint.proofs.verdict import Convicted, need
from nanobarter.mint.rules import EPOCH_SPAN, epoch_of, shrink_within

_SMALL_PRIMES = primorial(2000)


def two_announcements(proof: TwoAnnouncements) -> Convicted:
    """Convict over one kind, window and generation, and two different bodies."""
    size = ANNOUNCEMENT_BYTES_MAX
    one = open_signed(proof.first, DOMAIN_ANNOUNCEMENT, Announcement, size_max=size)
    two = open_signed(proof.second, DOMAIN_ANNOUNCEMENT, Announcement, size_max=size)
    need(proof.first.key == proof.second.key, "the announcements are of two nodes")
    same = (one.kind, one.issue_from, one.generation) == (two.kind, two.issue_from, two.generation)
    need(same, "the announcements are of different windows")
    need(one != two, "it is one announcement twice")
    return Convicted(proof.first.signer, f"it announced two keysets of {one.kind} for one window")


def bad_modulus(proof: BadModulus) -> Convicted:
    """Convict over a modulus that is short, even, has a small divisor, or serves two denominations."""
    body = open_signed(proof.announcement, DOMAIN_ANNOUNCEMENT, Announcement, size_max=ANNOUNCEMENT_BYTES_MAX)
    need(body.scheme == SCHEME_BLIND_RSA, "what another scheme asks of its moduli is not known")
    moduli = [int.from_bytes(key.modulus, "big") for key in body.keys]
    bad = any(m.bit_length() != 8 * MODULUS_BYTES or gcd(m, _SMALL_PRIMES) != 1 for m in moduli)
    need(bad or len(set(moduli)) != len(moduli), "nothing is seen to be wrong with its moduli")
    return Convicted(proof.announcement.signer, "it announced a modulus under which others can sign")


def bad_head(proof: BadHead) -> Convicted:
    """Convict over sums above the pledge, more spent than issued, or a head signed before its epoch was over."""
    head = open_head(proof.head)
    node = proof.head.signer
    for p in head.promises:
        if p.outstanding + p.locked + p.leased > p.pledged:
            return Convicted(node, f"it promised more of {p.kind} than it pledges")
    for keyset in head.keysets:
        for count in keyset.counts:
            if count.spent > count.issued:
                return Convicted(node, f"it took more notes of {count.quantity} MiB than it had issued")
    need(head.at < (head.epoch + 1) * EPOCH_SPAN, "nothing is seen to be wrong with the head")
    return Convicted(node, "it signed the head of an epoch that was not over")


def two_heads(proof: TwoHeads) -> Convicted:
    """Convict over one epoch with two heads, one generation with two beginnings, or counts that ran back."""
    one, two = open_head(proof.first), open_head(proof.second)
    node = proof.first.signer
    need(node == proof.second.signer, "the heads are of two nodes")
    need(one.generation == two.generation, "a restoration lies between the heads")
    if one.epoch == two.epoch and one != two:
        return Convicted(node, f"it signed two heads for epoch {one.epoch}")
    if one.since != two.since:
        return Convicted(node, f"it dates the beginning of generation {one.generation} twice")
    need(one.epoch < two.epoch and one.at <= two.at, "the first head is not the earlier one")
    need(_ran_back(one, two), "the heads may both be true")
    return Convicted(node, "its counts of notes ran back")


def _ran_back(one: Head, two: Head) -> bool:
    counts = {(k.keyset, c.quantity): c for k in one.keysets for c in k.counts}
    for keyset in two.keysets:
        for later in keyset.counts:
            earlier = counts.get((keyset.keyset, later.quantity))
            if earlier is not None and (later.issued < earlier.issued or later.spent < earlier.spent):
                return True
    return False


# -- receipts against the head of their epoch


def omitted(proof: Omitted) -> Convicted:
    """Convict over a receipt of the head's epoch, behind its ``since``, that the head's tree does not account for."""
    head, node = open_head(proof.head), proof.head.signer
    signer, tree, entry, at = claim_of(proof.receipt)
    need(signer == node, "the receipt and the head are of two mints")
    need(epoch_of(at) == head.epoch, "the receipt is of another epoch")
    need(head.covers(at), "the mint was restored since, and said so")
    root = head.root(tree)
    if isinstance(proof.evidence, Absent):
        check_gap(root, tree, entry.key, proof.evidence.gap)
        return Convicted(node, "it left out of its epoch's root what it gave a receipt for")
    place = proof.evidence.place
    need(stands(root, tree, place) and place.key == entry.key, "the other entry is not in the tree")
    need(place.value != entry.value, "the entry is that of the receipt")
    return Convicted(node, "its epoch's root says something else than its receipt")


def claim_of(receipt: Receipt) -> tuple[bytes, int, entries.Entry, Instant]:
    """Return the mint of a receipt, the tree and the entry that its head owes it, and its date. Raises Malformed."""
    match receipt:
        case SpentReceipt():
            node, at, notes, _ = _honoured(receipt.exchange)
            need(receipt.place < len(notes), "there is no such input")
            entry = entries.spent(notes[receipt.place], request_id_of(receipt.exchange.body))
            return node, SPENT, entry, at
        case IssuedReceipt():
            node, at, _, outputs = _honoured(receipt.exchange)
            need(receipt.place < len(outputs), "there is no such output")
            entry = entries.issued(entries.output_id(outputs[receipt.place]), request_id_of(receipt.exchange.body))
            return node, ISSUED, entry, at
        case LockReceipt():
            locked = read_locked(receipt.locked)
            return receipt.locked.signer, LOCKS, entries.locked(locked), locked.locked_at
        case LeaseReceipt():
            contract = _first_contract(read_contract(receipt.contract))
            return receipt.contract.signer, LEASES, entries.leased(contract), contract.start


def _first_contract(contract: Contract) -> Contract:
    need(contract.version == 1, "only the first contract of a lease is dated")
    return contract


def _honoured(exchange: Exchange) -> tuple[bytes, Instant, list[bytes], tuple[BlindOutput, ...]]:
    """Return the mint, the instant of the commit, the notes spent and the outputs signed by an honoured request."""
    body, answer = read_exchange(exchange)
    need(honours(body, answer), "the request was not honoured")
    match answer:
        case Minted():
            at = answer.committed_at
        case Leased():
            at = _first_contract(read_contract(answer.contract)).start
        case LockAnswer():
            at = read_locked(answer.locked).locked_at
        case _:
            at = Instant(0)
    outputs = body.outputs if isinstance(body, SwapBody | IssueBody | TakeBody) else ()
    return body.mint, at, [note_id(note) for note in inputs_of(body)], outputs


def overlet(proof: Overlet) -> Convicted:
    """Convict when contracts in force at the head's instant come to more than it says is leased.

    A lease may be made smaller by a contract that is not shown, but only when less than half a term is left to it
    (``rules.may_extend``); nearer to its end a contract proves nothing here.
    """
    head, node = open_head(proof.head), proof.head.signer
    contracts = [read_contract(signed) for signed in proof.contracts]
    kind = contracts[0].terms.kind
    for contract in contracts:
        need(contract.issuer == node and contract.terms.kind == kind, "a contract is of another mint or kind")
        need(contract.start < head.at and head.covers(contract.start), "a contract is not older than the head")
        full = before(contract.end, shrink_within(kind))
        need(head.at < full, "a contract may have ended or been made smaller by then")
    need(len({c.lease_id for c in contracts}) == len(contracts), "a lease is shown twice")
    leased = sum(p.leased for p in head.promises if p.kind == kind)
    shown = Quantity(sum(c.terms.quantity for c in contracts))
    need(shown > leased, "the contracts come to no more than the head says")
    return Convicted(node, f"{shown} MiB of its leases of {kind} are shown, and its head says {leased} MiB")
