"""Ten thousand identities at few addresses must not push out of the book those that a node knows to be good."""

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant
from nanobarter.net.address import Address
from nanobarter.net.crowds import Crowds, network_of
from nanobarter.net.peers import PeerBook
from tests.net.nodes import key

LIMITS = Limits(known_peers_max=200, strangers_per_network_max=8, familiar_per_network_max=2)
NOW = Instant(1_800_000_000_000)


def node(number: int) -> NodeId:
    return NodeId(sha256(number.to_bytes(4, "big")))


def test_a_flood_from_few_addresses_pushes_out_itself() -> None:
    book = PeerBook(key(1).node_id, LIMITS)
    good, strangers = [node(number) for number in range(50)], [node(number) for number in range(50, 100)]
    for number, known in enumerate(good):
        book.met(known, key(2).public, NOW, Address(f"8.8.{number}.1", 4773))
    for number, stranger in enumerate(strangers):
        book.learn(stranger, Address(f"9.9.{number}.1", 4773))
    for number in range(1000, 11_000):
        at = Address(f"6.6.{number % 4}.{number % 200}", 1 + number % 60_000)
        match number % 3:
            case 0:
                book.met(node(number), key(3).public, Instant(NOW + number), at)
            case 1:
                book.met(node(number), key(3).public, Instant(NOW + number), None)
            case _:
                book.learn(node(number), at)
        assert len(book.nodes()) <= LIMITS.known_peers_max
    assert all(known in book and book.is_familiar(known) for known in good)
    assert all(stranger in book and book.is_placed(stranger) for stranger in strangers)
    flood = [number for number in range(1000, 11_000) if node(number) in book]
    assert sum(book.is_placed(node(number)) for number in flood) <= 4 * (8 + 2)


def test_what_is_one_network() -> None:
    assert network_of(Address("8.8.8.8", 1)) == network_of(Address("8.8.8.9", 2)) != network_of(Address("8.8.9.8", 1))
    assert network_of(Address("2a00::1", 1)) == network_of(Address("2a00:0:0:1::", 1))
    assert network_of(Address("2a00::1", 1)) != network_of(Address("2a00:0:1::1", 1))
    assert network_of(Address("10.0.0.1", 1)) == network_of(Address("127.0.0.1", 1))
    assert network_of(Address("Example.org", 1)) == network_of(Address("example.org", 2))


@given(st.lists(st.tuples(st.sampled_from("pmd"), st.integers(0, 8), st.integers(0, 3))))
def test_nobody_is_counted_twice_or_for_ever(steps: list[tuple[str, int, int]]) -> None:
    crowds, kept = Crowds(LIMITS), set[NodeId]()
    for what, who, where in steps:
        at = Address(f"8.8.{where}.1", 1)
        if what == "p":
            crowds.put(node(who), at if where else None)
            kept.add(node(who))
        elif what == "m" and node(who) in kept:
            crowds.make_familiar(node(who), at)
        elif what == "d":
            crowds.drop(node(who))
            kept.discard(node(who))
    weak = set[NodeId]()
    while (weakest := crowds.weakest()) is not None:
        weak.add(weakest)
        crowds.drop(weakest)
    assert weak | {one for one in kept if crowds.is_familiar(one)} == kept
    assert not any(crowds.is_familiar(one) for one in weak)
