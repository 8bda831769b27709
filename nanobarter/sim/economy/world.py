"""A run: so many nodes for so many days under one regime, day after day, and what there was to see.

A day: what happens to nodes happens; everybody watches his peers; orders go out, by the daemon's decisions on what
each has seen; the book is cleared; notes become leases, leases are lengthened or end. Same seed, same run.
"""

import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import compress
from random import Random
from statistics import median
from typing import Final

import numpy as np

from nanobarter.core.ids import NodeId
from nanobarter.core.units import DAY, Span, after
from nanobarter.sim.clock import START
from nanobarter.sim.economy import measures
from nanobarter.sim.economy.exchange import PARTNERS_MAX, Exchange, Trade
from nanobarter.sim.economy.games import Games, said
from nanobarter.sim.economy.kinds import Further, kinds_for
from nanobarter.sim.economy.nature import SHOCKS, SILENT_DAY, Nature, Shock, passes, people, shocked
from nanobarter.sim.economy.person import GRACE_DAYS, Person
from nanobarter.sim.economy.players import GAME_DAY, enlist
from nanobarter.sim.economy.regimes import Regime, manner_of
from nanobarter.sim.economy.sights import Sights
from nanobarter.translator.asked import NO_ASKS, asks_of

CAPACITY: Final = 20_000  # MiB
FOLDER_BYTES: Final = 2 * 10**9
MEASURED_DAY: Final = 90
OFFERING_MAX: Final = 60  # of those who offer, as many as a node looks at; each in an order of its own
NEW_LOOKED_AT: Final = 10  # of them whom it does not know
PRICED_WITHIN: Final = 30
FIT_DAYS: Final = 7
COLLECTED_AFTER: Final = 500_000  # objects
SAFETY_DAYS: Final = 5  # how often the chances of loss are worked out anew


@dataclass(frozen=True)
class Job:
    """What a run is of."""

    regime: Regime
    seed: int
    nodes: int
    days: int
    shocks: Sequence[Shock] = SHOCKS
    partners: int = PARTNERS_MAX
    since: int = GAME_DAY
    """The day on which players of games come."""
    kinds: int = 1
    """Of leases."""


@dataclass
class Run:
    """One run. ``days`` holds a row of figures for each day."""

    regime: Regime
    seed: int
    length: int = 0
    kinds: int = 1
    people: dict[NodeId, Person] = field(default_factory=dict[NodeId, Person])
    nature: dict[NodeId, Nature] = field(default_factory=dict[NodeId, Nature])
    trades: list[Trade] = field(default_factory=list[Trade])
    days: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    priced_after: dict[NodeId, int] = field(default_factory=dict[NodeId, int])
    correlation: float | None = None
    points: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    before: dict[NodeId, float] = field(default_factory=dict[NodeId, float])
    sights: Sights = field(default_factory=lambda: Sights(0))
    games: Games = field(default_factory=lambda: Games((), 0, 0))
    said: dict[str, float] = field(default_factory=dict[str, float])

    def place_of(self, node: NodeId) -> str:
        """Return where a node is seen."""
        return self.nature[node].place or node.hex()


@contextmanager
def _collecting_seldom() -> Generator[None]:
    """Look for cyclic garbage seldom: there is hardly any, and a sixth of the time went into looking at what stays."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECTED_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@_collecting_seldom()
def simulate(job: Job, tell: Callable[[str], None] = lambda _line: None) -> Run:
    """Let a network live, and return what there was to see."""
    regime, seed, days = job.regime, job.seed, job.days
    random, dice = Random(seed), np.random.default_rng(seed)  # noqa: S311 - repeatable
    run = Run(regime, seed, days, job.kinds)
    natures = shocked(people(job.nodes, seed, random), frozenset(job.shocks), seed, random)
    natures = enlist(natures, job.shocks, seed, days, job.since)
    for nature in natures:
        run.nature[nature.node] = nature
        manner = manner_of(regime, 1 if nature.plays else nature.number)
        first, *others = kinds_for(nature.number, job.kinds)
        further = Further(tuple(others))
        capacity = CAPACITY - further.pledged
        run.people[nature.node] = Person(nature, manner, capacity, FOLDER_BYTES, kind=first, further=further)
    if any(nature.place for nature in natures):
        for person in run.people.values():
            person.place = run.place_of
    run.sights = Sights(len(natures))
    run.games = Games(natures, CAPACITY, FOLDER_BYTES)
    book, asks = None, NO_ASKS
    for day in range(days):
        passes(natures, day, random)
        here = [p for p in run.people.values() if p.nature.alive(day)]
        exchange = Exchange(run.people, random, after(START, Span(day * DAY)), job.partners)
        offerings = _look(run, here, day, random, dice)
        for person in here:
            for order in person.orders(offerings[person.me], book, day, asks):
                exchange.post(person, order)
            for order in run.games.quotes(person, day):
                exchange.post(person, order)
        exchange.clear(day)
        book, asks = exchange.book, asks_of(exchange.posted)
        _after_clearing(run, exchange, here, day)
        _measure(run, here, exchange, day)
        if day % PRICED_WITHIN == 0:
            tell(f"{regime}, seed {seed}: day {day} of {days}, {len(run.trades)} exchanges so far")
    return run


def _look(
    run: Run, here: Sequence[Person], day: int, random: Random, dice: np.random.Generator
) -> dict[NodeId, list[NodeId]]:
    """Let everybody find who offers, watch a day long, and draw its conclusions; returns who offers to whom."""
    alive = {person.me for person in here}
    wanting = {kind: [p.me for p in here if p.offers(kind)] for kind in kinds_for(0, run.kinds)}
    in_order = {kind: sorted(found) for kind, found in wanting.items()}
    offerings = {p.me: _looked_at(p, wanting[p.kind], in_order[p.kind], random) for p in here}
    sights, count = run.sights, len(run.people)
    number = {node: nature.number for node, nature in run.nature.items()}
    watched, leased = np.zeros((count, count), np.bool_), np.zeros((count, count), np.bool_)
    for person in here:
        row = person.nature.number
        watched[row, [number[n] for n in person.watch(offerings[person.me], alive, day)]] = True
        leased[row, [number[n] for n in person.leases]] = True
        watched[row, row] = True
        leased[row, row] = bool(person.leases)
    natures = list(run.nature.values())
    up = np.array([n.up if n.alive(day) else 0.0 for n in natures])
    keeps = run.games.keeps(run.people, day)
    terms = np.array([[p.term] for p in run.people.values()])
    looks = np.array([p.manner.audits for p in run.people.values()])
    mutes = np.array([n.mute for n in natures])
    sights.day(watched, leased, looks, (up, keeps, mutes), day, dice)
    if day % FIT_DAYS == 0:
        sights.fit()
    r, vetted, judged, ids = sights.scores(day, terms), sights.vetted(), sights.judged(), list(run.nature)
    silent = sights.silent > GRACE_DAYS
    for person in here:
        row = person.nature.number
        person.silent = frozenset(compress(ids, silent[row].tolist()))
        if person.manner.learns:
            clean = sights.clean[row]
            person.audited = dict(zip(compress(ids, clean.tolist()), clean[clean > 0].tolist(), strict=True))
            known = sights.known[row]
            person.learn(
                dict(zip(compress(ids, known.tolist()), r[row, known].tolist(), strict=True)),
                frozenset(compress(ids, vetted[row].tolist())) - {person.me},
                frozenset(compress(ids, judged[row].tolist())),
            )
    return offerings


def _looked_at(person: Person, wanting: Sequence[NodeId], in_order: Sequence[NodeId], random: Random) -> list[NodeId]:
    """Return whom a node finds offering: those it knows, then others by chance."""
    others = random.sample(wanting, min(OFFERING_MAX, len(wanting)))
    vetted, is_bad, followed = person.trust.vetted, person.trust.is_bad, person.followed
    known = [n for n in in_order if n in vetted and not is_bad(n)]
    random.shuffle(known)
    strangers = [n for n in in_order if n in followed and n not in vetted]
    random.shuffle(strangers)
    most = OFFERING_MAX * 2 // 3
    found = dict.fromkeys([*known[:most], *strangers[: OFFERING_MAX - NEW_LOOKED_AT - min(len(known), most)], *others])
    return [node for node in found if node != person.me][:OFFERING_MAX]


def _after_clearing(run: Run, exchange: Exchange, here: Sequence[Person], day: int) -> None:
    run.trades += exchange.trades
    got = dict[NodeId, int]()
    for one in exchange.standing.values():
        if one.keepers and not one.order.patient:
            got[one.who.me] = got.get(one.who.me, 0) + one.gotten
    for person in here:
        person.learn_price(got.get(person.me, 0))
        person.settle(day, run.people)
        for node in person.silent:
            for end, quantity in person.leases.pop(node, []):  # its shares are repaired elsewhere
                run.people[node].owe(person.kind, -quantity)
                del end


def _measure(run: Run, here: Sequence[Person], exchange: Exchange, day: int) -> None:
    users = [p for p in here if not p.manner.deals]
    if day % SAFETY_DAYS == SAFETY_DAYS - 1 or day == run.length - 1 or not run.days:
        safety = measures.safety(users, run.nature, day)
    else:
        safety = {name: run.days[-1][name] for name in measures.SAFETY}
    run.days.append(
        {
            "day": day,
            "alive": len(here),
            "exchanges": len(exchange.trades),
            "rings": sum(1 / t.ring for t in exchange.trades),
            "longer_rings": sum(1 / t.ring for t in exchange.trades if t.ring > 2),  # noqa: PLR2004 - more than a pair
            "markets": len({t.market for t in exchange.trades}),
            "markup": median(p.markup for p in here) if here else 1.0,
            **measures.bad_parts(users, run.nature, day),
            **safety,
        }
    )
    if day == MEASURED_DAY:
        _correlate(run, day)
    _note_failures(run, here, day)


def _correlate(run: Run, day: int) -> None:
    recent = [t for t in run.trades if day - measures.PRICE_DAYS < t.day <= day]
    alive = {n for n, nature in run.nature.items() if nature.alive(day) and nature.failed_on is None}
    run.points = [
        (price, measures.value_of(run.nature[node].truth(day)))
        for node, price in measures.prices(recent).items()
        if node in alive
    ]
    run.correlation = measures.correlation(run.points)
    run.said = said(run.games, recent, measures.prices)


def _note_failures(run: Run, here: Sequence[Person], day: int) -> None:
    """Note when the mean estimate of a silently failed node has come most of the way down to the truth.

    One that dies soon after is still to be priced, by those who have something of it: nobody else asks it any more.
    """
    if day < SILENT_DAY - 1:
        return
    for node, nature in run.nature.items():
        alive = nature.alive(day)
        if nature.failed_on is None or node in run.priced_after or not (alive or node in run.before):
            continue
        found = measures.estimates([p for p in here if alive or node in p.notes or node in p.leases], node)
        if day < nature.failed_on:
            run.before[node] = found if found is not None else 0.0
        elif found is not None and node in run.before:
            truth = nature.up * nature.keeps if alive else 0.0
            if run.before[node] - found >= measures.PRICED_PART * (run.before[node] - truth):
                run.priced_after[node] = day - nature.failed_on
