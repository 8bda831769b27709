"""At stake: a dealer that thinks little of its own space would give it away by the tenfold."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.bots.dealers import Bounds
from nanobarter.bots.dealing import Desk, Limits, quotes
from nanobarter.core.ids import NodeId
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.daemon.services_dealers import own_note
from nanobarter.translator.pricing import Terms

KIND = LeaseKind("30d")
ME, *OTHERS = (NodeId(bytes([i]) * 32) for i in range(1, 5))


@given(
    st.floats(0.01, 1.4),
    st.floats(1, 16),
    st.sampled_from([None, (1, 2), (3, 1)]),
    st.sampled_from(["par", "discount"]),
)
def test_no_dealer_gives_more_own_space_for_a_note_than_the_persons_price(
    own: float, markup: float, price: tuple[int, int] | None, mode: str
) -> None:
    terms = Terms(mode=mode, reserve_price=price, own=own, markup=markup)  # pyright: ignore[reportArgumentType] - one of the two
    bounds = Bounds(200, 1000, 10**6, 10**6)
    desk = Desk(
        ME, KIND, {}, {}, dict.fromkeys(OTHERS, 0.95), frozenset(OTHERS), 1000, own=own_note(terms), judged=frozenset()
    )
    for order in quotes(desk, Limits(bounds.issuer, bounds.total, bounds.loss_day)):
        assert order.omega[0] * terms.most[1] <= order.omega[1] * terms.most[0] + terms.most[1]
        assert order.quantity <= Quantity(1000)
