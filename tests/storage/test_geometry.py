"""A wrong geometry loses data or wastes disks; the figures here were computed with exact fractions."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.units import MIB
from nanobarter.storage.geometry import (
    Geometry,
    body_bytes_max,
    for_peers,
    of_durability,
    outgrown,
    share_size_for,
    share_size_max,
)
from nanobarter.storage.ports import SHARE_SIZES

TABLE = {
    1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 4), 5: (2, 5), 6: (3, 6), 9: (3, 6), 10: (4, 10), 11: (4, 10),
    12: (3, 12), 13: (3, 12), 14: (4, 14), 16: (4, 14), 17: (6, 17), 24: (6, 17), 25: (10, 25), 1000: (10, 25),
}  # fmt: skip


@pytest.mark.parametrize(("peers", "wanted"), TABLE.items())
def test_the_table(peers: int, wanted: tuple[int, int]) -> None:
    found = for_peers(peers)
    assert (found.k, found.n) == wanted
    assert found.n <= peers


def test_no_peer_is_no_geometry() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        for_peers(0)


def test_thin_is_below_the_mark_and_the_figure_is_exact() -> None:
    for peers in TABLE:
        g = for_peers(peers)
        three = Fraction(3, 4)
        exact = sum(comb(g.n, i) * three**i * (1 - three) ** (g.n - i) for i in range(g.k, g.n + 1))
        assert g.recovery == pytest.approx(float(exact), abs=1e-12)
        assert g.thin == (peers < 12) == (exact < Fraction(9999, 10000))


def test_repair_comes_before_loss() -> None:
    assert Geometry(2, 5).repair_below == pytest.approx(3.2)
    for peers in TABLE:
        g = for_peers(peers)
        assert g.k <= g.repair_below <= g.n


@given(st.integers(1, 255), st.integers(0, 20 * MIB))
def test_the_smallest_share_that_holds_it(k: int, payload: int) -> None:
    if payload > body_bytes_max(k):
        with pytest.raises(ValueError, match="do not fit"):
            share_size_for(k, payload)
        return
    size = share_size_for(k, payload)
    assert k * size <= min(16 * MIB, k * 2 * MIB)
    assert k * size >= payload
    assert size <= share_size_max(k)
    assert not [s for s in SHARE_SIZES if s < size and k * s >= payload]


def test_high_durability_keeps_the_peers_and_lets_more_of_them_go() -> None:
    for peers in range(60):
        normal, high = of_durability(peers, high=False), of_durability(peers, high=True)
        assert normal == for_peers(max(peers, 1))
        assert high.n == normal.n
        assert high.recovery >= normal.recovery


def test_only_what_is_thin_and_would_be_safer_is_outgrown() -> None:
    assert outgrown(Geometry(1, 1), Geometry(1, 2))
    assert outgrown(Geometry(1, 2), Geometry(2, 5))
    assert not outgrown(Geometry(2, 5), Geometry(2, 5))
    assert not outgrown(Geometry(2, 5), Geometry(1, 2))  # peers left: what is stored stays as it is
    assert not outgrown(Geometry(10, 25), Geometry(1, 60))
    replaced = sum(outgrown(for_peers(peers), for_peers(peers + 1)) for peers in range(1, 100))
    assert replaced <= 8  # uploads of everything, in the life of a network that grows from one peer to a hundred
