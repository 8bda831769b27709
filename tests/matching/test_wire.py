"""Two releases that read a bid differently trade at a price one of them never saw; its bytes are fixed."""

import json
from pathlib import Path
from typing import Any

import pytest

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.matching.wire import BidBody, Want

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "matching-wire.json").read_text())
KIND = LeaseKind("90d")
A, B, C = (NodeId(bytes([i]) * 32) for i in (1, 2, 3))
BODIES = {
    "limit_exact": BidBody("limit", Quality(A, KIND), Want(KIND, B, (), ()), (3, 2), Quantity(100), None),
    "asks_its_owner": BidBody(
        "limit", Quality(A, KIND), Want(KIND, B, (), ()), (3, 2), Quantity(100), None, Quantity(0)
    ),
    "best_any_issuer": BidBody(
        "best", Quality(A, KIND), Want(KIND, None, (B,), ((C, (1, 2)),)), (1, 1), Quantity(2**60), (4, 1)
    ),
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_bid_keeps_its_bytes(name: str) -> None:
    data = bytes.fromhex(VECTORS["accepted"][name])
    assert encode(BODIES[name]) == data
    assert decode(data, BidBody, size_max=8192) == BODIES[name]


@pytest.mark.parametrize("name", sorted(VECTORS["refused"]))
def test_a_wrong_bid_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        decode(bytes.fromhex(VECTORS["refused"][name]), BidBody, size_max=8192)
