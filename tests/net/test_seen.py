"""At stake: many names on one line must count as one place, whatever each says of where it is."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.limits import LIMITS
from nanobarter.core.units import Instant
from nanobarter.net.address import Address, public_host
from nanobarter.net.doors import seen_at
from nanobarter.net.peers import PeerBook
from tests.net.nodes import key

NOW = Instant(1_800_000_000_000)


@given(st.one_of(st.ip_addresses().map(str), st.text(max_size=20)))
def test_only_what_the_whole_internet_knows_tells_where_a_peer_is(host: str) -> None:
    found = public_host(host)
    assert not found or (ip_address(found).is_global and public_host(found) == found)


def test_names_and_private_networks_tell_nothing_and_a_mapped_number_is_that_number() -> None:
    for host in (
        "",
        "home.example",
        "relay 00ff",
        "127.0.0.1",
        "::1",
        "192.168.1.7",
        "100.64.0.1",
        "fe80::1",
        "10.0.0.9",
    ):
        assert public_host(host) == ""
    assert public_host("::ffff:8.8.8.8") == public_host("8.8.8.8") == "8.8.8.8"
    assert public_host("2600::1") == "2600::1"


def test_a_relay_and_a_proxy_do_not_make_all_their_peers_one() -> None:
    assert [seen_at("8.8.8.8", path, hidden=False) for path in ("in", "out met", "relay")] == ["8.8.8.8", "8.8.8.8", ""]
    assert seen_at("8.8.8.8", "out", hidden=True) == ""


def test_where_a_peer_was_seen_is_kept_until_it_is_seen_elsewhere() -> None:
    book, peer = PeerBook(key(1).node_id, LIMITS), key(2)
    book.met(peer.node_id, peer.public, NOW, Address("a.example", 1), "8.8.8.8")
    book.met(peer.node_id, peer.public, NOW, None)  # over a relay
    known = book.get(peer.node_id)
    assert known is not None
    assert known.seen == "8.8.8.8"
    book.met(peer.node_id, peer.public, NOW, None, "9.9.9.9")
    assert known.seen == "9.9.9.9"
