"""The bids of a simulated market: made anew from a seed, the same for every matcher that is compared.

Three kinds of need, a third of the nodes each: own space for the notes of a named issuer, at par, as the keeper
orders for folders; own space for that of anybody, at par; and notes of others that are traded at prices around par,
some of them under best bids with a floor.
"""

from dataclasses import dataclass
from math import exp
from random import Random
from typing import Final, Literal

from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey, derive
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.matching.wire import BidBody, Ratio, Want

KIND: Final = LeaseKind("30d")
BIDS_EACH: Final = 2
SPREAD: Final = 0.15  # of the logarithm of a trader's omega
FAVOUR: Final = 0.05  # how much more than par a trader gives on the whole: else hardly anything would trade
ISSUERS_MIN: Final = 6  # whose notes are traded; with more nodes a tenth of them

Market = Literal["mixed", "named", "anybody", "traded"]


@dataclass(frozen=True)
class Need:
    """One bid to be: whose it is, and what it says."""

    node: int
    key: bytes
    body: BidBody


def keys_of(nodes: int, seed: str) -> list[SigningKey]:
    """Return the keys of the nodes."""
    return [SigningKey(derive(seed.encode().ljust(32, b"."), "node", i.to_bytes(4, "big"))) for i in range(nodes)]


def needs_of(keys: list[SigningKey], seed: str, market: Market) -> list[Need]:
    """Return the bids of all nodes, in the order in which they will be posted."""
    chance = Random(f"{seed}/needs")  # noqa: S311 - a simulation must be repeatable
    ids = [key.node_id for key in keys]
    issuers = ids[: max(ISSUERS_MIN, len(ids) // 10)]
    needs = list[Need]()
    for node, me in enumerate(ids):
        kind = market if market != "mixed" else ("named", "anybody", "traded")[node % 3]
        for number in range(BIDS_EACH):
            quantity = Quantity(round(exp(chance.uniform(*_LOGARITHMS))))
            if kind == "named":
                body = _named(me, chance.choice([each for each in ids if each != me]), quantity)
            elif kind == "anybody":
                body = _anybody(me, quantity)
            else:
                body = _traded(chance, issuers, quantity)
            needs.append(Need(node, number.to_bytes(16, "big"), body))
    chance.shuffle(needs)
    return needs


_LOGARITHMS: Final = (2.772588722239781, 6.931471805599453)  # of the least and the most quantity


def _named(me: NodeId, issuer: NodeId, quantity: Quantity) -> BidBody:
    return BidBody("limit", Quality(me, KIND), Want(KIND, issuer, (), ()), (1, 1), quantity, None)


def _anybody(me: NodeId, quantity: Quantity) -> BidBody:
    return BidBody("limit", Quality(me, KIND), Want(KIND, None, (me,), ()), (1, 1), quantity, None)


def _traded(chance: Random, issuers: list[NodeId], quantity: Quantity) -> BidBody:
    gives, wants = chance.sample(issuers, 2)
    omega: Ratio = (round(1000 * exp(chance.gauss(FAVOUR, SPREAD))), 1000)
    is_best = chance.random() < 1 / 4
    floor: Ratio | None = (omega[0] * 5, omega[1] * 4) if is_best else None
    want = Want(KIND, wants, (), ())
    return BidBody("best" if is_best else "limit", Quality(gives, KIND), want, omega, quantity, floor)
