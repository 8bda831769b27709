"""What one node does with what it hears: nothing may be lost because one peer lies, and nothing sent twice."""

from dataclasses import dataclass, field

from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import HOUR, Instant
from nanobarter.gossip.gate import Gate, Moment
from nanobarter.gossip.held import Held
from nanobarter.gossip.ids import prefix_of
from nanobarter.gossip.machine import Accepted, Compare, Drain, Effect, Fetch, Machine, Wrong
from nanobarter.gossip.messages import Bond, Push

WALL = Instant(1_700_000_000_000)
NOW = Moment(100.0, WALL)
AUTHOR = SigningKey(b"A" * 32)


def item(number: int, *, sequence: int = 1) -> Item:
    return make_item(
        AUTHOR, "bid", bytes([number]), sequence=sequence, expires=Instant(WALL + HOUR), body=b"b%d" % number
    )


def peers(count: int) -> list[NodeId]:
    return [NodeId(bytes([i]) * 32) for i in range(1, count + 1)]


@dataclass
class Node:
    count: int
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        held, limits = Held(Limits()), Limits()
        gate = Gate(held, limits, admits=lambda _: True)
        self.machine = Machine(held=held, gate=gate, limits=limits, entropy=SeededEntropy(1, "machine"))
        for peer in peers(self.count):
            assert self.machine.met(peer) == [Compare(peer)]

    def sent(self) -> dict[NodeId, Push]:
        taken = {peer: self.machine.take(peer) for peer in self.machine.peers}
        return {peer: push for peer, push in taken.items() if push is not None}


def accepted(effects: list[Effect]) -> list[Item]:
    return [effect.entry.item for effect in effects if isinstance(effect, Accepted)]


def test_own_words_go_to_all_and_those_of_others_to_six() -> None:
    node, own, others = Node(30), item(1), item(2)
    node.machine.say(node.machine.held.prepare(own, own.item_id))
    assert set(node.sent()) == set(peers(30))
    source = peers(30)[0]
    assert accepted(node.machine.pushed(source, Push((others,), b"", 0), NOW)) == [others]
    assert len(to := node.sent()) == 6
    assert source not in to
    node.machine.beat(NOW)
    node.sent()
    third = item(3)
    node.machine.pushed(source, Push((third,), b"", 0), NOW)
    assert set(node.sent()) == set(node.machine.mesh.members) - {source}


def test_what_is_new_is_named_to_some_outside_the_mesh() -> None:
    node, (source, *_) = Node(30), peers(30)
    node.machine.beat(NOW)
    node.sent()
    news = item(1)
    node.machine.pushed(source, Push((news,), b"", 0), NOW)
    node.sent()
    assert node.machine.next_beat(NOW.at) == NOW.at + 1
    told = dict[NodeId, Push]()
    for beat in range(1, 4):
        node.machine.beat(Moment(NOW.at + beat, WALL))
        told |= node.sent()
    assert len(told) == 9  # three each time, always others
    assert not set(told) & set(node.machine.mesh.members)
    assert {push.has for push in told.values()} == {prefix_of(news.item_id)}
    assert node.machine.next_beat(NOW.at + 3) == float("inf")  # an idle node does not wake


def test_an_item_is_asked_of_the_next_one_when_the_first_breaks_its_promise() -> None:
    node, (liar, mute, honest) = Node(3), peers(3)
    wanted = item(1)
    name = prefix_of(wanted.item_id)
    assert node.machine.pushed(liar, Push((), name, 0), NOW) == [Fetch(liar, (name,))]
    assert node.machine.pushed(mute, Push((), name, 0), NOW) == []
    assert node.machine.pushed(honest, Push((), name, 0), NOW) == []
    assert node.machine.fetched(liar, [name], [], NOW) == [Fetch(mute, (name,))]
    assert node.machine.fetched(mute, [name], None, NOW) == [Fetch(honest, (name,))]
    effects = node.machine.fetched(honest, [name], [wanted], NOW)
    assert accepted(effects) == [wanted]
    assert Compare(honest) in effects  # who missed one thing may have missed more
    for _ in range(5):
        node.machine.pushed(liar, Push((), bytes(8), 0), NOW)
        node.machine.fetched(liar, [bytes(8)], [], NOW)
    assert node.machine.scores.of(liar, NOW.at) < 0 < node.machine.scores.of(honest, NOW.at)
    assert node.machine.scores.of(mute, NOW.at) == 0


def test_a_proof_of_fraud_overtakes_what_waits() -> None:
    node, (peer, _) = Node(2), peers(2)
    proof = make_item(AUTHOR, "proof", bytes(32), sequence=1, expires=Instant(WALL + HOUR), body=b"proof")
    for said in [item(i) for i in range(100)] + [proof]:
        node.machine.offer(peer, said, said.item_id)
    push = node.machine.take(peer)
    assert push is not None
    assert push.items[0] == proof


def test_garbage_costs_the_sender_and_goes_no_further() -> None:
    node, (source, *_) = Node(5), peers(5)
    good = item(1)
    forged = Item(good.topic, good.author, b"x", 1, good.expires, good.body, good.signature)
    effects = node.machine.pushed(source, Push((forged, good), b"", 0), NOW)
    assert accepted(effects) == [good]
    assert [type(effect) for effect in effects if not isinstance(effect, Drain)] == [Accepted, Wrong]
    assert node.machine.scores.of(source, NOW.at) <= 0
    assert all(push.items == (good,) for push in node.sent().values())


def test_who_asks_into_a_full_mesh_is_told_no_and_pays_for_asking_again() -> None:
    node = Node(5)
    *members, late = peers(5)
    for peer in members:  # who asks gets about half of the places
        assert node.machine.pushed(peer, Push((), b"", Bond.JOIN), NOW) == []
    for _ in range(6):
        assert node.machine.pushed(late, Push((), b"", Bond.JOIN), NOW) == [Drain(late)]
        assert node.machine.take(late) == Push((), b"", Bond.LEAVE)
    assert late not in node.machine.mesh
    assert node.machine.scores.of(late, NOW.at) < 0


def test_a_lost_push_is_made_good_by_comparing() -> None:
    node, (peer,) = Node(1), peers(1)
    own = item(1)
    node.machine.say(node.machine.held.prepare(own, own.item_id))
    assert node.machine.take(peer) is not None
    assert node.machine.unsent(peer, NOW, refused=False) == [Compare(peer)]
    assert node.machine.offer(peer, own, own.item_id) == [Drain(peer)]
    assert node.machine.unsent(peer, NOW, refused=True) == []
    assert node.machine.take(peer) is None
