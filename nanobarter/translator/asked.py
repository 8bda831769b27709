"""What issuers say of their own notes: whoever offers eight of them for one of another's has no takers at seven.

Nobody's word about others is believed, for it can be bought; a word against oneself can. A peer that was watched for
long enough is known better than by that. Of a stranger it is the one thing that all others have found out and that he
cannot hide: who is bought by nobody any more must ask for less and less, in public.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.matching.bids import Bid
from nanobarter.matching.network import quality_of
from nanobarter.translator.rates import value_by_reliability

ASKS_MAX: Final = 8  # bids of one issuer that are looked at: they differ by whom it wants, and hardly in the price
SLACK: Final = 1.5  # everybody gives a fifth more than he thinks fair, and thinks of others what we do not

Asks = Mapping[NodeId, Sequence[tuple[NodeId, float]]]
"""Of each issuer whose notes it wants, and how many of its own it gives at most for one."""

NO_ASKS: Final[Asks] = {}


def asks_of(bids: Iterable[Bid]) -> Asks:
    """Return what each owner would give of its own notes for those of named others, as the book has it."""
    found = dict[NodeId, list[tuple[NodeId, float]]]()
    for bid in bids:
        if not bid.limit or bid.wants.any_issuer or not isinstance(bid.owner, bytes):
            continue
        given, wanted = quality_of(bid.gives).issuer, quality_of(bid.wants.text).issuer
        if given == bid.owner and len(found.setdefault(given, [])) < ASKS_MAX:
            found[given].append((wanted, bid.provided / bid.required))
    return found


def at_most(asks: Asks, issuer: NodeId, reliability: Mapping[NodeId, float]) -> float | None:
    """Return the most that a note can be worth by what its issuer asks for it; None where it asks nothing we know."""
    said = [value_by_reliability(reliability[n]) / most for n, most in asks.get(issuer, ()) if n in reliability]
    return SLACK * median(said) if said else None
