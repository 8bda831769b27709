"""A router's word must be read exactly: a wrong port told to others makes a node deaf, and routers answer anything."""

import struct

import pytest

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.net.natpmp import Mapping, ask_external, ask_map, read_external, read_map

EXTERNAL = struct.pack(">BBHI4s", 0, 128, 0, 7, bytes([8, 8, 4, 4]))
MAPPED = struct.pack(">BBHIHHI", 0, 130, 0, 7, 4773, 50_000, 3600)


def test_requests_and_answers_have_the_bytes_of_the_standard() -> None:
    assert ask_external() == b"\x00\x00"
    assert ask_map(4773, 7200).hex() == "0002000012a512a500001c20"
    assert read_external(EXTERNAL) == "8.8.4.4"
    assert read_map(MAPPED, 4773) == Mapping(50_000, 3600)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Malformed),
        (EXTERNAL[:-1], Malformed),
        (b"\x01" + EXTERNAL[1:], Malformed),
        (EXTERNAL[:1] + b"\x82" + EXTERNAL[2:], Malformed),
        (EXTERNAL[:2] + b"\x00\x02" + EXTERNAL[4:], Unreachable),
        (EXTERNAL[:8] + bytes([192, 168, 1, 1]), Unreachable),  # a router behind a router
        (EXTERNAL[:8] + bytes([100, 64, 0, 1]), Unreachable),  # a provider's NAT (RFC 6598)
    ],
)
def test_what_is_no_address_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_external(data)


def test_a_mapping_of_another_port_or_none_is_refused() -> None:
    with pytest.raises(Malformed):
        read_map(MAPPED, 4774)
    with pytest.raises(Malformed):
        read_map(MAPPED[:10] + b"\x00\x00" + MAPPED[12:], 4773)
