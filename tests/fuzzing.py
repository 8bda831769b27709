"""Fuzzing of decoders, whatever they read: good messages, mutations of them, and the command that runs a campaign."""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.errors import Malformed

SIGNED: Final = 20  # one of so many is signed again after its mutation, so that what lies behind a signature is read
PROGRESS: Final = 50_000

Reader = Callable[[bytes], object]


@dataclass(frozen=True)
class Sample:
    """A good message, and who reads it. ``text`` is for people, and is refused with UsageError."""

    name: str
    data: bytes
    read: Reader
    resign: Callable[[bytes], bytes] | None = None


# First bytes of each family of MessagePack, and lengths and depths that nobody can mean.
_HEADS: Final = bytes.fromhex("00 7f 80 90 a0 c0 c1 c4 c7 ca cb cf d3 d9 dc e0 ff")
_BOMBS: Final = (*(bytes([head]) + b"\xff" * 4 for head in (0xC6, 0xDB, 0xDD, 0xDF)), b"\x91" * 2000)


def mutate(data: bytes, luck: random.Random, others: tuple[Sample, ...]) -> bytes:
    """Return the bytes with one to four changes; now and then with none."""
    mutated = bytearray(data)
    for _ in range(luck.choice((0, 1, 1, 1, 1, 2, 3, 4))):
        at, what = luck.randrange(len(mutated) + 1), luck.randrange(9)
        end = min(len(mutated), at + luck.choice((1, 1, 2, 4, 16, 64)))
        if what == 0 and at < len(mutated):
            mutated[at] ^= 1 << luck.randrange(8)
        elif what == 1 and at < len(mutated):
            mutated[at] = luck.choice(_HEADS)
        elif what == 2:
            mutated[at:at] = luck.randbytes(luck.choice((1, 2, 8)))
        elif what == 3:
            del mutated[at:end]
        elif what == 4:
            del mutated[at:]
        elif what == 5:
            mutated[at:at] = mutated[at:end]
        elif what == 6:
            other = luck.choice(others).data
            start = luck.randrange(len(other))
            mutated[at:end] = other[start : start + end - at]
        elif what == 7:
            mutated[at:end] = luck.choice(_BOMBS)
        else:
            mutated[at:end] = luck.choice((b"\x00", b"\xff")) * (end - at)
    return bytes(mutated)


def outcome(read: Reader, data: bytes) -> object:
    """Return the value, or None for Malformed. Anything else is raised."""
    try:
        return read(data)
    except Malformed:
        return None


@dataclass
class Told:
    """What a campaign came to."""

    messages: int = 0
    values: Counter[str] = field(default_factory=Counter[str])
    framed: int = 0
    faults: list[str] = field(default_factory=list[str])


One = Callable[[str, int, Told], None]
"""Mutates and reads the message of a seed and a number, and notes in Told what must not be."""


def campaign(one: One, seed: str, first: int, runs: int, progress: Callable[[Told], None]) -> Told:
    """Read so many mutated messages; ``one`` mutates and reads that of a number."""
    told = Told()
    for number in range(first, first + runs):
        one(seed, number, told)
        if told.messages % PROGRESS == 0:
            progress(told)
    return told


def command(name: str, about: str | None, one: One, more: Callable[[Told], dict[str, object]]) -> int:
    """Run the campaign of a part that the command line asks for; return 0 only when nothing was wrong.

    The last line is one JSON object, to which ``more`` adds what only this part counts.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.{name}.fuzz", description=about)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", default="1")
    asked = parser.parse_args()
    began = time.monotonic()

    def progress(told: Told) -> None:
        seconds = time.monotonic() - began
        print(f"{told.messages} messages, {len(told.faults)} faults, {seconds:.0f} s", file=sys.stderr, flush=True)  # noqa: T201

    told = campaign(one, asked.seed, asked.first, asked.runs, progress)
    for fault in told.faults[:20]:
        print(fault, file=sys.stderr)  # noqa: T201 - the report
    counted = {"messages": told.messages, **more(told), "values": sum(told.values.values()), "faults": len(told.faults)}
    print(json.dumps({"type": f"{name}_fuzz", "seed": asked.seed, **counted}))  # noqa: T201 - the report
    return 1 if told.faults else 0
