"""Whoever is surrounded by silent peers hears through the one honest one within a round; and silence costs little."""

from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND
from nanobarter.gossip.rounds import Rounds
from tests.net.nodes import key

PEERS = [key(number).node_id for number in range(1, 51)]
ROUND = Limits().gossip_sync_every / SECOND


def test_each_has_its_turn_in_a_round_also_when_some_leave() -> None:
    rounds, asked, took = Rounds(Limits()), list[object](), 0.0
    for number in range(50):
        there = PEERS if number < 25 else PEERS[:-1]
        asked.append(rounds.next(there, bytes(8)))
        took += rounds.pause(len(PEERS))
    assert set(asked) >= set(PEERS[:-1])
    assert took <= ROUND * 1.05
    assert rounds.next([], bytes(8)) is None


def test_rounds_without_news_become_rare_and_news_make_them_frequent_again() -> None:
    rounds = Rounds(Limits())
    for _ in range(400):
        rounds.next(PEERS, bytes(8))
    assert rounds.pause(50) * 50 == 12 * ROUND
    rounds.news()
    assert rounds.pause(50) * 50 == ROUND
