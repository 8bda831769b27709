"""``python -m tests.net.fuzz --runs N --seed S``: hostile bytes for every decoder of the network and for its machine.

The law: a value or the decoder's own complaint, nothing else; frames are the same whether bytes come whole or one by
one; whoever breaks a rule of the connection is blamed, and nothing grows. Every hundredth input also comes byte by
byte. The last line is one JSON object; exit 1 when a law was broken, which each line before tells by its seed.
"""

import argparse
import gc
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import trio
import trio.testing

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, Unreachable, UsageError
from nanobarter.core.ids import Hash
from nanobarter.core.item import Item
from nanobarter.gossip.ids import IdSet
from nanobarter.gossip.messages import CompareAnswer, CompareRequest, FetchRequest
from nanobarter.gossip.reconcile import Comparison, answer, named
from nanobarter.net import pcp
from nanobarter.net.address import parse_address
from nanobarter.net.beacon import read_beacon
from nanobarter.net.certificates import key_of_certificate
from nanobarter.net.circle import parse_invitation
from nanobarter.net.dht.wire import Sealed
from nanobarter.net.frames import FrameDecoder, Message
from nanobarter.net.natpmp import read_external, read_map
from nanobarter.net.records import open_record
from nanobarter.net.relay import read_id
from nanobarter.net.socks import parse_proxy
from nanobarter.net.stream import read_failed
from tests.net.dht.test_vectors import PATH as TABLE_PATH
from tests.net.fuzz_machine import FRAMES, talk
from tests.net.mutate import mutate
from tests.net.test_pcp import MAPPED
from tests.net.test_vectors import PATH, RECORDS

Target = Callable[[bytes], bool]
"""Takes one input: True when it was taken for good, False when it was refused as it should be; else it raises."""

EVERY_BYTE = 100
GROWTH_KB_MAX = 16 * 1024


def _record(kind: type[Record], data: bytes) -> bool:
    try:
        value = decode(data, kind, size_max=1 << 20)
        if isinstance(value, Item) and value.topic == "node":
            open_record(value)
    except Malformed:
        return False
    assert encode(value) == data
    return True


def _frames(data: bytes) -> bool:
    def feed(pieces: Sequence[bytes]) -> tuple[list[Message], bool]:
        decoder, messages = FrameDecoder(200_000, first_max=4096), list[Message]()
        try:
            for piece in pieces:
                messages += decoder.feed(piece)
        except Malformed:
            return messages, False
        return messages, True

    whole = feed([data])
    if len(data) % EVERY_BYTE == 0:
        single = feed([data[i : i + 1] for i in range(len(data))])
        assert single[1] == whole[1]
        assert not whole[1] or single == whole
    return whole[1]


def _certificate(data: bytes) -> bool:
    try:
        key_of_certificate(data)
    except Malformed:
        return False
    return True


def _failed(data: bytes) -> bool:
    try:
        read_failed(data)
    except Malformed:
        return False
    return True


def _beacon(data: bytes) -> bool:
    try:
        read_beacon(data)
    except Malformed:
        return False
    return True


def _relay(data: bytes) -> bool:
    try:
        read_id(data)
    except Malformed:
        return False
    return True


def _datagram(data: bytes) -> bool:
    try:
        Sealed(data).is_genuine()
    except Malformed:
        return False
    return True


def _router(data: bytes) -> bool:
    try:
        if len(data) > len(ROUTER[1]):
            pcp.is_older(data)
            pcp.read_map(data, 4773, ROUTER[2][24:36])
        elif len(data) == len(ROUTER[0]):
            read_external(data)
        else:
            read_map(data, 4773)
    except (Malformed, Unreachable):
        return False
    return True


def _compared(kind: type[Record], data: bytes) -> bool:
    """Let the comparing sides work on what they read, with a book of their own."""
    try:
        said = decode(data, kind, size_max=1 << 20)
        if isinstance(said, CompareRequest):
            answer(BOOK, said)
        elif isinstance(said, FetchRequest):
            for wanted in said.lists:
                named(BOOK, said.salt, wanted)
        elif isinstance(said, CompareAnswer):
            comparison = Comparison(BOOK, bytes(8))
            comparison.question()
            comparison.take(said)
            comparison.question()
    except Malformed:
        return False
    return True


def _text(parse: Callable[[str], object], data: bytes) -> bool:
    try:
        parse(data.decode("utf-8", "replace"))
    except (UsageError, Malformed):
        return False
    return True


def _book() -> IdSet:
    made = IdSet()
    for number in range(200):
        made.add(Hash(sha256(str(number).encode()).digest()))
    return made


BOOK = _book()
ROUTER = [bytes.fromhex("008000000000000108080808"), bytes.fromhex("008200000000000112a512a500001c20"), MAPPED]
"""A router's good answers: its outer address, and a forwarded port in the older and the newer way."""


def targets() -> dict[str, tuple[Target, list[bytes]]]:
    """Return each decoder with good inputs to begin with."""
    known = json.loads(Path(PATH).read_text())
    bodies = [bytes.fromhex(text) for text in known["bodies"].values()]
    made: dict[str, tuple[Target, list[bytes]]] = {
        f"record {name}": (partial(_record, type(record)), [encode(record), *bodies])
        for name, record in RECORDS.items()
    }
    line = b"nbi1AAAAAJPEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAkZKpMTI3LjAuMC4xAcQQAAAAAAAAAAAAAAAAAAAAAAE"
    made |= {
        f"compared {name}": (partial(_compared, type(RECORDS[name])), [encode(RECORDS[name]), *bodies])
        for name in ("compare request", "compare answer", "fetch request")
    }
    table = json.loads(TABLE_PATH.read_text())
    made |= {
        "datagram": (_datagram, [bytes.fromhex(text) for text in table.values()]),
        "router": (_router, ROUTER),
        "frames": (_frames, FRAMES),
        "certificate": (_certificate, [bytes.fromhex(text) for text in known["certificates"].values()]),
        "failed": (_failed, bodies),
        "beacon": (_beacon, [bytes.fromhex(text) for text in known["datagrams"].values()]),
        "relay": (_relay, [encode(bytes(32)), encode(bytes(31)), *bodies]),
        "proxy": (partial(_text, parse_proxy), [b"socks5://ada:word@127.0.0.1:9050", b"socks5h://[::1]:1/"]),
        "address": (partial(_text, parse_address), [b"192.0.2.1:7070", b"[::1]:1", b"example.org:65535"]),
        "invitation": (partial(_text, parse_invitation), [line]),
    }
    return made


def rss_kb() -> int:
    """Return the resident memory of this process now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


async def campaign(runs: int, seed: int, tell: Callable[[str], None]) -> dict[str, object]:
    """Do so many inputs, a quarter of them to the connection machine; return the figures."""
    made, counts, failures, grown = targets(), Counter[str](), list[str](), 0
    names, warm = list(made), 0
    for number in range(runs):
        rng = random.Random(f"{seed} {number}")
        if number == runs // 5:
            warm = rss_kb()
        name = "machine" if number % 4 == 0 else names[number % len(names)]
        try:
            if name == "machine":
                counts[await talk(rng, byte_by_byte=number % EVERY_BYTE == 0)] += 1
                continue
            target, corpus = made[name]
            counts["taken" if target(mutate(rng, corpus)) else "refused"] += 1
        except Exception as error:  # noqa: BLE001 - the law is that there is none
            failures.append(f"{number}: {name}: {type(error).__name__}: {error}")
            tell(failures[-1])
    grown = rss_kb() - warm
    single = len(range(0, runs, EVERY_BYTE))
    told: dict[str, object] = {
        "type": "net_fuzz",
        "runs": runs,
        "byte_by_byte": single,
        "seed": seed,
        **counts,
        "grown_kb": grown,
    }
    return {**told, "ok": not failures and grown < GROWTH_KB_MAX, "failures": failures[:20]}


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.net.fuzz")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    clock = trio.testing.MockClock(autojump_threshold=0)
    figures = trio.run(campaign, asked.runs, asked.seed, partial(print, flush=True), clock=clock)
    print(json.dumps(figures))  # noqa: T201 - the line that other programs read
    return 0 if figures["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
