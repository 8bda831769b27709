"""Rings between real services over real TLS, a process per party: RING-COMMIT and a sequential hash-lock ring.

Each process runs the daemon's own store, transport, mint, wallet and swap; gossip, matching and storage are left out,
since a ring begins with its proposal. A ring is over when the last party has its notes in its wallet. Both protocols
run in the same processes, turn by turn, so their ratio hangs less on the machine than the figures do.
"""

import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.figure import Figure
from bench.rings.node import LOT, PARTIES_MAX

_WAIT_SECONDS: Final = 120.0
_HOWS: Final = ("commit", "hashlock")
_SLOTS: Final = 8  # rings of one proposer at once; each takes another of its bids
_BUSY_PARTIES: Final = 3
_FAR_SECONDS: Final = 0.1


class _Parties:
    """The processes, and what they say."""

    def __init__(self, folder: Path) -> None:
        self._said: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        self._names = 0
        command = [sys.executable, "-m", "bench.rings.node"]
        self._processes = [
            subprocess.Popen([*command, str(i), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for i in range(PARTIES_MAX)
        ]
        for number in range(PARTIES_MAX):
            threading.Thread(target=self._listen, args=(number,), daemon=True).start()

    def meet(self) -> None:
        """Wait until all are there and connected to each other."""
        ports = dict(self._wait("ready") for _ in self._processes)
        for number in ports:
            self._ask(number, peers=[other for other in ports.items() if other[0] < number])
        for _ in ports:
            self._wait("met")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _listen(self, number: int) -> None:
        stdout = self._processes[number].stdout
        assert stdout is not None  # noqa: S101 - asked for above
        for line in stdout:
            self._said.put((number, json.loads(line)))

    def _ask(self, number: int, **what: object) -> None:
        stdin = self._processes[number].stdin
        assert stdin is not None  # noqa: S101 - asked for above
        stdin.write(json.dumps(what) + "\n")
        stdin.flush()

    def _wait(self, word: str) -> tuple[int, Any]:
        while True:
            number, said = self._said.get(timeout=_WAIT_SECONDS)
            if word in said:
                return number, said[word]

    def move(self, delay: float) -> None:
        """Let all be so many seconds of round trip further away from each other."""
        for number in range(PARTIES_MAX):
            self._ask(number, delay=delay)
        for _ in range(PARTIES_MAX):
            self._wait("far")

    def run(self, how: str, parties: int, *, slots: int = 1, laps: int = 1) -> float:
        """Run rings of the first parties, some at once, and return the seconds until all notes are taken."""
        for slot in range(slots):
            self._names += 1
            self._ask(0, how=how, parties=parties, slot=slot, laps=laps, name=str(self._names))
        rings, begun, last = slots * laps, list[float](), 0.0
        ended, got = 0, [0] * PARTIES_MAX
        while ended < rings or got[:parties] != [rings * LOT] * parties:
            number, said = self._said.get(timeout=_WAIT_SECONDS)
            if "got" in said:
                got[number] += said["got"]
                last = max(last, said["at"])
            elif "outcome" in said:
                if said["outcome"] != "Settled":
                    raise RuntimeError(f"a ring of {parties} ended as {said}")
                ended += 1
                begun.append(said["begun"])
        return last - min(begun)


@contextmanager
def _parties() -> Generator[_Parties]:
    with tempfile.TemporaryDirectory() as folder:
        made = _Parties(Path(folder))
        try:
            made.meet()
            yield made
        finally:
            made.close()


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Measure and yield the figures of rings. ``quick`` takes about half a minute."""
    note = f"{PARTIES_MAX} processes with real services over TLS on loopback, {os.cpu_count()} cores"
    rounds, laps = (8, 4) if quick else (100, 40)
    sizes = (2, 4, 8) if quick else range(2, PARTIES_MAX + 1)
    with _parties() as parties:
        for how in _HOWS:
            for _ in range(3):
                parties.run(how, PARTIES_MAX)  # connections are warm, caches filled
        for n in sizes:
            yield from _compared(parties, n, rounds, f"swap.{{}}_{n}", note)
        rates = {how: _SLOTS * laps / parties.run(how, _BUSY_PARTIES, slots=_SLOTS, laps=laps) for how in _HOWS}
        busy = f"rings of {_BUSY_PARTIES}, {_SLOTS} at once through one node, all on this machine"
        yield Figure("swap.per_s_of_a_node", rates["commit"], "1/s", busy, ("hashlock", rates["hashlock"]))
        parties.move(_FAR_SECONDS)
        far = f"{note}; each call takes {_FAR_SECONDS * 1000:g} ms longer, as between continents"
        for n in sizes:
            yield from _compared(parties, n, max(rounds // 4, 4), f"swap.far_{{}}_{n}", far)


def _compared(parties: _Parties, n: int, rounds: int, name: str, note: str) -> Iterator[Figure]:
    """Run rings of n, of each kind in turn."""
    spans = {how: list[float]() for how in _HOWS}
    for _ in range(rounds):
        for how in _HOWS:
            spans[how].append(1000 * parties.run(how, n))
    median = {how: statistics.median(spans[how]) for how in _HOWS}
    high = {how: sorted(spans[how])[min(rounds - 1, rounds * 99 // 100)] for how in _HOWS}
    for word, figure, of in (("p50", median, note), ("p99", high, f"of {rounds} rings")):
        yield Figure(
            name.format(f"notes_taken_{word}_ms"), figure["commit"], "ms", of, ("hashlock", figure["hashlock"])
        )
    yield Figure(name.format("of_hashlock"), median["commit"] / median["hashlock"], "ratio", "of the medians")
