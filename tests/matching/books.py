"""Random order books that dwell on the edges: ties, limits exactly met, several bids of one owner, wildcards."""

from random import Random

from nanobarter.matching.bids import Bid, Pattern, Ratio

RATIOS: tuple[Ratio, ...] = ((1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (49, 1), (1, 49), (5, 4), (4, 5), (21, 20), (7, 3))
DISCOUNTS: tuple[Ratio, ...] = ((1, 2), (3, 4), (1, 1), (9, 10), (2, 1))


def random_book(seed: int, bids_max: int = 12) -> list[Bid]:
    """Return bids in the order in which they are submitted."""
    random = Random(seed)
    kinds = [f"{kind}d:" for kind in random.sample([7, 30, 90], random.randint(1, 2))]
    issuers = "abcd"[: random.randint(2, 4)]
    qualities = [kind + issuer for kind in kinds for issuer in issuers]
    owners = [f"o{i}" for i in range(random.choice([2, 3, 5, 12]))]
    ratios = random.choice([RATIOS, RATIOS[:1], RATIOS[:5], None])
    scale = random.choice([1, 3, 20, 1000, 10**6])
    wildcards = random.choice([0.0, 0.0, 0.3, 0.9])
    return [
        Bid(
            id=i + 1,
            owner=random.choice(owners),
            limit=random.random() < random.choice([0.0, 0.5, 0.8, 1.0]),
            gives=random.choice(qualities),
            wants=_pattern(random, qualities, issuers, wildcards),
            provided=ratio[0],
            required=ratio[1],
            quantity=random.randint(1, 10) * scale + random.randint(0, 1) * random.randint(0, scale),
            age=random.choice([i, i, 0]),
            floor=random.choice([None, None, (2, 1), (4, 1), ratio]),
        )
        for i in range(random.randint(2, bids_max))
        for ratio in [_ratio(random, ratios)]
    ]


def _ratio(random: Random, ratios: tuple[Ratio, ...] | None) -> Ratio:
    if ratios is None:
        return (random.randint(600, 2000), random.randint(900, 1100))
    chosen = random.choice(ratios)
    factor = random.choice([1, 1, 6])
    return (chosen[0] * factor, chosen[1] * factor)


def _pattern(random: Random, qualities: list[str], issuers: str, wildcards: float) -> Pattern:
    quality = random.choice(qualities)
    if random.random() >= wildcards:
        return Pattern(quality)
    return Pattern(
        quality.split(":")[0] + ":",
        any_issuer=True,
        refused=frozenset(random.sample(issuers, random.choice([0, 0, 1]))),
        discounts=tuple((issuer, random.choice(DISCOUNTS)) for issuer in issuers if random.random() < 0.3),
    )
