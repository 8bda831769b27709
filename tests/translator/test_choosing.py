"""At stake: nodes that see the same book must not all ask for the same bids, nor search when nothing has changed."""

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import BidId, DraftId
from nanobarter.core.item import make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import MINUTE, Instant, LeaseKind, Quantity, Span, after
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, bid_from_item
from nanobarter.matching.wire import BidBody, Ratio, Want, bid_id_for
from nanobarter.swap.events import Asked, DraftRefused
from nanobarter.translator.choosing import CALM_TRIES, Chooser
from nanobarter.translator.market_ports import PATIENCE, Pace

KIND = LeaseKind("30d")
NOW = Instant(1_800_000_000_000)
FAR = after(NOW, Span(60 * MINUTE))
ME = SigningKey(b"m" * 32)
OTHERS = [SigningKey(bytes([number]) * 32) for number in range(1, 9)]
SLOT = b"k" * 16
MINE = bid_id_for(ME.node_id, SLOT)
PACE = Pace(Span(60 * MINUTE), PATIENCE, Span(500), 6)


def put(book: Book, key: SigningKey, want: Want, *, sequence: int = 5, omega: Ratio = (1, 1)) -> None:
    body = BidBody("limit", Quality(key.node_id, KIND), want, omega, Quantity(10), None)
    bid = bid_from_item(make_item(key, "bid", SLOT, sequence=sequence, expires=FAR, body=encode(body)))
    assert bid is not None
    book.insert(bid)


def book_of(my_sequence: int, others: list[SigningKey]) -> Book:
    book = Book()
    for key, sequence in [(ME, my_sequence), *((key, 5) for key in others)]:
        put(book, key, Want(KIND, None, (key.node_id,), ()), sequence=sequence)
    return book


def chooser(seed: int = 1) -> Chooser:
    return Chooser(PACE, LIMITS, SeededEntropy(seed, "chance").token)


def partner_of(match: Match | Instant) -> BidId:
    assert isinstance(match, Match)
    return match.arcs[1].bid


def test_among_equal_rings_chance_chooses() -> None:
    book = book_of(9, OTHERS)
    assert len({partner_of(chooser(seed).next(book, MINE, NOW)) for seed in range(20)}) > len(OTHERS) // 2


def test_the_newest_bid_has_the_first_word_for_a_while() -> None:
    book, mine = book_of(1, OTHERS[:1]), chooser()
    assert mine.next(book, MINE, NOW) == after(NOW, PATIENCE)
    assert mine.next(book, MINE, after(NOW, Span(PATIENCE - 1))) == after(NOW, PATIENCE)
    assert isinstance(mine.next(book, MINE, after(NOW, PATIENCE)), Match)


def test_a_ring_whose_question_ended_by_accident_is_asked_about_again() -> None:
    book, mine = book_of(9, OTHERS[:1]), chooser()
    match = mine.next(book, MINE, NOW)
    assert isinstance(match, Match)
    mine.ended(match, Asked(DraftId(bytes(32)), MINE, ME.node_id, ours=False), {MINE: 9, match.arcs[1].bid: 5}, NOW)
    later = after(NOW, Span(LIMITS.market_busy + MINUTE))
    assert not isinstance(mine.next(book, MINE, later), Match)
    mine.asked_in_vain(MINE, Reason.POLICY, later)  # a person said no
    assert not isinstance(mine.next(book, MINE, after(later, LIMITS.market_busy)), Match)
    mine.asked_in_vain(MINE, Reason.UNKNOWN_BID, later)
    assert isinstance(mine.next(book, MINE, after(later, LIMITS.market_busy)), Match)


def test_rings_of_which_the_own_bid_is_the_newest_come_first() -> None:
    book = book_of(5, [])
    for number, key in enumerate(OTHERS):
        put(book, key, Want(KIND, None, (key.node_id,), ()), sequence=9 if number else 1)
    older = bid_id_for(OTHERS[0].node_id, SLOT)
    assert {partner_of(chooser(seed).next(book, MINE, NOW)) for seed in range(20)} == {older}


def test_a_long_ring_that_is_better_is_tried_until_two_have_said_no() -> None:
    book, mine = book_of(9, []), chooser()
    put(book, OTHERS[0], Want(KIND, ME.node_id, (), ()))
    put(book, OTHERS[1], Want(KIND, OTHERS[0].node_id, (), ()), omega=(50, 1))
    lengths = list[int]()
    for minute in range(CALM_TRIES + 1):
        now = after(NOW, Span(minute * MINUTE))
        match = mine.next(book, MINE, now)
        assert isinstance(match, Match)
        lengths.append(len(match.arcs))
        mine.ended(match, DraftRefused(DraftId(bytes(32)), MINE, None, Reason.EXPIRED, ""), {}, now)
    assert lengths == [3] * CALM_TRIES + [2]


def test_a_bid_that_another_draft_holds_is_left_alone_and_another_is_asked() -> None:
    book, mine, now = book_of(9, OTHERS[:2]), chooser(), NOW
    match = mine.next(book, MINE, now)
    busy = partner_of(match)
    assert isinstance(match, Match)
    versions = {arc.bid: 9 if arc.bid == MINE else 5 for arc in match.arcs}
    mine.ended(match, DraftRefused(DraftId(bytes(32)), MINE, match.arcs[1].giver, Reason.BUSY, ""), versions, now)
    again = mine.next(book, MINE, now)
    assert isinstance(again, int)
    assert now < again <= now + 2 * PACE.retry
    assert partner_of(mine.next(book, MINE, again)) != busy
    late = after(now, Span(LIMITS.market_busy + 1))
    assert busy in {partner_of(mine.next(book, MINE, late)) for _ in range(20)}


def test_nothing_is_searched_while_the_book_stands_still() -> None:
    book, mine = book_of(9, []), chooser()
    version = book.version
    far = mine.next(book, MINE, NOW)
    assert isinstance(far, int)
    assert far > FAR
    assert book.version == version  # else a search would count as news, and the next one would follow
    other = book_of(9, OTHERS[:1]).get(bid_id_for(OTHERS[0].node_id, SLOT))
    assert other is not None
    book.insert(other)
    assert isinstance(mine.next(book, MINE, after(NOW, PATIENCE)), Match)
