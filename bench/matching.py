"""The matcher: CPU per new bid in large books, the book's own costs, and a market that grows from nothing.

Bids are those of the measured anchor, openBarter 2.1.0 in PostgreSQL: limit bids, omega uniform in 0.67 .. 2 around
quantities of 10,000, 100 owners, uniform qualities. A new bid is put into the book and matched: the cycle of greatest
Omega of up to 8 partners, exactly, with its whole quantities. It is not executed, so that the book keeps its size;
``grown`` executes. The bids of the book are in memory; seconds are CPU seconds of this thread, everything warm.
``first`` is the same with every table of bounds thrown away before each bid.

``python -m bench.matching 1e5 20,1000 300`` measures only new bids, in books of one size with these numbers of
qualities, 300 of them: seconds, for comparing two versions in turn.
"""

import gc
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median, quantiles

from bench.figure import Figure
from nanobarter.matching.bids import Bid, Pattern
from nanobarter.matching.book import Book
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.cycle import quantities_of
from nanobarter.matching.rules import OWN
from nanobarter.matching.search import Search

ANCHORS = {("1e5", 20): 17.0, ("1e5", 100): 64.0, ("1e5", 1000): 456.0}  # ms of CPU, measured on this kind of machine
GROWN, GROWN_ON = 2_000, 8_000  # bids; remnants stand in the book from some 5,000 executed bids on
OWNERS = [f"o{i}" for i in range(100)]


class Bids:
    """The anchor's bids, one after the other."""

    def __init__(self, qualities: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._names = [f"q{i}" for i in range(qualities)]
        self._wants = [Pattern(name) for name in self._names]
        self._ids = count(1)

    def next(self) -> Bid:
        """Return a new bid."""
        wants, gives = self._random.sample(range(len(self._names)), 2)
        required = 10_000
        provided = round(required * self._random.uniform(0.67, 2))
        name = next(self._ids)
        owner = self._random.choice(OWNERS)
        return Bid(name, owner, True, self._names[gives], self._wants[wants], provided, required, provided, name)


def filled(bids: Bids, size: int) -> Book:
    """Return a book of so many bids."""
    book = Book()
    book.index()
    for _ in range(size):
        book.insert(bids.next())
    return book


def matched(book: Book, bid: Bid) -> bool:
    """Find a bid's best cycle with quantities, and put it in. Tells whether a bound cut the search short."""
    search = Search(book, bid, OWN)
    for cycle in search.cycles():
        if quantities_of(cycle) is not None:
            break
    book.insert(bid)
    return search.cut


def per_bid(size: str, qualities: int, samples: int) -> Iterator[Figure]:
    """Measure new bids in a book of a size."""
    bids = Bids(qualities)
    book = filled(bids, int(float(size)))
    gc.collect()
    gc.freeze()
    for _ in range(samples):
        matched(book, bids.next())  # as in a market that has run for a while
    spent, cut = list[float](), 0
    for bid in [bids.next() for _ in range(samples)]:
        before = time.thread_time_ns()
        cut += matched(book, bid)
        spent.append((time.thread_time_ns() - before) / 1e6)
    first = list[float]()
    for bid in [bids.next() for _ in range(max(20, samples // 10))]:
        book.index().every.tables.clear()
        before = time.thread_time_ns()
        matched(book, bid)
        first.append((time.thread_time_ns() - before) / 1e6)
    gc.unfreeze()
    anchor = ANCHORS.get((size, qualities))
    note = f"{samples} new bids, {cut} searches cut short"
    yield Figure(
        f"match.p50_ms.{size}.{qualities}",
        median(spent),
        "ms",
        note,
        None if anchor is None else ("openbarter", anchor),
    )
    yield Figure(f"match.p99_ms.{size}.{qualities}", quantiles(spent, n=100)[98], "ms", note)
    yield Figure(f"match.first_p50_ms.{size}.{qualities}", median(first), "ms", "no table of bounds kept")


def book_costs(size: int, qualities: int, samples: int) -> Iterator[Figure]:
    """Measure insert and withdraw in a large book that has its levels."""
    bids = Bids(qualities)
    book = filled(bids, size)
    gc.collect()
    gc.freeze()
    note = f"{size} bids, {qualities} qualities"
    spent = list[float]()
    for bid in [bids.next() for _ in range(samples)]:
        before = time.thread_time_ns()
        book.insert(bid)
        spent.append((time.thread_time_ns() - before) / 1e3)
    yield Figure("match.insert_us", median(spent), "us", note)
    every = [bid.id for bid in book]
    spent = list[float]()
    for name in every[:: max(1, len(every) // samples)]:
        before = time.thread_time_ns()
        book.withdraw(name)
        spent.append((time.thread_time_ns() - before) / 1e3)
    yield Figure("match.withdraw_us", median(spent), "us", note)
    gc.unfreeze()


def grown(qualities: int, size: int) -> Figure:
    """Measure a market that grows from an empty book, with every agreement executed."""
    bids = [source.next() for source in [Bids(qualities)] for _ in range(size)]
    market, agreements = Clearing(), 0
    before = time.thread_time()
    for bid in bids:
        agreements += len(market.submit(bid))
    spent = time.thread_time() - before
    note = f"{size} bids, {agreements} agreements, {len(market.book)} left{', a search was cut' if market.cut else ''}"
    name = f"match.grown_bids_per_s.{qualities}" if size <= GROWN else f"match.grown_on_bids_per_s.{qualities}"
    return Figure(name, size / spent, "1/s", note)


def memory(size: int, qualities: int) -> Figure:
    """Measure the resident memory of a process with so many bids and one search done, numpy included."""
    program = (
        "import resource\nfrom bench.matching import Bids, filled, matched\n"
        f"bids = Bids({qualities})\nbook = filled(bids, {size})\nmatched(book, bids.next())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        return Figure("match.memory_mib_1e6", None, "MiB", done.stderr[-500:])
    return Figure("match.memory_mib_1e6", int(done.stdout) / 1024, "MiB", f"{size} bids, {qualities} qualities")


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the one argument of every area
    """Yield the figures of the matcher."""
    sizes = ("1e3", "1e4", "1e5") if quick else ("1e3", "1e4", "1e5", "1e6")
    samples = 200 if quick else 2000
    for size in sizes:
        for qualities in (20, 100, 1000):
            yield from per_bid(size, qualities, samples)
    if quick:
        for qualities in (20, 100, 1000):
            for name in ("p50", "p99"):
                yield Figure(f"match.{name}_ms.1e6.{qualities}", None, "ms", "not measured by --quick")
    yield from book_costs(10**5 if quick else 10**6, 1000, 10 * samples)
    yield memory(10**5 if quick else 10**6, 1000)
    for qualities in (20, 100, 1000):
        yield grown(qualities, 500 if quick else GROWN)
    if not quick:
        yield grown(20, GROWN_ON)


def main() -> None:
    """Measure new bids alone, as the command line says."""
    size, qualities, samples = sys.argv[1:]
    for each in qualities.split(","):
        for figure in per_bid(size, int(each), int(samples)):
            print(f"{figure.name:<28}{figure.value:8.3f} {figure.unit}  {figure.note}")


if __name__ == "__main__":
    main()
