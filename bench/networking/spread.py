"""Gossip among a thousand nodes in virtual time, and what comparing two books costs."""

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import replace

from bench.figure import Figure
from nanobarter.core.canonical import encode
from nanobarter.core.ids import Hash
from nanobarter.gossip.ids import IdSet
from nanobarter.gossip.reconcile import Comparison, answer
from nanobarter.sim.gossiping import ATTACK, Plan, Spread, run

_ITEMS = 10_000
_DIFFERENT = 20
_RUNS = 10


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Measure and yield the figures of gossip and of comparing."""
    plan = Plan(nodes=200 if quick else 1000, items=10 if quick else 40)
    begun = time.process_time()
    calm = run(plan, 1)
    spent = time.process_time() - begun
    storm = run(replace(plan, killed=ATTACK.killed, silent=ATTACK.silent, loss=ATTACK.loss), 1)
    note = (
        f"{plan.nodes} nodes in virtual time, {plan.items} items of about 600 bytes, one way 10 to 100 ms, 10 Mbit/s up"
    )
    yield Figure("gossip.p50_ms", calm.p50_ms, "ms", note)
    yield Figure("gossip.p99_ms", calm.p99_ms, "ms", note)
    yield from _stormy(storm)
    yield Figure("gossip.bytes_per_byte", calm.bytes_per_byte, "", f"{note}; TCP/IP not counted", ("gossipsub", 6.3))
    yield Figure("gossip.bytes_per_byte_attack", storm.bytes_per_byte, "", "with what the mute ones were sent")
    yield Figure("gossip.reach", calm.reach, "", "of all honest nodes within 60 s")
    yield Figure("gossip.sim_cpu_s_1000", spent, "s", f"{plan.nodes} nodes, {calm.events} events")
    yield from _comparing()


def _stormy(storm: Spread) -> Iterator[Figure]:
    note = "30 % killed at once, 20 % mute in everybody's mesh, 5 % of packets lost (TCP repeats)"
    yield Figure("gossip.p99_ms_attack", storm.p99_ms, "ms", note)
    yield Figure("gossip.reach_attack", storm.reach, "", "of all honest survivors within 60 s")


def _comparing() -> Iterator[Figure]:
    sizes, rounds, spans = list[int](), list[int](), list[float]()
    for number in range(_RUNS):
        ids = [Hash(hashlib.sha256(f"{number} {i}".encode()).digest()) for i in range(_ITEMS + _DIFFERENT // 2)]
        random.Random(number).shuffle(ids)
        ours, theirs = _set(ids[_DIFFERENT // 2 :]), _set(ids[:_ITEMS])
        begun = time.process_time()
        comparison, size, count = Comparison(ours, number.to_bytes(8, "big")), 0, 0
        while (question := comparison.question()) is not None:
            said = answer(theirs, question)
            comparison.take(said)
            size, count = size + len(encode(question)) + len(encode(said)), count + 1
        spans.append(time.process_time() - begun)
        sizes.append(size)
        rounds.append(count)
    note = f"{_ITEMS} ids, {_DIFFERENT} different, mean of {_RUNS}"
    yield Figure("reconcile.bytes", sum(sizes) / _RUNS, "B", note)
    yield Figure("reconcile.round_trips", max(rounds), "", f"{note}: the most; fetching the items is one more")
    yield Figure("reconcile.cpu_ms", sum(spans) / _RUNS * 1000, "ms", "both sides")


def _set(ids: list[Hash]) -> IdSet:
    made = IdSet()
    for item_id in sorted(ids):
        made.add(item_id)
    return made
