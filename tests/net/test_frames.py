"""Frames come from strangers: a value or Malformed, nothing else, and the same whether whole or byte by byte."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.net.frames import HEADER_BYTES, PART_BYTES, FrameDecoder, Kind, Message, encode_message, frames_of
from nanobarter.net.messages import Request, read_request, request_parts
from nanobarter.net.outbox import Outbox

MAX = 4 * PART_BYTES
kinds = st.sampled_from([kind for kind in Kind if kind is not Kind.PART])
sizes = st.one_of(
    st.integers(0, 50), st.sampled_from([PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, MAX])
)


def message_of(kind: Kind, number: int, size: int) -> Message:
    return Message(kind, number, bytes([number % 251]) * size)


messages = st.builds(message_of, kinds, st.integers(0, 2**32 - 1), sizes).filter(
    lambda message: message.kind is not Kind.CANCEL or len(message.body) <= PART_BYTES  # a long one gives itself up
)


def run(data: bytes, cuts: list[int]) -> tuple[list[Message], bool]:
    """Return the messages, and whether the decoder took all the bytes."""
    decoder, found = FrameDecoder(MAX, first_max=1000), list[Message]()
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        try:
            found += decoder.feed(data[start:end])
        except Malformed:
            return found, False
    return found, True


@given(st.lists(messages, max_size=5), st.randoms(use_true_random=False))
def test_what_was_encoded_comes_back_however_it_is_cut(sent: list[Message], rng: random.Random) -> None:
    data = b"".join(frame for message in sent for frame in encode_message(*message))
    decoder, found = FrameDecoder(MAX), list[Message]()
    while data:
        cut = rng.choice([1, 9, 10, 1000, 70_000])
        found += decoder.feed(data[:cut])
        data = data[cut:]
    assert found == sent


def hostile(rng: random.Random) -> bytes:
    """Return frames of which some fields are wrong, and noise."""
    data = bytearray()
    for _ in range(rng.randrange(4)):
        body = rng.randbytes(rng.choice([0, 1, 30]))
        length = rng.choice([len(body), len(body), len(body), 2**32 - 1, rng.randrange(70_000)])
        kind, number = rng.choice([*Kind, *Kind, 0, 16, 255]), rng.choice([0, 1, 2, 2**32 - 1])
        data += length.to_bytes(4, "big") + bytes([kind]) + number.to_bytes(4, "big") + body
    return bytes(data) if rng.random() < 0.8 else rng.randbytes(rng.randrange(40))


def test_hostile_bytes_give_the_same_whole_and_byte_by_byte() -> None:
    rng = random.Random(7)
    for _ in range(3000):
        data = hostile(rng)
        whole, bytewise = run(data, []), run(data, list(range(1, len(data))) if data else [])
        assert whole[1] == bytewise[1]
        if whole[1]:
            assert whole == bytewise


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xff\xff\xff\x03\x00\x00\x00\x01", "at most"),
        (b"\x00\x00\x00\x01\x00\x00\x00\x00\x01", "unknown kind"),
        (b"\x00\x00\x00\x01\x10\x00\x00\x00\x01", "unknown kind"),
        (b"\x00\x00\x00\x01\x02\x00\x00\x00\x01", "a part of 1"),
    ],
)
def test_a_header_is_judged_before_its_body_arrives(data: bytes, why: str) -> None:
    assert len(data) == HEADER_BYTES
    with pytest.raises(Malformed, match=why):
        FrameDecoder(MAX).feed(data)


def test_unfinished_messages_are_bounded_in_count_and_size() -> None:
    def part(number: int) -> bytes:
        return encode_message(Kind.DATA, number, bytes(PART_BYTES + 1))[0]

    with pytest.raises(Malformed, match="too many unfinished"):
        FrameDecoder(MAX).feed(part(1) + part(3) + part(5))
    with pytest.raises(Malformed, match="more than"):
        FrameDecoder(MAX).feed(part(1) * 4)


def test_the_first_message_of_a_stranger_is_short() -> None:
    hello, request = encode_message(Kind.HELLO, 0, bytes(100)), encode_message(Kind.REQUEST, 1, bytes(200))
    assert len(FrameDecoder(MAX, first_max=100).feed(hello[0] + request[0])) == 2
    with pytest.raises(Malformed):
        FrameDecoder(MAX, first_max=100).feed(request[0])


async def test_control_passes_between_the_parts_of_a_bulk_message() -> None:
    outbox = Outbox()
    outbox.add(frames_of(Kind.ANSWER, 1, bytes(2**20)), bulk=True)
    first = await outbox.wait_next()
    outbox.add(frames_of(Kind.PING, 0), bulk=False)
    second = await outbox.wait_next()
    assert len(first) < 2**20 / 2
    assert second[4] == Kind.PING


def test_a_long_request_is_read_as_its_canonical_bytes_and_no_other_way() -> None:
    request = Request("t.x", 1000, True, bytes(70_000))
    head, rest = request_parts("t.x", 1000, bulk=True, body=request.body)
    data = head + rest
    assert data == encode(request)
    long = Request("t.x", 1000, True, bytes(200_000))
    assert read_request(encode(long)) == long
    frames = frames_of(Kind.REQUEST, 1, *request_parts("t.x", 1000, bulk=True, body=long.body))
    assert b"".join(piece for frame in frames for piece in frame) == b"".join(
        encode_message(Kind.REQUEST, 1, encode(long))
    )
    good = encode(long)
    wide_timeout = good.replace(b"\xcd\x03\xe8", b"\xce\x00\x00\x03\xe8", 1)  # the same number in a longer form
    for bad in (wide_timeout, good + b"\x00", good[:-1], b"\xdc\x00\x04" + good[1:]):
        with pytest.raises(Malformed):
            read_request(bad)
