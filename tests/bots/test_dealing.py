"""At stake: a bot that deals with its owner's notes while she sleeps must not lose more, nor hold more, than it may."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.bots.dealing import LOW_COST, Deal, Desk, Limits, loss_of, opportunities, quotes, refusal, spread
from nanobarter.core.ids import BidId, NodeId
from nanobarter.core.quality import Quality
from nanobarter.core.units import HOUR, Instant, LeaseKind, Quantity, Span, after
from nanobarter.matching.bids import Bid
from nanobarter.matching.book import Book
from nanobarter.matching.network import find, pattern_of, text_of
from nanobarter.translator.orders import Order, bid_for
from nanobarter.translator.pricing import (
    BARGAIN,
    GRAIN,
    MARKUP_FIRST,
    MARKUP_MAX,
    STRANGER_RELIABILITY,
    Terms,
    given_for,
    next_markup,
    own_value,
    priced,
    worth,
)
from nanobarter.translator.rates import value_by_reliability
from nanobarter.translator.vetting import Caps, Trust

KIND = LeaseKind("30d")
ME, *OTHERS = (NodeId(bytes([i]) * 32) for i in range(1, 8))
NOW = Instant(1_700_000_000_000)
LIMITS = Limits(issuer=200, total=500, loss=20 * GRAIN)
others = st.sampled_from(OTHERS)
rs = st.floats(0, 1)
EXACT = Fraction(1, 10**9)  # of floats
holdings = st.dictionaries(others, st.integers(0, 300))
desks = st.builds(
    Desk,
    st.just(ME),
    st.just(KIND),
    holdings,
    holdings,
    st.dictionaries(others, rs),
    st.frozensets(others),
    st.integers(0, 1000),
    st.integers(0, 30 * GRAIN),
    st.floats(0.1, 1.3),
    st.frozensets(others),
    st.integers(0, 9),
)


def bid_of(order: Order, owner: NodeId, number: int) -> Bid:
    body = bid_for(order, owner)
    return Bid(
        order.bid_id(owner) if owner == ME else BidId(number.to_bytes(16, "big")), owner, True, text_of(body.gives),
        pattern_of(body.wants), body.omega[0], body.omega[1], body.quantity, number,
    )  # fmt: skip


@given(desks)
def test_quotes_give_only_what_is_spare_and_never_at_a_loss(desk: Desk) -> None:
    made = quotes(desk, LIMITS)
    assert len({order.slot for order in made}) == len(made)
    for order in made:
        assert order.issuer in (desk.vetted | desk.judged) - {ME}
        assert order.gives is not None
        assert order.issuer is not None
        gives = order.gives.issuer
        mine = desk.own if gives == ME else value_by_reliability(desk.reliability[gives])
        theirs = value_by_reliability(desk.reliability[order.issuer])
        assert order.omega[0] / order.omega[1] * mine <= theirs + 0.002
        if desk.is_low(order.issuer) and gives == ME:
            assert order.quantity <= LOW_COST  # to say what the bad are worth must cost next to nothing
        received = order.quantity * order.omega[1] / order.omega[0]
        assert desk.surplus(order.issuer) + received <= LIMITS.issuer + 1 or received <= 1
        assert gives == ME or order.quantity <= desk.surplus(gives)
    if desk.lost >= LIMITS.loss:
        assert made == []


events = st.lists(
    st.tuples(
        st.sampled_from(["deal", "settle", "abort", "lapse"]), others | st.just(ME), others, st.integers(1, 400),
        st.integers(1, 400), st.dictionaries(others, rs, max_size=3),
    ),
    max_size=60,
)  # fmt: skip


@given(events, st.dictionaries(others, rs), st.frozensets(others, min_size=1))
def test_no_sequence_of_events_takes_a_dealer_beyond_its_limits(
    happened: list[tuple[str, NodeId, NodeId, int, int, dict[NodeId, float]]],
    believed: dict[NodeId, float],
    vetted: frozenset[NodeId],
) -> None:
    """Drafts of any terms come, at any beliefs; those approved settle, abort, or wait; notes lapse meanwhile."""
    held, waiting, lost, settled_loss = dict.fromkeys(OTHERS, 0), list[Deal](), 0, 0
    for what, gives, gets, given_, gotten, news in happened:
        believed = believed | news
        if what == "deal" and gives != gets:
            promised = {n: held[n] + sum(d.gotten for d in waiting if d.gets == n) for n in OTHERS}
            desk = Desk(ME, KIND, promised, {}, believed, vetted, 1000, lost)
            spare = 10**6 if gives == ME else held[gives] - sum(d.given for d in waiting if d.gives == gives)
            deal = Deal(gives, given_, gets, gotten, NOW)
            if given_ <= spare and not refusal(deal, desk, LIMITS, NOW):
                assert loss_of(deal, desk) <= LIMITS.slip * GRAIN * given_
                waiting.append(deal)
                lost += max(0, loss_of(deal, desk))
        elif what == "settle" and waiting:
            deal = waiting.pop(0)
            held[deal.gets] += deal.gotten
            if deal.gives != ME:
                held[deal.gives] -= deal.given
        elif what == "abort" and waiting:
            waiting.pop()
        elif what == "lapse":
            held[gets] = max(0, held[gets] - gotten)
            for deal in [d for d in waiting if d.gives == gets]:
                waiting.remove(deal)  # notes that lapsed cannot be given: their ring aborts
        assert all(0 <= held[n] <= LIMITS.issuer for n in OTHERS)
        assert lost <= LIMITS.loss
        settled_loss = lost
    assert settled_loss <= LIMITS.loss


def test_stale_answers_and_strangers_are_turned_away() -> None:
    desk = Desk(ME, KIND, {OTHERS[0]: 50}, {}, {OTHERS[0]: 0.5, OTHERS[1]: 0.95}, frozenset(OTHERS[:2]), 100)
    good = Deal(OTHERS[0], 40, OTHERS[1], 20, NOW)
    assert refusal(good, desk, LIMITS, NOW) == ""
    assert "heard" in refusal(good, desk, LIMITS, after(NOW, Span(HOUR)))
    assert "vetted" in refusal(Deal(OTHERS[0], 1, OTHERS[2], 50, NOW), desk, LIMITS, NOW)
    assert "moved" in refusal(Deal(OTHERS[0], 40, OTHERS[1], 5, NOW), desk, LIMITS, NOW)
    assert "of one issuer" in refusal(Deal(OTHERS[0], 40, OTHERS[1], 400, NOW), desk, LIMITS, NOW)


@given(st.floats(0.3, 0.99), st.floats(0.3, 0.99), st.integers(1, 40), st.integers(1, 40), st.integers(1, 200))
def test_arbitrage_takes_only_what_gains_and_the_ring_it_makes_gains(
    bad: float, good: float, provided: int, required: int, stock: int
) -> None:
    """Somebody gives the good one's notes for the bad one's; whatever ring follows from our bid must pay."""
    giver = OTHERS[5]
    desk = Desk(ME, KIND, {OTHERS[0]: 100}, {}, {OTHERS[0]: bad, OTHERS[1]: good}, frozenset(OTHERS[:2]), 100)
    book = Book()
    quote = Order(
        KIND, OTHERS[0], Quantity(stock), gives=Quality(OTHERS[1], KIND), omega=(provided, required), key=b"q" * 16
    )
    book.insert(bid_of(quote, giver, 1))
    made = opportunities(desk, book, LIMITS)
    fair = provided / required * value_by_reliability(good) / value_by_reliability(bad)
    if fair < 1:
        assert made == []
    for order in made:
        book.insert(bid_of(order, ME, 2))
        match = find(book, order.bid_id(ME))
        if match is None:
            continue
        given_, gotten = match.arcs[0].quantity, match.arcs[-1].quantity
        assert given_ <= 100
        assert loss_of(Deal(OTHERS[0], given_, OTHERS[1], gotten, NOW), desk) <= 0


def test_the_margin_is_two_to_five_percent() -> None:
    assert 0.02 <= spread(1.0) < spread(0.8) <= spread(0.0) == 0.05


# -- prices of orders


@given(
    st.dictionaries(others, rs), st.frozensets(others), st.sampled_from(["ticket", "par", "discount"]),
    st.floats(1, 8), st.none() | rs, st.sampled_from(["needed", "bargain"]),
)  # fmt: skip
def test_no_order_gives_more_than_the_mode_allows(
    believed: dict[NodeId, float], vetted: frozenset[NodeId], mode: str, markup: float, own: float | None, what: str
) -> None:
    bounds = Caps({n: 100 for n in OTHERS if n not in vetted}, 100) if len(vetted) > 3 else Caps({}, 0)
    trust, bargain = Trust(believed, vetted, bounds), what == "bargain"
    orders = [*(Order(KIND, n, Quantity(100), bargain=bargain) for n in OTHERS), Order(KIND, None, Quantity(50))]
    terms = Terms(mode=mode, markup=markup, own=own_value(own))  # pyright: ignore[reportArgumentType] - one of three
    out = priced(orders, terms, trust)
    for order in out:
        ratio = Fraction(*order.omega)
        assert ratio <= (10 if mode == "discount" else 1)
        if order.issuer is None:
            assert mode != "ticket"
            assert ratio <= 1
        elif mode == "discount":
            fair = Fraction(*worth(believed.get(order.issuer, STRANGER_RELIABILITY))) / Fraction(own_value(own))
            assert ratio <= max(Fraction(1, 1000), fair * Fraction(markup * (BARGAIN if bargain else 1)) * (1 + EXACT))
        assert order.quantity <= 100 * max(ratio, 1) + 1
    named = {order.issuer for order in out if order.issuer is not None}
    assert named == (set() if bargain and mode != "discount" else set(OTHERS))  # nobody we know is without a price


@given(st.integers(1, 10**6), st.integers(1, 10_000), st.integers(1, 10_000))
def test_an_order_puts_in_no_more_than_its_price_says_and_enough_where_both_sides_share(
    wanted: int, given_: int, got: int
) -> None:
    put = given_for(wanted, (given_, got))
    assert put <= -(-wanted * max(given_, 1) // got) + 1
    assert put >= wanted * min(1.0, given_ / got) - 1


@given(st.lists(st.booleans(), max_size=80))
def test_the_markup_stays_within_its_bounds_and_comes_down_when_orders_are_filled(filled: list[bool]) -> None:
    markup = MARKUP_FIRST
    for each in filled:
        before, markup = markup, next_markup(markup, filled=each)
        assert MARKUP_FIRST <= markup <= MARKUP_MAX
        assert (markup <= before) if each else (markup >= before)


def test_terms_refuse_and_bound_the_price() -> None:
    orders = [Order(KIND, OTHERS[0], Quantity(100)), Order(KIND, OTHERS[1], Quantity(100))]
    terms = Terms(mode="discount", reserve_price=(1, 2), refused=frozenset(OTHERS[:1]))
    (order,) = priced(orders, terms, Trust({OTHERS[1]: 0.95}))
    assert (order.issuer, order.omega, order.quantity) == (OTHERS[1], (500, 1000), 50)
