"""At stake: a first backup must not wait a minute for a peer that has nothing to offer, nor overlook one that bids."""

from nanobarter.daemon.codes import BID_SECONDS, yet_to_bid
from tests.storage.vaults import signing


def test_a_peer_that_is_silent_for_long_is_waited_for_no_more() -> None:
    bidder, silent, fresh = (signing(name).node_id for name in ("bidder", "silent", "fresh"))
    met = {bidder: 0.0, silent: 0.0, fresh: 5.0}
    assert yet_to_bid([bidder, silent, fresh], {bidder}, met, 1.0) == {silent, fresh}
    assert yet_to_bid([bidder, silent, fresh], {bidder}, met, BID_SECONDS) == {fresh}
    assert yet_to_bid([bidder], set(), met, BID_SECONDS + 5) == set()
