"""A bid read wrongly off the wire, or a match with its arcs turned round, moves somebody's space to the wrong node."""

from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.matching.book import Book
from nanobarter.matching.network import bid_from_item, find, quality_of, text_of
from nanobarter.matching.wire import BidBody, Ratio, Want, bid_id_for

KEYS = [SigningKey(bytes([i]) * 32) for i in range(1, 5)]
KIND = LeaseKind("90d")
LATER = Instant(1_800_000_000_000)


def own_space(key: SigningKey) -> Quality:
    return Quality(key.node_id, KIND)


def want(issuer: NodeId | None, *, refused: tuple[NodeId, ...] = ()) -> Want:
    return Want(KIND, issuer, refused, ())


def item(
    i: int, wants: Want, *, omega: Ratio = (1, 1), quantity: int = 100, sequence: int = 1, name: int | None = None
) -> Item:
    body = BidBody("limit", own_space(KEYS[i]), wants, omega, Quantity(quantity), None)
    key = bytes([i if name is None else name]) * 16
    return make_item(KEYS[i], "bid", key, sequence=sequence, expires=LATER, body=encode(body))


def book_of(*items: Item) -> Book:
    book = Book()
    for each in items:
        bid = bid_from_item(each)
        assert bid is not None
        book.insert(bid)
    return book


def bid_id(i: int, name: int | None = None) -> BidId:
    return bid_id_for(KEYS[i].node_id, bytes([i if name is None else name]) * 16)


def test_a_triangle_of_nodes_matches_and_its_arcs_start_with_the_own_bid() -> None:
    nodes = [key.node_id for key in KEYS]
    book = book_of(item(0, want(nodes[1])), item(1, want(nodes[2])), item(2, want(nodes[0])))
    match = find(book, bid_id(0))
    assert match is not None
    assert [(arc.bid, arc.giver, arc.receiver) for arc in match.arcs] == [
        (bid_id(0), nodes[0], nodes[2]),
        (bid_id(2), nodes[2], nodes[1]),
        (bid_id(1), nodes[1], nodes[0]),
    ]
    assert [arc.quality for arc in match.arcs] == [own_space(KEYS[0]), own_space(KEYS[2]), own_space(KEYS[1])]
    assert {arc.quantity for arc in match.arcs} == {100}
    assert match.omega == 1


def test_two_wanting_any_space_trade_at_par() -> None:
    match = find(book_of(item(0, want(None), quantity=30), item(1, want(None), quantity=70)), bid_id(0))
    assert match is not None
    assert [arc.quantity for arc in match.arcs] == [30, 30]


def test_a_refused_issuer_is_not_matched() -> None:
    book = book_of(item(0, want(None, refused=(KEYS[1].node_id,))), item(1, want(None)))
    assert find(book, bid_id(0)) is None


def test_more_partners_than_allowed_are_not_matched() -> None:
    nodes = [key.node_id for key in KEYS]
    book = book_of(item(0, want(nodes[1])), item(1, want(nodes[2])), item(2, want(nodes[0])))
    assert find(book, bid_id(0), partners_max=2) is None


def test_an_avoided_pair_leaves_the_next_best() -> None:
    book = book_of(
        item(0, want(None)), item(1, want(None), omega=(2, 1)), item(2, want(None)), item(1, want(None), name=9)
    )
    best = find(book, bid_id(0), partners_max=2)
    assert best is not None
    assert best.arcs[1].bid == bid_id(1)
    other = find(book, bid_id(0), partners_max=2, avoid=[frozenset({bid_id(0), bid_id(1)})])
    assert other is not None
    assert other.arcs[1].bid in (bid_id(2), bid_id(1, 9))


def test_a_perturbed_choice_is_one_of_the_possible_ones() -> None:
    book = book_of(item(0, want(None)), item(1, want(None), omega=(2, 1)), item(2, want(None)))
    match = find(book, bid_id(0), partners_max=2, perturb=lambda bid: 9.0 if bid == bid_id(2) else 0.0)
    assert match is not None
    assert match.arcs[1].bid == bid_id(2)
    assert match.omega == 1


def test_withdrawn_empty_and_foreign_items_carry_no_bid() -> None:
    live = item(0, want(None))
    assert bid_from_item(live) is not None
    for other in (
        replace_item(live, body=b""),
        replace_item(live, body=b"\x00"),
        replace_item(live, topic="node"),
        item(0, want(None), quantity=0),
        item(0, Want(LeaseKind("31d"), None, (), ())),  # nobody can have such a lease
    ):
        assert bid_from_item(other) is None


def replace_item(of: Item, *, body: bytes | None = None, topic: str | None = None) -> Item:
    return Item(
        "node" if topic == "node" else of.topic,
        of.author,
        of.key,
        of.sequence,
        of.expires,
        of.body if body is None else body,
        of.signature,
    )


def test_a_quality_survives_its_text() -> None:
    quality = own_space(KEYS[0])
    assert quality_of(text_of(quality)) == quality


def test_an_expired_bid_leaves_the_book() -> None:
    book = book_of(item(0, want(None)), item(1, want(None)))
    assert set(book.expire(LATER)) == {bid_id(0), bid_id(1)}
    assert find(book, bid_id(0)) is None


def test_a_newer_version_of_a_bid_takes_its_place() -> None:
    book = book_of(item(0, want(None)), item(0, want(None), quantity=5, sequence=2))
    bid = book.get(bid_id(0))
    assert bid is not None
    assert len(book) == 1
    assert replace(bid, quantity=100, age=1) == bid_from_item(item(0, want(None)))


def test_a_stranger_using_the_same_key_does_not_displace_a_bid() -> None:
    mine, theirs = item(0, want(None), name=7), item(1, want(None), name=7)
    assert len(book_of(mine, theirs)) == 2
