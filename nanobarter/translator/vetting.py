"""How much a newcomer is trusted with: little at once, twice as much after each clean day and each clean lease.

Without such lots no trade between strangers ever starts; but a name costs nothing, and whoever gives each new one a
whole share gives backups away. The caps hold only for space that vetted issuers could take instead: a network that is
young has none, and everybody in it takes one share each, at par.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.units import DAY, Quantity
from nanobarter.translator.asked import NO_ASKS, Asks, at_most
from nanobarter.translator.reliability import VETTED_AGE, VETTED_AUDITS, VETTED_WINDOWS, Observed

LOT_MOST: Final = Quantity(953)  # MiB, 1 GB: the bound before a lease ended clean
LOT_PART: Final = 8  # of a whole share at first: after three clean days the whole
LOT_LEAST: Final = Quantity(20)  # MiB: a share of any pack fits, and many times what an issuer locks
CLEAN_DAY: Final = 4  # windows of audits
LOTS_DOUBLED_MAX: Final = 10  # a thousand times as much: no cap for anybody at home
BAD_RELIABILITY: Final = 0.5  # v = 0.26: four such notes make one; shares there are moved when others can be had
CAPACITY_FRACTION: Final = 20  # all unvetted issuers together hold at most one part in twenty of our own space


def missing_for_vetting(observed: Observed) -> tuple[str, ...]:
    """Return what a peer still lacks to be vetted, in words; empty: it is vetted."""
    if observed.faults:
        return (f"never: {_many(observed.faults, 'wrong answer')} to audits",)
    lacks = (
        (VETTED_AGE // DAY - observed.age // DAY, "day", ""),
        (VETTED_WINDOWS - observed.windows, "window", " of pings, six hours each"),
        (VETTED_AUDITS - observed.audits, "audit", ""),
    )
    return tuple(f"{_many(count, 'more ' + what)}{of}" for count, what, of in lacks if count > 0)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def is_vetted(observed: Observed | None) -> bool:
    """Tell whether a peer has been watched for long enough, without a proof against it."""
    return observed is not None and not missing_for_vetting(observed)


@dataclass(frozen=True)
class Caps:
    """How much may be held at most of each unvetted issuer that is offered or held; others have no cap."""

    lots: Mapping[NodeId, int]
    together: int

    def room(self, node: NodeId, held: Mapping[NodeId, int]) -> int | None:
        """Return how much more of an issuer may be ordered, None for no bound. ``held``: what each holds already."""
        if node not in self.lots:
            return None
        lent = sum(
            min(held.get(each, 0), most) for each, most in self.lots.items()
        )  # more is from before there were caps
        return max(0, min(self.lots[node] - held.get(node, 0), self.together - lent))


NO_CAPS: Final = Caps({}, 0)


def lot(share: Quantity, windows: int, leases: int) -> int:
    """Return how much of an unvetted issuer may be held.

    ``share``: what the plan wants of each issuer. ``windows``: of clean audits since its last fault. ``leases``: that
    ended clean. Names cost nothing, and each new one gets a first lot of everybody before anybody has audited it; so
    that lot is small.
    """
    first = min(LOT_MOST, max(LOT_LEAST, -(-share // LOT_PART)))
    grown = min(LOT_MOST, first << min(windows // CLEAN_DAY, LOTS_DOUBLED_MAX))
    return grown << min(leases, LOTS_DOUBLED_MAX)


def caps(
    here: Collection[NodeId],
    vetted: Collection[NodeId],
    clean_leases: Mapping[NodeId, int],
    *,
    needed: int,
    capacity: Quantity,
    share: Quantity,
    clean: Mapping[NodeId, int],
) -> Caps:
    """Return the caps on unvetted issuers of those that offer or that we hold something of.

    A stranger of whom something is held is capped whether he offers or not: else he would take his bid back for a
    moment, and be asked for a whole share.

    ``needed``: how many issuers the code wants; ``capacity``: our own space; ``share``: what the plan wants of each
    issuer; ``clean``: in how many windows one proved its audits.

    With fewer vetted issuers than are needed there are no caps: better thin on strangers than not at all.
    """
    if len(set(here) & set(vetted)) < needed:
        return NO_CAPS
    lots = {node: lot(share, clean.get(node, 0), clean_leases.get(node, 0)) for node in here if node not in vetted}
    return Caps(lots, capacity // CAPACITY_FRACTION)


@dataclass(frozen=True)
class Trust:
    """What the keeper knows of issuers when it decides whom to ask: r of each, who is vetted, and the caps.

    ``judged``: of whom enough was seen to call it bad, vetted or not. ``own``: r of ourselves as others can see it.
    """

    reliability: Mapping[NodeId, float] = field(default_factory=dict[NodeId, float])
    vetted: frozenset[NodeId] = frozenset()
    caps: Caps = NO_CAPS
    judged: frozenset[NodeId] = frozenset()
    own: float | None = None
    asks: Asks = field(default_factory=lambda: NO_ASKS)
    """What others offer of their own notes for those of others."""
    is_new: bool = False
    """We ourselves are here for less time than it takes to be vetted: others take little of us, whatever we give."""

    def at_most(self, node: NodeId) -> float | None:
        """Return the most that a stranger's note can be worth by his own word; None: he is known, or says nothing."""
        return None if node in self.vetted else at_most(self.asks, node, self.reliability)

    def is_gone(self, node: NodeId) -> bool:
        """Tell whether a node was silent for so long that it will not come back. A stranger is not gone."""
        return self.reliability.get(node, 1.0) <= 0

    def is_bad(self, node: NodeId) -> bool:
        """Tell whether enough was seen of a node to know that its notes are hardly worth having."""
        low = self.reliability.get(node, 1.0) < BAD_RELIABILITY  # looked up first: it is true of few
        return low and (node in self.vetted or node in self.judged)

    def good(self, nodes: Collection[NodeId], needed: int) -> list[NodeId]:
        """Return these nodes without those who are gone, and of the bad ones only the best that are needed."""
        r = self.reliability
        here = [n for n in nodes if r.get(n, 1.0) > 0]
        bad = [n for n in here if self.is_bad(n)]
        if not bad:
            return here
        bad.sort(key=lambda n: (-r.get(n, 0.0), n))
        left_out = set(bad[max(0, needed - (len(here) - len(bad))) :])
        return [n for n in here if n not in left_out]

    def ranked(self, new: Sequence[NodeId], *, have: int, needed: int) -> list[NodeId]:
        """Return the issuers to ask first, and of those under a cap only one, unless the others are too few.

        Vetted ones stay in the order given: each is wanted at what it is worth, and if all asked the very best, nearly
        all would ask in vain. Strangers go by tenths of their reliability.
        """
        vetted = [n for n in new if n in self.vetted]
        unvetted = [n for n in new if n not in self.vetted]
        strangers = sorted(unvetted, key=lambda n: -round(self.reliability.get(n, 0.0), 1))
        if not self.caps.lots or have + len(vetted) < needed - 1:
            return [*vetted, *strangers]
        return [*vetted[: max(needed - have - 1, 0)], *strangers[:1], *vetted[max(needed - have - 1, 0) :]]


def unwanted(held: Collection[NodeId], trust: Trust, needed: int) -> frozenset[NodeId]:
    """Return those of the issuers that we hold something of who are too bad for it, as far as there are others."""
    return frozenset(node for node in held if trust.is_bad(node)) - set(trust.good(held, needed))


def on_trial(held: Collection[NodeId], keeping: Collection[NodeId], trust: Trust, needed: int) -> frozenset[NodeId]:
    """Return the strangers to try out, of those who owe us something: none until so many vetted ones keep something.

    Before that strangers get shares of their own.
    """
    if sum(node in trust.vetted and not trust.is_bad(node) for node in keeping) < needed:
        return frozenset()
    return frozenset(node for node in held if node not in trust.vetted and not trust.is_bad(node))


BLIND_TRUST: Final = Trust()
"""Before anything is known: whoever offers is as good as any other."""
