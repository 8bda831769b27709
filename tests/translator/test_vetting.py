"""At stake: shares that stay with a peer known for bad, and newcomers whom nobody ever comes to know."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.units import Quantity
from nanobarter.translator.vetting import (
    BAD_RELIABILITY,
    CLEAN_DAY,
    LOT_LEAST,
    LOT_MOST,
    LOTS_DOUBLED_MAX,
    Trust,
    lot,
    on_trial,
    unwanted,
)

NODES = [NodeId(bytes([i]) * 32) for i in range(1, 13)]
nodes = st.sets(st.sampled_from(NODES))
scores = st.lists(st.floats(0, 1), min_size=len(NODES), max_size=len(NODES))


@given(nodes, nodes, nodes, scores, st.integers(1, 8))
def test_shares_move_only_from_the_bad_and_never_below_what_the_plan_needs(
    held: set[NodeId], vetted: set[NodeId], judged: set[NodeId], r: list[float], needed: int
) -> None:
    trust = Trust(dict(zip(NODES, r, strict=True)), frozenset(vetted), judged=frozenset(judged))
    gone = unwanted(held, trust, needed)
    assert all(trust.reliability[node] < BAD_RELIABILITY and node in vetted | judged for node in gone)
    left = [node for node in held - gone if not trust.is_gone(node)]
    assert len(left) >= min(needed, sum(not trust.is_gone(node) for node in held))


@given(nodes, nodes, nodes, scores, st.integers(1, 8))
def test_strangers_are_tried_out_only_beside_a_plan_of_known_peers(
    held: set[NodeId], keeping: set[NodeId], vetted: set[NodeId], r: list[float], needed: int
) -> None:
    trust = Trust(dict(zip(NODES, r, strict=True)), frozenset(vetted), judged=frozenset(NODES))
    tried = on_trial(held, keeping, trust, needed)
    assert tried <= held - vetted
    if tried:
        assert sum(node in vetted and trust.reliability[node] >= BAD_RELIABILITY for node in keeping) >= needed
        assert all(trust.reliability[node] >= BAD_RELIABILITY for node in tried)


shares = st.integers(0, 10**5).map(Quantity)
counts = st.integers(0, 400)


@given(shares, counts, counts, st.integers(0, 3000), counts, st.integers(0, 5))
def test_a_lot_grows_with_what_was_proven_and_is_bounded(
    share: Quantity, windows: int, leases: int, more: int, longer: int, another: int
) -> None:
    mine = lot(share, windows, leases)
    assert LOT_LEAST <= mine <= LOT_MOST << min(leases, LOTS_DOUBLED_MAX)
    assert mine <= lot(Quantity(share + more), windows + longer, leases + another)
    assert lot(share, 0, 0) <= max(LOT_LEAST, -(-share // 8))
    assert lot(share, 3 * CLEAN_DAY, 0) >= min(share, LOT_MOST)
