"""What happened, as double-entry book-keeping: each event becomes at most one entry, by a pure function.

A commodity is a quality and its unit the MiB, so nothing here needs a price: every entry sums to zero in each
commodity by itself. What one commodity was given for another meets in ``equity:exchange``, whose balance is what the
node traded away (positive) and for what (negative). Signs are those of hledger and beancount: assets and expenses are
positive, liabilities, income and equity negative.

=========================  =======================================================================
assets:notes:ISSUER        notes in the wallet
assets:locked:ISSUER       notes of mine in locks whose ring has not ended; negative: owed to a ring that paid me
assets:leases:ISSUER       space that others keep for me
liabilities:notes          my own promises in other hands: notes, and locks that were opened
liabilities:leases         space that I keep for others
expenses:used, :lapsed ..  leases that ran out in use; notes that lapsed, were given away or lost
expenses:wronged           given in a ring that never paid me
income:served, :received   leases of others that ran out; notes that came as a line of text
income:unclaimed           promises of mine that nobody claimed in time
equity:exchange            one quality for another
equity:opening             what was there when the book began
=========================  =======================================================================
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from nanobarter.core.ids import AgreementId, LeaseId, NodeId, short_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import Instant, LeaseKind, Quantity
from nanobarter.mint.answer_messages import Contract
from nanobarter.wallet.events import LeaseEnded, LeaseReceived, NotesReceived, NotesSpent, WalletEvent

Side = str | Callable[[Quality], str]
"""An account, or what names it for a quality."""

EXCHANGE = "equity:exchange"
OPENING = "equity:opening"
NOTES_ISSUED = "liabilities:notes"
LEASES_GIVEN = "liabilities:leases"


@dataclass(frozen=True)
class Posting:
    """So many MiB of a quality to one account; negative is from it."""

    account: str
    quality: Quality
    amount: int


@dataclass(frozen=True)
class Draft:
    """An entry not yet booked. ``key`` names what happened: it is booked once, however often it is told."""

    key: bytes
    at: Instant
    text: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True)
class Settled:
    """A ring of which both our arcs were paid: what we gave and what we got."""

    agreement: AgreementId
    gave: tuple[Quality, Quantity]
    got: tuple[Quality, Quantity]
    parties: tuple[NodeId, ...]
    at: Instant


@dataclass(frozen=True)
class RingOver:
    """An agreement ended, as the swap remembers it. Of a settled one, ``Settled`` tells more, if it was heard."""

    agreement: AgreementId
    how: str
    gave: tuple[Quality, Quantity]
    at: Instant


@dataclass(frozen=True)
class PromisesLapsed:
    """Notes or locks of my own mint lapsed in others' hands; ``name`` tells this end from all others."""

    name: bytes
    kind: LeaseKind
    quantity: Quantity
    at: Instant


@dataclass(frozen=True)
class LeaseGiven:
    """A lease at my own mint began (version 1) or was lengthened."""

    contract: Contract
    at: Instant


@dataclass(frozen=True)
class LeaseServed:
    """A lease at my own mint ran out."""

    lease_id: LeaseId
    at: Instant


Happening = WalletEvent | Settled | RingOver | PromisesLapsed | LeaseGiven | LeaseServed


@dataclass(frozen=True)
class Known:
    """What the book knows of the lease in question, before the event: its quality and size, if it had any."""

    node: NodeId
    lease: tuple[Quality, Quantity] | None = None


def notes(quality: Quality) -> str:
    """Return the account of notes held."""
    return f"assets:notes:{short_node(quality.issuer)}"


def locked(quality: Quality) -> str:
    """Return the account of notes locked."""
    return f"assets:locked:{short_node(quality.issuer)}"


def leases(quality: Quality) -> str:
    """Return the account of leases received."""
    return f"assets:leases:{short_node(quality.issuer)}"


_SPENT_TO = {
    "sent": ("expenses:given", "given away as text"),
    "elsewhere": ("expenses:lost", "spent by another copy of the wallet"),
    "lapsed": ("expenses:lapsed", "lapsed unused"),
    "retired": ("expenses:retired", "retired by their issuer, which began anew"),
    "cheated": ("expenses:cheated", "lost to a mint that signed falsely"),
}
_CAME_FROM = {
    "token": ("income:received", "received as text"),
    "restore": (OPENING, "found again from the phrase"),
    "take": (EXCHANGE, "received in exchange"),
}


def entry_of(event: Happening, known: Known) -> Draft | None:  # noqa: PLR0911 - one line per kind of event
    """Return the entry that an event makes, or None when it moves nothing."""
    match event:
        case NotesReceived():
            return _received(event)
        case NotesSpent():
            return _spent(event)
        case LeaseReceived():
            return _lease_received(event, known)
        case LeaseEnded():
            text = f"used up a lease of {event.quantity} MiB at {short_node(event.quality.issuer)}"
            return _move(event.key, event.at, text, event.quality, event.quantity, leases, "expenses:used")
        case Settled():
            return _settled(event, known)
        case RingOver():
            return _ring_over(event, known)
        case PromisesLapsed():
            text = f"{event.quantity} MiB that I had promised were not claimed in time"
            quality = Quality(known.node, event.kind)
            return _move(event.name, event.at, text, quality, event.quantity, "income:unclaimed", NOTES_ISSUED)
        case LeaseGiven():
            return _lease_given(event, known)
        case LeaseServed():
            return _lease_served(event, known)
        case _:
            assert_never(event)


def _move(
    key: bytes,
    at: Instant,
    text: str,
    quality: Quality,
    quantity: int,
    source: Side,
    target: Side,
) -> Draft:
    names = [side if isinstance(side, str) else side(quality) for side in (source, target)]
    postings = (Posting(names[1], quality, quantity), Posting(names[0], quality, -quantity))
    return Draft(key, at, text, postings)


def _received(event: NotesReceived) -> Draft:
    whose = short_node(event.quality.issuer)
    if event.how == "returned":
        text = f"got back {event.quantity} MiB of {whose} from a ring that failed"
        return _move(event.key, event.at, text, event.quality, event.quantity, locked, notes)
    source, how = _CAME_FROM[event.how]
    text = f"{how}: {event.quantity} MiB of {whose}"
    return _move(event.key, event.at, text, event.quality, event.quantity, source, notes)


def _spent(event: NotesSpent) -> Draft:
    whose = short_node(event.quality.issuer)
    if event.how == "lock":
        text = f"locked {event.quantity} MiB of {whose} for a ring"
        return _move(event.key, event.at, text, event.quality, event.quantity, notes, locked)
    if event.how in ("redeem", "extend"):
        text = f"turned {event.quantity} MiB of notes into a lease at {whose}"
        return _move(event.key, event.at, text, event.quality, event.quantity, notes, leases)
    target, how = _SPENT_TO[event.how]
    text = f"{how}: {event.quantity} MiB of {whose}"
    return _move(event.key, event.at, text, event.quality, event.quantity, notes, target)


def _lease_received(event: LeaseReceived, known: Known) -> Draft | None:
    whose = short_node(event.quality.issuer)
    if event.how == "take":
        text = f"received in exchange: a lease of {event.quantity} MiB at {whose}"
        return _move(event.key, event.at, text, event.quality, event.quantity, EXCHANGE, leases)
    if event.how == "extend" and known.lease is not None:
        quality, before = known.lease
        text = f"used one term of a lease of {before} MiB at {whose}"
        return _move(event.key, event.at, text, quality, before, leases, "expenses:used")
    return None  # redeem: the notes spent tell it all


def _settled(event: Settled, known: Known) -> Draft:
    gave, quantity = event.gave
    got, got_quantity = event.got
    source = NOTES_ISSUED if gave.issuer == known.node else locked(gave)
    text = (
        f"gave {quantity} MiB of {short_node(gave.issuer)} for {got_quantity} MiB of {short_node(got.issuer)}"
        f" in a ring of {len(event.parties)}"
    )
    return _move(ring_name(event.agreement), event.at, text, gave, quantity, source, EXCHANGE)


def _ring_over(event: RingOver, known: Known) -> Draft | None:
    """Book what an agreement took out of our hands for good, when its ending is all that is known of it.

    A ring that was aborted gave back what it took, which the wallet tells. What we owe after a ring that paid us
    is booked as given: the lock that makes it good, which the wallet tells too, brings the account to nothing.
    """
    (gave, quantity), whose = event.gave, short_node(event.gave[0].issuer)
    own = gave.issuer == known.node
    source = NOTES_ISSUED if own else locked(gave)
    match event.how:
        case "settled" | "owing":
            text = f"gave {quantity} MiB of {whose} in a ring" if event.how == "settled" else (
                f"owe {quantity} MiB of {whose} to a ring that paid me"
            )  # fmt: skip
            target = EXCHANGE
        case "wronged":
            text, target = f"gave {quantity} MiB of {whose} in a ring that did not pay me", "expenses:wronged"
        case "lapsed" if not own:
            text, target = f"{quantity} MiB of {whose} lapsed in a ring that nobody ended", "expenses:lapsed"
        case _:
            return None
    return _move(ring_name(event.agreement), event.at, text, gave, quantity, source, target)


def ring_name(agreement: AgreementId) -> bytes:
    """Return what names the end of an agreement, whoever tells it."""
    return b"settled" + agreement


def _lease_given(event: LeaseGiven, known: Known) -> Draft:
    contract = event.contract
    quality, quantity = Quality(contract.issuer, contract.terms.kind), contract.terms.quantity
    key = b"given" + contract.lease_id + contract.version.to_bytes(8, "big")
    text = f"keep {quantity} MiB for another until the lease ends"
    postings = [Posting(NOTES_ISSUED, quality, quantity), Posting(LEASES_GIVEN, quality, -quantity)]
    if known.lease is not None:
        served = known.lease[1]
        postings += [Posting(LEASES_GIVEN, quality, served), Posting("income:served", quality, -served)]
        text = f"kept {served} MiB for another by one term, and keep {quantity} MiB on"
    return Draft(key, event.at, text, tuple(postings))


def _lease_served(event: LeaseServed, known: Known) -> Draft | None:
    if known.lease is None:
        return None
    quality, quantity = known.lease
    text = f"kept {quantity} MiB for another to the end"
    return _move(b"served" + event.lease_id, event.at, text, quality, quantity, "income:served", LEASES_GIVEN)


def lease_after(event: Happening) -> tuple[LeaseId, tuple[Quality, Quantity] | None] | None:
    """Return what the book must remember of a lease after an event: its quality and size, None when it is over."""
    match event:
        case LeaseReceived():
            return event.lease_id, (event.quality, event.quantity)
        case LeaseGiven():
            terms = event.contract.terms
            return event.contract.lease_id, (Quality(event.contract.issuer, terms.kind), terms.quantity)
        case LeaseEnded() | LeaseServed():
            return event.lease_id, None
        case NotesReceived() | NotesSpent() | Settled() | RingOver() | PromisesLapsed():
            return None
        case _:
            assert_never(event)
