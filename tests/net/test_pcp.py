"""A router's word must be read exactly: a wrong port told to others makes a node deaf, and routers answer anything."""

import struct

import pytest

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.net.address import Address
from nanobarter.net.pcp import ask_map, is_older, read_map

NONCE = bytes(range(12))
MAPPED = struct.pack(
    ">BBBBII12x12sB3xHH16s", 2, 129, 0, 0, 3600, 7, NONCE, 6, 4773, 50_000, bytes(10) + b"\xff\xff\x08\x08\x04\x04"
)


def test_a_request_and_its_answer_have_the_bytes_of_the_standard() -> None:
    asked = ask_map("192.168.1.2", 4773, 7200, NONCE)
    assert (
        asked.hex()
        == (
            "0201000000001c20" + "00000000000000000000ffffc0a80102"  # version, MAP, lifetime; our address
            "000102030405060708090a0b" + "06000000" + "12a512a5" + "00000000000000000000ffff00000000"
        )
    )
    assert len(asked) == 60
    assert read_map(MAPPED, 4773, NONCE) == (Address("8.8.4.4", 50_000), 3600)
    assert read_map(MAPPED + bytes(8), 4773, NONCE)[1] == 3600, "options that nobody asked for"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Malformed),
        (MAPPED[:-1], Malformed),
        (MAPPED + bytes(1100), Malformed),
        (b"\x03" + MAPPED[1:], Malformed),
        (MAPPED[:1] + b"\x01" + MAPPED[2:], Malformed),  # a request, not an answer
        (MAPPED[:24] + bytes(12) + MAPPED[36:], Malformed),  # somebody else's
        (MAPPED[:36] + b"\x11" + MAPPED[37:], Malformed),  # of UDP
        (MAPPED[:40] + b"\x00\x01" + MAPPED[42:], Malformed),  # of another port
        (MAPPED[:42] + b"\x00\x00" + MAPPED[44:], Malformed),
        (MAPPED[:4] + bytes(4) + MAPPED[8:], Malformed),  # for no time at all
        (MAPPED[:44] + bytes(16), Malformed),  # of IPv6
        (MAPPED[:3] + b"\x02" + MAPPED[4:], Unreachable),
        (MAPPED[:3] + b"\x63" + MAPPED[4:], Unreachable),
        (MAPPED[:56] + bytes([192, 168, 1, 1]), Unreachable),  # a router behind a router
        (MAPPED[:56] + bytes([100, 64, 0, 1]), Unreachable),  # a provider's NAT (RFC 6598)
    ],
)
def test_what_is_no_mapping_of_ours_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_map(data, 4773, NONCE)


@pytest.mark.parametrize(
    ("data", "older"),
    [
        (bytes.fromhex("0081000100000007"), True),  # NAT-PMP's refusal of the version (RFC 6886, 3.5)
        (b"\x01" + b"\x81\x00\x01" + bytes(20), True),  # another PCP's
        (MAPPED, False),
        (MAPPED[:3] + b"\x02" + MAPPED[4:], False),
        (b"", False),
    ],
)
def test_a_router_that_knows_only_the_older_way_is_told_from_one_that_says_no(data: bytes, *, older: bool) -> None:
    assert is_older(data) is older
