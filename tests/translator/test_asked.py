"""At stake: strangers' notes are not paid like friends', and nobody makes another's notes cheap by talking."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.network import text_of
from nanobarter.translator.asked import ASKS_MAX, asks_of, at_most
from nanobarter.translator.orders import Order
from nanobarter.translator.pricing import MARKUP_FIRST, Terms, own_value, priced
from nanobarter.translator.rates import value_by_reliability
from nanobarter.translator.vetting import Trust

KIND = LeaseKind("30d")
NODES = [NodeId(bytes([i]) * 32) for i in range(1, 9)]
STRANGER, KNOWN = NODES[0], NODES[1:]
R = dict.fromkeys(KNOWN, 0.9)


def bid(owner: NodeId, gives: NodeId, wants: NodeId, most: float, age: int = 0) -> Bid:
    ratio = (int(1000 * most), 1000)
    pattern = Pattern(text_of(Quality(wants, KIND)))
    return Bid(b"%d" % age, owner, True, text_of(Quality(gives, KIND)), pattern, *ratio, 100, age)


others = st.builds(bid, st.sampled_from(KNOWN), st.sampled_from(NODES), st.sampled_from(KNOWN), st.floats(0.1, 10))


@given(st.lists(st.floats(0.1, 10), max_size=2 * ASKS_MAX), st.lists(others))
def test_only_an_issuers_own_word_about_its_own_notes_counts(own: list[float], said: list[Bid]) -> None:
    mine = [bid(STRANGER, STRANGER, KNOWN[n % 7], most, n) for n, most in enumerate(own)]
    word = at_most(asks_of([*said, *mine]), STRANGER, R)
    assert word == at_most(asks_of(mine), STRANGER, R)
    assert (word is None) == (not own)


@given(st.floats(0.3, 0.99), st.floats(0.3, 0.99))
def test_who_asks_what_others_ask_is_worth_what_is_seen_of_him(own: float, other: float) -> None:
    most = value_by_reliability(other) * MARKUP_FIRST / own_value(own)
    word = at_most(asks_of([bid(STRANGER, STRANGER, KNOWN[0], most)]), STRANGER, {KNOWN[0]: other})
    assert word is not None
    assert word >= value_by_reliability(own)


def test_a_stranger_who_offers_eight_for_one_is_paid_so_and_a_vetted_peer_is_not_touched() -> None:
    asks = asks_of([bid(STRANGER, STRANGER, node, 8.0) for node in KNOWN])
    order, terms = Order(KIND, STRANGER, Quantity(100)), Terms(mode="discount")
    r = {**R, STRANGER: 0.75}
    (plain,) = priced([order], terms, Trust(r))
    (low,) = priced([order], terms, Trust(r, asks=asks))
    (vetted,) = priced([order], terms, Trust(r, frozenset(NODES), asks=asks))
    assert low.omega[0] < 0.4 * plain.omega[0]
    assert vetted == plain
    (anybody,) = priced([Order(KIND, None, Quantity(100))], terms, Trust(r, asks=asks))
    assert anybody.refused == (STRANGER,)
