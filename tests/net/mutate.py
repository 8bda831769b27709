"""Hostile bytes for decoders: good ones with a few changes, parts of others, and plain noise."""

import random
from collections.abc import Sequence

_MAX = 20_000
# Where decoders of lengths and numbers are weak: edges of the header sizes of MessagePack and of our own frames.
_EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000, 0x10001, 0x7FFFFFFF, 0xFFFFFFFF]
# MessagePack: deep arrays, huge lengths, extension types, not-a-number, a map with two equal keys, negative numbers.
_BITS = [
    b"\x91" * 600,
    b"\xdd\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdf\x00\xff\xff\xff",
    b"\xc7\x08\x01" + bytes(8),
    b"\xcb\x7f\xf8" + bytes(6),
    b"\x82\xa1a\x01\xa1a\x01",
    b"\xd3\x80" + bytes(7),
    b"\xc1",
    b"\xd9\x02\xff\xfe",
]


def mutate(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """Return a hostile relative of one of the given inputs."""
    if rng.random() < 0.02:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
        _change(rng, data, corpus)
    return bytes(data[:_MAX])


def _change(rng: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    match rng.randrange(8):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1 if data:
            data[at % len(data)] = rng.randrange(256)
        case 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 3:
            del data[at : at + rng.randrange(1, 9)]
        case 4:
            del data[at:]
        case 5:
            other = rng.choice(corpus)
            cut = rng.randrange(len(other) + 1)
            data[at:at] = other[cut : cut + rng.randrange(64)]
        case 6:
            width = rng.choice([1, 2, 4])
            data[at : at + width] = (rng.choice(_EDGES) & (256**width - 1)).to_bytes(width, "big")
        case _:
            data[at:at] = rng.choice(_BITS)
