"""Who passes items on decides whether the network hears: a mesh must fill, stay small, and lose those who do harm."""

import random

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.gossip.mesh import REST, Mesh
from nanobarter.gossip.scores import Scores

LIMITS = Limits(gossip_degree=6, gossip_faults_max=4)
DRAW = b"drawdraw"


def peers(count: int) -> list[NodeId]:
    return [NodeId(i.to_bytes(32, "big")) for i in range(1, count + 1)]


def nobody_is_bad(_peer: NodeId, _now: float) -> float:
    return 0.0


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_it_has_its_size_whatever_happens(seed: int, count: int) -> None:
    rng, everybody = random.Random(seed), peers(count)
    bad = {peer for peer in everybody if rng.random() < 0.2}
    mesh = Mesh(LIMITS, lambda peer, _now: -1.0 if peer in bad else 0.0)
    now, connected = 0.0, list(everybody)
    for _ in range(30):
        now += rng.random() * 40
        for peer in rng.sample(everybody, min(count, 5)):
            rng.choice((mesh.asked, mesh.left))(peer, now)
        change = mesh.change(connected, now, rng.randbytes(8))
        assert len(mesh.members) <= 8
        assert not set(mesh.members) & bad
        assert not set(change.join) & set(change.leave)
        assert set(change.join) <= set(mesh.members)
    now += 2 * REST
    mesh.change(connected, now, DRAW)
    assert len(mesh.members) >= min(5, count - len(bad))
    assert mesh.next_change(connected, now) >= now + (0 if len(mesh.members) >= 5 else 1e9) or count - len(bad) < 5


def test_who_left_is_not_asked_again_for_a_minute_nor_may_ask() -> None:
    mesh, (one,) = Mesh(LIMITS, nobody_is_bad), peers(1)
    assert mesh.change([one], 0, DRAW).join == (one,)
    mesh.left(one, 0)
    assert mesh.next_change([one], 1) == REST
    assert mesh.change([one], REST - 1, DRAW).join == ()
    assert mesh.is_early(one, REST - 1)
    assert not mesh.asked(one, REST - 1)
    assert mesh.next_change([one], REST) == 2 * REST - 1
    assert mesh.change([one], 2 * REST, DRAW).join == (one,)


def test_a_member_that_brings_nothing_makes_room_if_somebody_waits() -> None:
    mesh, everybody = Mesh(LIMITS, nobody_is_bad), peers(7)
    mesh.change(everybody[:6], 0, DRAW)
    for _ in range(100):
        for peer in everybody[1:6]:
            mesh.brought(peer)
    assert mesh.change(everybody[:6], 100, DRAW).leave == ()  # nobody could take its place
    change = mesh.change(everybody, 100, DRAW)
    assert (change.leave, change.join) == ((everybody[0],), (everybody[6],))
    assert mesh.change(everybody, 101, DRAW).leave == ()  # at most one a minute


def test_scores_fade_and_a_muted_peer_starts_anew() -> None:
    scores, (one, two) = Scores(LIMITS), peers(2)
    for _ in range(100):
        scores.first(one, 0)
    assert scores.of(one, 0) == 20
    assert 9 < scores.of(one, 600) < 11
    scores.fault(one, 600, 4)
    assert scores.is_muted(one, 601)
    assert scores.of(one, 601) < 0
    assert not scores.is_muted(one, 1300)
    assert scores.of(one, 1300) > 0
    scores.broke(two, 0, 3)
    assert scores.of(two, 0) == 0  # an item may be gone between the promise and the question
    scores.broke(two, 0, 3)
    assert scores.of(two, 0) < 0
    assert scores.of(two, 3600) == 0


def test_merit_does_not_buy_a_fault_for_long() -> None:
    scores, (one,) = Scores(LIMITS), peers(1)
    for _ in range(1000):
        scores.first(one, 0)
    scores.fault(one, 0, 3)
    assert scores.of(one, 0) > 0
    scores.fault(one, 1, 1)
    assert scores.of(one, 1) < 0
