"""Asking persons before anybody reserves: the question that a ring is to them, and what follows from their words.

A question is a draft that lives for a day and binds nobody: the proposer sends it to those parties whose bids say
that they are asked. Each answers with a consent, perhaps to less, or refuses. With all consents in hand the proposer
makes an ordinary draft, of which the parties find that their persons have agreed to it. A consent serves one ring of
the same bids, up to its quantity, at a price that is no worse than the one that was shown. Everything here is pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, Reason, Refused
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.item import ITEM_BODY_MAX, Item
from nanobarter.core.keys import Signed, SigningKey, open_signed, seal_signed
from nanobarter.core.units import Instant, Quantity, Span, after
from nanobarter.matching.network import reduced
from nanobarter.matching.wire import BidBody
from nanobarter.mint.messages import Index
from nanobarter.swap.messages import SMALL_MAX, Draft, DraftArc, check_ring, draft_id_of
from nanobarter.swap.objections import bid_objection
from nanobarter.swap.states import Notice, Receipts
from nanobarter.swap.terms import SwapTimes

DOMAIN_QUESTION: Final = "swap/question"
DOMAIN_CONSENT: Final = "swap/consent"
ANSWERED: Final = frozenset({Reason.POLICY, Reason.SPENT})
"""How a question ends by a person's no, and by the ring that it was about."""


class Consent(Record, frozen=True):
    """The person of P_index agrees to give at most ``quantity`` in the ring that was asked about."""

    question: DraftId
    index: Index
    quantity: Quantity


class Question(Record, frozen=True):
    """A question as one node keeps it, until it expires: also when it is over, so that nobody is asked twice.

    ``said`` is what our own person agreed to. ``consents`` are those of the others, for the proposer. ``used`` is the
    last draft that rested on it. ``notice`` says why it is over, ``by`` who ended it.
    """

    signed: Signed
    index: Index
    said: Quantity | None
    consents: Receipts
    used: DraftId | None
    notice: Notice | None = None
    by: NodeId | None = None

    @property
    def draft(self) -> Draft:
        """The ring that is asked about."""
        return open_question(self.signed)

    @property
    def bid(self) -> BidId:
        """The own bid that it is about."""
        return self.draft.arcs[self.index].bid

    @property
    def expires(self) -> Instant:
        """When all that was said is void."""
        draft = self.draft
        return after(draft.time, draft.pace.approve)

    @property
    def waits_for_us(self) -> bool:
        """Whether our own person has not answered."""
        return self.notice is None and self.said is None and asks(self.draft, self.index)


def make_question(key: SigningKey, draft: Draft, life: Span) -> Signed:
    """Return the question about a draft of our own."""
    return seal_signed(key, DOMAIN_QUESTION, replace(draft, pace=replace(draft.pace, approve=life)))


@lru_cache(maxsize=256)
def open_question(signed: Signed) -> Draft:
    """Return the draft that is asked about; its time to approve is the life of the question. Raises Malformed."""
    return check_ring(signed, DOMAIN_QUESTION)


def make_consent(key: SigningKey, question: Question) -> Signed:
    """Return our person's consent."""
    quantity = question.said or question.draft.arcs[question.index].quantity
    return seal_signed(key, DOMAIN_CONSENT, Consent(draft_id_of(question.signed), question.index, quantity))


def open_consent(signed: Signed) -> Consent:
    """Return the consent inside, or raise Malformed."""
    return open_signed(signed, DOMAIN_CONSENT, Consent, size_max=SMALL_MAX)


def asked_above(item: Item) -> Quantity | None:
    """Return the quantity above which the owner of a bid is asked; None when never, or when it is no bid."""
    body = body_of(item)
    return None if body is None else body.asks


def body_of(item: Item) -> BidBody | None:
    """Return the bid in an item, or None when there is none, as after its withdrawal."""
    try:
        return decode(item.body, BidBody, size_max=ITEM_BODY_MAX)
    except Malformed:
        return None


def asks(draft: Draft, index: int) -> bool:
    """Tell whether the person behind a position wants to be asked about this draft."""
    above = asked_above(draft.bids[index])
    return above is not None and draft.arcs[index].quantity > above


def is_a_question(draft: Draft) -> bool:
    """Tell whether somebody has to be asked."""
    return any(asks(draft, index) for index in range(len(draft.arcs)))


def question_objection(draft: Draft, index: int, times: SwapTimes, life_max: Span, now: Instant) -> Refused | None:
    """Return why our person is not troubled with a question."""
    if not times.accepts(replace(draft.pace, approve=times.approve)) or draft.pace.approve > life_max:
        return Refused(Reason.WRONG_TERMS, "the draft runs at another pace than ours")
    if draft.time > after(now, times.clock_off):
        return Refused(Reason.CLOCK_OFF, "the question comes from the future")
    if now >= after(draft.time, draft.pace.approve):
        return Refused(Reason.EXPIRED, "the question has expired")
    if not asks(draft, index):
        return Refused(Reason.WRONG_TERMS, "nobody is asked here: draft it")
    return next((no for j in range(len(draft.arcs)) if (no := bid_objection(draft, j, now)) is not None), None)


def is_same(one: Draft, other: Draft) -> bool:
    """Tell whether two drafts are of the same bids on the same terms, whoever proposes and whatever the quantities."""

    def bids(draft: Draft) -> set[tuple[BidId, bytes]]:
        bodies = [body_of(item) for item in draft.bids]
        terms = (b"" if body is None else encode(replace(body, quantity=Quantity(0))) for body in bodies)
        return {(arc.bid, term) for arc, term in zip(draft.arcs, terms, strict=True)}

    same_bids = {arc.bid for arc in one.arcs} == {arc.bid for arc in other.arcs}
    return same_bids and bids(one) == bids(other)  # the ids first: bodies are large


def is_refused(known: Iterable[Question], draft: Draft, me: NodeId) -> bool:
    """Tell whether our person has refused these bids, as they stand, before: she is not asked again."""
    noes = [q for q in known if q.by == me and q.notice is not None and q.notice.reason == Reason.POLICY]
    return any(is_same(no.draft, draft) for no in noes)


def is_asked(known: Iterable[Question], draft: Draft) -> bool:
    """Tell whether our person has these bids before her already: two proposers had the same thought."""
    bids = {arc.bid for arc in draft.arcs}
    return any(q.waits_for_us and {arc.bid for arc in q.draft.arcs} == bids for q in known)


def is_turned(one: Draft, other: Draft) -> bool:
    """Tell whether two drafts are the same ring, whoever proposes and whatever the quantities."""
    ours, theirs = ([(a.bid, a.giver, a.quality) for a in draft.arcs] for draft in (one, other))
    return any(theirs == ours[turn:] + ours[:turn] for turn in range(len(ours)))


def serves(question: Question, draft: Draft, index: int) -> bool:
    """Tell whether what our person said to our own question is her word on a partner's about the same ring, too."""
    if question.said is None or draft.arcs[index].quantity > question.said:
        return False
    asked = question.draft.arcs
    gives, gets = draft.arcs[index].quantity, draft.arcs[index - 1].quantity
    return gives * asked[-1].quantity <= asked[0].quantity * gets


def is_replaced(question: Question, signed: Signed) -> bool:
    """Tell whether a proposer asks anew what our person has before her: its end may come after what follows it."""
    if signed.signer != question.signed.signer or not question.waits_for_us:
        return False
    older, newer = question.draft, open_question(signed)
    return older.time < newer.time and [a.bid for a in older.arcs] == [a.bid for a in newer.arcs]


def missing(question: Question) -> tuple[int, ...]:
    """Return the positions of others whose persons have not answered the proposer."""
    draft = question.draft
    return tuple(
        j for j in range(len(draft.arcs)) if j != question.index and question.consents[j] is None and asks(draft, j)
    )


def consent_objection(question: Question, signed: Signed) -> str | None:
    """Return why a consent does not fit the question, or None."""
    consent, arcs = open_consent(signed), question.draft.arcs
    if question.index or consent.index >= len(arcs) or arcs[consent.index].giver != signed.signer:
        return "consents for a position that is not its own"
    if not 1 <= consent.quantity <= arcs[consent.index].quantity:
        return "consents to another quantity than one up to what it was asked for"
    return None


def granted(question: Question) -> tuple[Quantity, ...]:
    """Return the most that each position may give by the words of its person."""

    def of(j: int, arc: DraftArc) -> Quantity:
        if j == question.index:
            return arc.quantity if question.said is None else question.said
        consent = question.consents[j]
        return arc.quantity if consent is None else open_consent(consent).quantity

    return tuple(of(j, arc) for j, arc in enumerate(question.draft.arcs))


def covers(asked: Draft, index: int, said: Quantity, draft: Draft) -> bool:
    """Tell whether a person who agreed to ``asked`` with ``said`` has agreed to ``draft`` too.

    It must be the same ring of bids and qualities, not more of it, at a price that is no worse.
    """
    theirs, ours = ([(a.bid, a.giver, a.quality) for a in d.arcs] for d in (asked, draft))
    if theirs != ours or draft.arcs[index].quantity > said:
        return False
    gave, got = asked.arcs[index].quantity, asked.arcs[index - 1].quantity
    gives, gets = draft.arcs[index].quantity, draft.arcs[index - 1].quantity
    return gives * got <= gave * gets


def all_cover(question: Question, draft: Draft) -> bool:
    """Tell whether every person who was asked has agreed to this draft."""
    asked, said = question.draft, granted(question)
    return all(covers(asked, j, said[j], draft) for j in range(len(asked.arcs)) if asks(draft, j) or asks(asked, j))


def drafted(question: Question, bids: Sequence[Item]) -> tuple[DraftArc, ...] | None:
    """Return the arcs of the ring that persons and stocks allow now, or None when no whole quantities do.

    ``bids`` are the newest versions of those that are left. A quantity that is reduced changes those of the others:
    it is a new draft.
    """
    arcs, said = question.draft.arcs, granted(question)
    if len(bids) != len(arcs):
        return None
    bodies = [body_of(item) for item in bids]
    if any(body is None or body.gives != arc.quality for body, arc in zip(bodies, arcs, strict=True)):
        return None
    stocks = [body.quantity for body in bodies if body is not None]
    caps = [min(a.quantity, s, stock) for a, s, stock in zip(arcs, said, stocks, strict=True)]
    if caps == [a.quantity for a in arcs]:
        return arcs
    quantities = reduced(bids, caps)
    if quantities is None:
        return None
    return tuple(replace(a, quantity=q) for a, q in zip(arcs, quantities, strict=True))


def begun(signed: Signed, index: int) -> Question:
    """Return a question that nobody has answered, as one who is in it keeps it."""
    draft = open_question(signed)
    said = None if asks(draft, index) else draft.arcs[index].quantity
    return Question(signed, index, said, (None,) * len(draft.arcs), None)


def is_dead(question: Question) -> bool:
    """Tell whether a word ended with its question: not when the proposer only asked anew."""
    return question.notice is not None and question.notice.reason != Reason.CONFLICT


def replaced(old: Question, until: Instant) -> Question:
    """Return a question that another one takes the place of, and the word of: who was asked is told until then."""
    to = () if old.index else who_is_told(old)
    return replace(old, said=None, notice=old.notice or Notice(to, until, Reason.CONFLICT, "asked anew"))


def followers(known: Mapping[DraftId, Question]) -> dict[DraftId, DraftId]:
    """Return the questions that ended with no ring and no word of a person, each with the open one about its bids."""

    def bids(question: Question) -> frozenset[BidId]:
        return frozenset(arc.bid for arc in question.draft.arcs)

    fresh = {bids(q): question_id for question_id, q in known.items() if q.notice is None}
    ended = [(question_id, q) for question_id, q in known.items() if q.notice and q.notice.reason not in ANSWERED]
    return {question_id: fresh[bids(q)] for question_id, q in ended if bids(q) in fresh}


def who_is_told(question: Question) -> tuple[NodeId, ...]:
    """Return whom the end of a question concerns: the asked ones, or the proposer."""
    draft = question.draft
    if question.index:
        return (draft.arcs[0].giver,)
    return tuple(arc.giver for j, arc in enumerate(draft.arcs) if j and asks(draft, j))


def own_about(waiting: Mapping[DraftId, Question], draft: Draft) -> tuple[DraftId, Question] | None:
    """Return our own question about the ring that a partner asks about; theirs takes its place.

    The partner's person has spoken already, ours perhaps not. Were both to insist, each would refuse the other's
    for ever. Where both have spoken, the question of the node with the lower id stays: both ends choose alike.
    """
    for known, question in waiting.items():
        if not question.index and question.used is None and is_turned(question.draft, draft):
            return known, question
    return None
