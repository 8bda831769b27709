"""With whom a node tries next, decided from what it has heard and from what came of its earlier tries.

Nobody tells the nodes who shall propose which ring, and all of them look at nearly the same book. What keeps them
from asking the same few bids all at once: the owner of the newest bid of a ring has the first word; a choice among
rings of nearly the same worth is left to chance; who was refused waits, longer each time; who said no is left alone
until one of the bids changes, and who was busy for about as long as a draft takes.

Until somebody says no twice, a bid looks at rings of all lengths at once and takes one of the best, as a central
matcher would. After that it begins with two partners and adds one after each search that finds nothing: where many ask
for the same bids, a short ring holds and a long one does not.

There is no clock, no event loop and no chance in here: instants and random bytes are passed in, so that the daemon
and the simulation decide by the same lines.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Final

from nanobarter.core.errors import Reason
from nanobarter.core.ids import BidId
from nanobarter.core.limits import Limits
from nanobarter.core.units import INSTANT_MAX, MINUTE, Instant, Span, after
from nanobarter.matching.book import Book
from nanobarter.matching.network import Match, find
from nanobarter.swap.events import Asked, DraftRefused, Outcome, Settled
from nanobarter.translator.market_ports import Pace

CALM_TRIES: Final = 2  # one no may be bad luck
PARTNERS_FIRST: Final = 2  # the shortest rings are the most likely to hold, once there are conflicts
PASSING: Final = frozenset(
    {Reason.BUSY, Reason.TOO_MANY, Reason.NO_STOCK, Reason.EXPIRED, Reason.CLOCK_OFF, Reason.UNKNOWN_BID}
)
"""Refusals that say nothing about the pair of bids: others of theirs may work now, the same ones a moment later."""
SILENT: Final = frozenset({Reason.UNVETTED, Reason.NOT_FOUND})
"""Refusals because someone else did not answer, who may only be restarting."""
SHUNNED_FOR: Final = Span(5 * MINUTE)  # a bid may stay as it is while its owner's policy or stock changes
SPREAD: Final = 0.2  # of the logarithm of omega: rings this near to each other are as good as the same

Chance = Callable[[int], bytes]
"""So many random bytes."""
Versions = Mapping[BidId, int]
"""Bids with their sequence, which every change raises."""

_NEVER: Final = Instant(INSTANT_MAX)
_LATER: Final = 100.0  # in logarithms of omega: more than any two rings differ by
_TASTE: Final = NormalDist(0, SPREAD)


@dataclass
class _Course:
    """How one own bid fares, since its last version."""

    retry_at: Instant = Instant(0)
    failures: int = 0
    first_seen: dict[frozenset[BidId], Instant] = field(default_factory=dict[frozenset[BidId], Instant])
    nothing: tuple[int, Instant] = (-1, Instant(0))
    """The version of the book in which nothing was to be done, and until when that holds."""


@dataclass(frozen=True)
class _Shunned:
    """Bids that did not go together: in which versions, and until when that is remembered."""

    versions: tuple[int, ...]
    until: Instant


class Chooser:
    """What one node remembers of its tries, and the choice that follows from it."""

    def __init__(self, pace: Pace, limits: Limits, chance: Chance) -> None:
        self._pace, self._limits, self._chance = pace, limits, chance
        self._courses = dict[BidId, _Course]()
        self._shunned = dict[frozenset[BidId], _Shunned]()
        self._asked = set[frozenset[BidId]]()

    def begin(self, bid: BidId) -> None:
        """Start anew with a bid: it is another one than before."""
        self._courses[bid] = _Course()

    def forget(self, bid: BidId) -> None:
        """Drop what is remembered of a bid that is gone."""
        self._courses.pop(bid, None)

    def next(self, book: Book, bid: BidId, now: Instant) -> Match | Instant:
        """Return the ring to propose for an own bid, or the instant at which to ask again if the book stays as it is.

        Drop expired bids from the book first. A ring of two is looked for first, then one partner more each time.
        """
        course = self._courses.setdefault(bid, _Course())
        if now < course.retry_at:
            return course.retry_at
        version, until = course.nothing
        if version == book.version and now < until:
            return until
        found = self._search(book, bid, course, now)
        if not isinstance(found, Match):
            course.nothing = (book.version, found)
        return found

    def _search(self, book: Book, bid: BidId, course: _Course, now: Instant) -> Match | Instant:
        avoid, until = self._avoided(book, bid, now)
        for partners in self._lengths(book, bid, course, avoid):
            match = find(book, bid, partners_max=partners, perturb=self._taste(book, bid), avoid=avoid)
            if match is None:
                continue
            word = self._word_at(book, bid, match, course, now)
            return match if word <= now else min(word, until)
        return until

    def _lengths(self, book: Book, bid: BidId, course: _Course, avoid: Collection[frozenset[BidId]]) -> Sequence[int]:
        """Return how many partners to look for, one number after the other until there is a ring."""
        longest = self._pace.partners_max
        if course.failures < CALM_TRIES:
            return (longest,)
        if find(book, bid, partners_max=longest, avoid=avoid) is None:
            return ()  # the longest search sees the shorter rings too, and mostly there is nothing
        return range(PARTNERS_FIRST, longest + 1)

    def _taste(self, book: Book, own: BidId) -> Callable[[BidId], float]:
        """Return a taste for this one choice: how much more a bid seems to give than it says, in logarithms.

        Newer bids than the own one come last, since their owners have the first word.
        """
        mine, tastes = _newness(book, own), dict[BidId, float]()

        def taste(bid: BidId) -> float:
            if bid not in tastes:
                chance = _TASTE.inv_cdf((int.from_bytes(self._chance(4), "big") + 0.5) / 2**32)
                tastes[bid] = chance - (_LATER if _newness(book, bid) > mine else 0)
            return tastes[bid]

        return taste

    def _word_at(self, book: Book, bid: BidId, match: Match, course: _Course, now: Instant) -> Instant:
        """Return when it is our turn to propose a ring: at once with its newest bid, else a little later."""
        ids = frozenset(arc.bid for arc in match.arcs)
        if max(ids, key=lambda each: _newness(book, each)) == bid:
            return now
        if len(course.first_seen) >= self._limits.market_memory_max:
            course.first_seen.clear()  # costs at most one more span of patience
        return after(course.first_seen.setdefault(ids, now), self._pace.patience)

    def _avoided(self, book: Book, bid: BidId, now: Instant) -> tuple[list[frozenset[BidId]], Instant]:
        """Return the sets of bids to leave alone now, and when the first of them may be tried again."""
        self._shunned = {bids: shun for bids, shun in self._shunned.items() if now < shun.until}
        holding = {
            bids: shun
            for bids, shun in self._shunned.items()
            if (bid in bids or len(bids) == 1) and shun.versions == _in_order(versions_in(book, bids))
        }
        return list(holding), min((shun.until for shun in holding.values()), default=_NEVER)

    def ended(self, match: Match, outcome: Outcome | None, proposed: Versions, now: Instant) -> None:
        """Learn from what became of a ring. ``proposed``: the bids as they were in the draft.

        None: no ring can be made of it, since a node stands in it twice.
        """
        bid = match.arcs[0].bid
        course = self._courses.setdefault(bid, _Course())
        match outcome:
            case Settled():
                course.failures = 0
                return
            case Asked():  # if all agree, the draft follows by itself; until then there may be other rings
                self._shun(proposed, proposed, now, self._pace.ask)
                self._asked = {bids for bids in self._asked if bids in self._shunned} | {frozenset(proposed)}
                return
            case None:
                self._shun(proposed, proposed, now, SHUNNED_FOR)
            case DraftRefused(by=by, reason=reason):
                if by == match.arcs[0].giver and reason is Reason.POLICY:  # our person has refused these bids before
                    self._shun(proposed, proposed, now, SHUNNED_FOR)
                theirs = next((arc.bid for arc in match.arcs if arc.giver == by and arc.bid != bid), None)
                if theirs is not None and reason in PASSING:
                    self._shun((theirs,), proposed, now, self._limits.market_busy)
                elif theirs is not None and reason not in PASSING:
                    span = self._limits.market_silence if reason in SILENT else SHUNNED_FOR
                    self._shun((bid, theirs), proposed, now, span)
            case _:
                pass
        self._back_off(course, now)

    def asked_in_vain(self, bid: BidId, reason: Reason, now: Instant) -> None:
        """Learn that a question about an own bid is over and no ring came of it.

        Unless a person said no, the same ring may work a moment later, and asking twice troubles nobody twice.
        """
        if reason is Reason.POLICY:
            return
        for bids in self._asked & self._shunned.keys():
            if bid in bids:
                shunned = self._shunned[bids]
                self._shunned[bids] = replace(shunned, until=min(shunned.until, after(now, self._limits.market_busy)))
        self._courses.setdefault(bid, _Course()).nothing = (-1, Instant(0))

    def failed(self, bid: BidId, now: Instant) -> Instant:
        """Leave a bid alone for a while after a search that broke off; return until when."""
        course = self._courses.setdefault(bid, _Course())
        self._back_off(course, now)
        return course.retry_at

    def _shun(self, bids: Iterable[BidId], proposed: Versions, now: Instant, span: Span) -> None:
        """Leave these bids alone together until one of them is another than was proposed, or for a while."""
        if len(self._shunned) >= self._limits.market_memory_max:
            self._shunned.pop(next(iter(self._shunned)))
        together = frozenset(bids)
        versions = _in_order({bid: proposed.get(bid, -1) for bid in together})
        self._shunned[together] = _Shunned(versions, after(now, span))

    def _back_off(self, course: _Course, now: Instant) -> None:
        course.failures += 1
        width = int(self._pace.retry) << min(course.failures, self._limits.market_backoff_doublings_max)
        course.retry_at = after(now, Span(1 + int.from_bytes(self._chance(4), "big") % width))


def versions_in(book: Book, bids: Collection[BidId]) -> dict[BidId, int]:
    """Return the sequences of these bids as the book has them, -1 for one that it has not."""
    found = {bid: book.get(bid) for bid in bids}
    return {bid: -1 if known is None else known.age for bid, known in found.items()}


def _newness(book: Book, bid: BidId) -> tuple[int, BidId]:
    """Return what orders bids from the oldest to the newest, the same way at every node that has the same versions."""
    known = book.get(bid)
    return (-1 if known is None else known.age, bid)


def _in_order(versions: Versions) -> tuple[int, ...]:
    return tuple(versions[bid] for bid in sorted(versions))
