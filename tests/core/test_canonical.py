"""Two encodings of one value would let a signature mean two things."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.item import ITEM_MAX, Item, check_item, make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant

KEY = SigningKey(bytes(range(32)))
ITEM = make_item(KEY, "bid", b"k" * 16, sequence=3, expires=Instant(1_700_000_000_000), body=b"body")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        item = decode(data, Item, size_max=ITEM_MAX)
    except Malformed:
        return
    assert encode(item) == data


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_no_single_changed_byte_keeps_an_item_valid(place: int, value: int) -> None:
    data = bytearray(encode(ITEM))
    place %= len(data)
    if data[place] == value:
        return
    data[place] = value
    with pytest.raises(Malformed):
        check_item(decode(bytes(data), Item, size_max=ITEM_MAX))


def test_a_longer_form_of_the_same_integer_is_refused() -> None:
    with pytest.raises(Malformed, match="canonical"):
        decode(b"\xcc\x01", int, size_max=10)


def test_bounds_ride_on_the_types() -> None:
    good = encode(("x" * 0 or b"\x01" * 32, "30d"))
    assert decode(good, Quality, size_max=100).kind == "30d"
    for kind in ("0d", "30d\n", "30", "30000d"):
        with pytest.raises(Malformed):
            decode(encode((b"\x01" * 32, kind)), Quality, size_max=100)
    with pytest.raises(Malformed):
        decode(encode((b"\x01" * 31, "30d")), Quality, size_max=100)
    with pytest.raises(Malformed, match="at most"):
        decode(good, Quality, size_max=10)
