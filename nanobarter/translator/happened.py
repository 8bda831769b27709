"""What the news of the node's own mint and of its swap mean for the book."""

from nanobarter.core.units import Instant
from nanobarter.mint import events as mint_events
from nanobarter.swap import events as swap_events
from nanobarter.translator.entries import Happening, LeaseGiven, LeaseServed, PromisesLapsed, RingOver, Settled


def from_mint(event: mint_events.MintEvent, now: Instant) -> Happening | None:
    """Return what an event of my own mint means for the book; locks mean nothing until their ring is settled."""
    if isinstance(event, mint_events.LeaseStarted | mint_events.LeaseExtended):
        return LeaseGiven(event.contract, now)
    if isinstance(event, mint_events.LeaseEnded):
        return LeaseServed(event.lease_id, now)
    if isinstance(event, mint_events.PromisesLapsed):
        return PromisesLapsed(event.name, event.kind, event.quantity, event.at)
    return None


def from_swap(event: swap_events.SwapEvent, now: Instant) -> Happening | None:
    """Return what an event of the swap means for the book: only the end of a ring moves anything for good."""
    if isinstance(event, swap_events.Settled):
        return Settled(event.agreement_id, event.gave, event.got, event.parties, now)
    if isinstance(event, swap_events.Aborted) and event.over is not None:
        return from_ending(event.over)
    return None


def from_ending(over: swap_events.RingOver) -> Happening:
    """Return what the remembered end of an agreement means for the book."""
    return RingOver(over.agreement_id, over.how, over.gave, over.at)
