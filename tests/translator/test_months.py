"""At stake: a person believes these figures; a budget that is overdrawn or a rate moved by noise costs her space."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.ids import AgreementId, NodeId, sha256
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.matching.wire import BidBody, Ratio, Want
from nanobarter.translator.budget import month_of, own_worth, read_given, spent, within, within_room
from nanobarter.translator.entries import LEASES_GIVEN, Posting, RingOver, Settled
from nanobarter.translator.ledger import Entry
from nanobarter.translator.monthly import give_and_take, holdings, worths
from nanobarter.translator.orders import Order
from nanobarter.translator.pet import Pet
from nanobarter.translator.quoted import quotes_of
from nanobarter.translator.rates import Deal, Rates
from nanobarter.translator.report import month_span
from tests.translator.test_ledger import book_all, store_of

KIND, LONG = LeaseKind("30d"), LeaseKind("90d")
ME, A, B = (NodeId(sha256(b"n%d" % i)) for i in range(3))
PET = Pet.anchored("acorn", "ac", size_bytes=10**9, days=30, reliability=0.95, worth=Fraction(10))
NOW = Instant(1_700_000_000_000)
MINE, QA, QB = Quality(ME, KIND), Quality(A, KIND), Quality(B, KIND)


@given(
    st.lists(
        st.tuples(st.sampled_from([ME, A, None]), st.sampled_from([KIND, LONG]), st.integers(1, 5000)), max_size=8
    ),
    st.fractions(0, 100),
)
def test_orders_never_promise_more_than_the_budget_has_left(
    rows: list[tuple[NodeId | None, LeaseKind, int]], left: Fraction
) -> None:
    orders = [
        Order(kind, B, Quantity(size), key=bytes([i]) * 16, gives=None if issuer is None else Quality(issuer, kind))
        for i, (issuer, kind, size) in enumerate(rows)
    ]
    kept = within(orders, left, ME, PET)
    own = [order for order in kept if order.gives is None or order.gives.issuer == ME]
    assert sum(own_worth(o.quantity, o.kind, PET) for o in own) <= left
    assert [o for o in kept if o not in own] == [o for o in orders if o.gives is not None and o.gives.issuer == A]
    before = {order.key: order.quantity for order in orders}
    assert all(0 < order.quantity <= before[order.key] for order in kept)
    if sum(own_worth(o.quantity, o.kind, PET) for o in orders if o.gives is None or o.gives.issuer == ME) <= left:
        assert kept == orders


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 500)), max_size=8), st.integers(-100, 2000), st.integers(0, 500)
)
def test_no_more_of_the_disk_is_promised_than_it_has_and_more_room_never_orders_less(
    rows: list[tuple[bool, int]], room: int, more: int
) -> None:
    orders = [
        Order(KIND, B, Quantity(size), key=bytes([i]) * 16, gives=None if own else QA)
        for i, (own, size) in enumerate(rows)
    ]
    kept, larger = within_room(orders, room, ME), within_room(orders, room + more, ME)
    own = [order.quantity for order in kept if order.gives is None]
    assert sum(own) <= max(0, room)
    assert [order for order in kept if order.gives] == [order for order in orders if order.gives]
    before, after = ({order.key: order.quantity for order in each} for each in (kept, larger))
    assert all(after.get(key, 0) >= size for key, size in before.items())
    if sum(order.quantity for order in orders if order.gives is None) <= room:
        assert kept == orders


def test_a_budget_is_used_up_when_no_whole_mib_is_left() -> None:
    used = spent(Fraction(10), [(KIND, 900), (KIND, 54)], PET, [KIND])
    assert used.is_used_up  # 954 MiB are a gigabyte and a little
    assert used.left == 0
    assert not spent(Fraction(11), [(KIND, 954)], PET, [KIND]).is_used_up
    assert spent(Fraction(10), [(KIND, 953)], PET, [KIND]).is_used_up  # what is left cannot be given
    assert not spent(Fraction(10), [(KIND, 952)], PET, [KIND]).is_used_up
    assert month_of(NOW) == "2023-11"


def test_all_own_space_that_rings_took_in_a_month_counts_against_its_budget() -> None:
    """Also of a ring whose end only the swap remembered, since a crash hid the news, and of one that never paid."""

    def over(name: bytes, how: str, gave: Quality, at: Instant = NOW) -> RingOver:
        return RingOver(AgreementId(sha256(name)), how, (gave, Quantity(10)), at)

    told = Settled(AgreementId(sha256(b"told")), (MINE, Quantity(3)), (QA, Quantity(5)), (ME, A), NOW)
    events = [over(how.encode(), how, MINE) for how in ("settled", "owing", "wronged", "aborted", "lapsed")]
    since, until = month_span("2023-11")
    with store_of() as store:
        book_all(store, [told, *events, over(b"other's", "settled", QA), over(b"later", "settled", MINE, until)])
        assert store.read_now(lambda db: read_given(db, ME, since, until)) == [(KIND, 33)]


def quote(key: int, gives: Quality, wants: NodeId | None, omega: Ratio) -> Item:
    body = BidBody("limit", gives, Want(KIND, wants, (), ()), omega, Quantity(10), None)
    author = SigningKey(bytes([key]) * 32)
    return make_item(author, "bid", b"k" * 16, sequence=1, expires=Instant(NOW + DAY), body=encode(body))


def test_quotes_are_rates_of_what_they_would_give_us() -> None:
    (deal,) = quotes_of([quote(1, QA, ME, (2, 1))], ME, NOW)  # gives two of A's for one of ours
    figure = Rates(own=ME, deals=[deal], reliability=lambda _node: None, now=NOW).figure(QA)
    assert figure is not None
    assert (figure.value, figure.since) == (Fraction(1, 2), NOW)
    assert figure.source.startswith("1 quote with")
    assert quotes_of([quote(1, QA, None, (1, 1))], ME, NOW)[0].gave == MINE


@given(st.integers(1, 10**6), st.booleans())
def test_one_owner_with_senseless_prices_does_not_move_what_others_quote(price: int, cheap: bool) -> None:  # noqa: FBT001 - drawn
    honest = [quote(n, QA, ME, (1, 1)) for n in range(1, 4)]
    wild = quote(9, QA, ME, (1, price) if cheap else (price, 1))
    (deal,) = quotes_of([*honest, wild], ME, NOW)
    assert Fraction(deal.gave_quantity, deal.got_quantity) == 1
    assert deal.many == 4


def test_charts_tell_what_the_book_says() -> None:
    standing = [("assets:notes:a", QA, 10), ("assets:leases:a", QA, 20), ("assets:leases:b", QB, 5),
                (LEASES_GIVEN, MINE, -40)]  # fmt: skip
    chart = holdings(standing)
    assert [bar.value for bar in chart.bars] == [30, 5]
    begun = Instant(NOW - 2 * DAY)
    entries = [
        Entry(1, Instant(begun + 1), "", (Posting(LEASES_GIVEN, MINE, -30), Posting("assets:leases:a", QA, 25))),
        Entry(2, Instant(NOW - 1), "", (Posting(LEASES_GIVEN, MINE, -10),)),
    ]
    given_, taken = give_and_take(entries, standing, begun, Instant(NOW + DAY), NOW).lines
    assert [round(value * 10**9 / 2**20) for value in given_.values] == [30, 40]
    assert [round(value * 10**9 / 2**20) for value in taken.values] == [25, 25]
    rates = Rates(own=ME, deals=[Deal(MINE, 1, QA, 2, NOW)], reliability=lambda _node: None, now=NOW)
    (mine, theirs) = worths([QA, MINE, QB], rates.figure, PET).bars
    assert (mine.text, theirs.text) == ("10.00 ac", "5.00 ac")
