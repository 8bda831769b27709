"""Hold the matcher against the reference on many random books: ``python -m tests.matching.campaign --books 10000``."""

import argparse
import sys
from dataclasses import replace
from fractions import Fraction

from nanobarter.matching.bids import Bid
from nanobarter.matching.clearing import Clearing
from nanobarter.matching.rules import Rules
from tests.matching import reference
from tests.matching.books import random_book

UNBOUNDED = Rules(steps_max=10**7, tries_max=10**7)
"""Some books of nine bids have more cycles than a node looks at; here the rules are judged, not the bounds."""
FROM_ENDS = replace(UNBOUNDED, ends_from=0)
"""The same, with the way of searching that large markets have."""


def fast(bids: list[Bid], rules: Rules = UNBOUNDED) -> tuple[list[reference.Agreed], list[Fraction], dict[object, int]]:
    """Return what the matcher makes of the bids, in the reference's words."""
    market = Clearing(rules)
    agreements, omegas = list[reference.Agreed](), list[Fraction]()
    for bid in bids:
        for agreed in market.submit(bid):
            ids = [each.id for each in agreed.cycle.bids]
            agreements.append(tuple(zip(ids, agreed.given, strict=True)))
            omegas.append(agreed.cycle.omega)
    assert not market.cut, "a book of a dozen bids was not searched to the end"
    left = {bid.id: market.book.get(bid.id) for bid in bids}
    return agreements, omegas, {name: 0 if bid is None else bid.quantity for name, bid in left.items()}


def differs(seed: int) -> str:
    """Return how the matcher and the reference differ on the book of a seed, or nothing."""
    bids = random_book(seed)
    its = reference.clear(bids)
    for rules in (UNBOUNDED, FROM_ENDS):
        mine = fast(bids, rules)
        if mine != its:
            return f"book {seed}:\n  matcher   {mine[0]}\n  reference {its[0]}"
    return ""


def main() -> int:
    """Run the campaign; exit 1 when a book differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--books", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    seeds = range(asked.seed * 1_000_000, asked.seed * 1_000_000 + asked.books)
    found = [problem for seed in seeds if (problem := differs(seed))]
    for problem in found[:20]:
        print(problem)  # noqa: T201 - the report of a command
    agreements = "all agree" if not found else f"{len(found)} differ"
    print(f"{asked.books} books, seed {asked.seed}: {agreements}")  # noqa: T201 - the report of a command
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
