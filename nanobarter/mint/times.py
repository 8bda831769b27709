"""The mint's durable sense of time: what was called past stays past, and when it was deaf to its peers."""

from nanobarter.core.units import Instant, Span
from nanobarter.mint.rows import Db, one
from nanobarter.mint.rules import Outage

OUTAGES_MAX = 1000


def advance_time(db: Db, clock_now: Instant) -> Instant:
    """Return now, and remember it: what was signed as past stays past, whatever the clock does."""
    held = one(db, "SELECT value FROM mint_marks WHERE name = 'now'")
    if held is not None and held[0] >= clock_now:
        return Instant(held[0])
    db.execute("INSERT OR REPLACE INTO mint_marks VALUES ('now', ?)", (clock_now,))
    return clock_now


def newest_time(db: Db, clock_now: Instant) -> Instant:
    """Return a time that no durable mark contradicts."""
    held = one(db, "SELECT value FROM mint_marks WHERE name = 'now'")
    return Instant(max(clock_now, held[0] if held else 0))


def mark_alive(db: Db, now: Instant, gap_max: Span, *, heard: bool = True) -> None:
    """Note that the mint is up; a longer gap since the last such note is an outage that refunds wait for.

    Without ``heard`` only the gap is looked for: no peer answers, so opens may be missed right now.
    """
    held = one(db, "SELECT value FROM mint_marks WHERE name = 'alive'")
    if held is not None and now - held[0] > gap_max:
        db.execute(
            "INSERT INTO mint_outages VALUES (?, ?) ON CONFLICT DO UPDATE SET ended = max(ended, excluded.ended)",
            (held[0], now),
        )
        db.execute(
            "DELETE FROM mint_outages WHERE began NOT IN (SELECT began FROM mint_outages ORDER BY began DESC LIMIT ?)",
            (OUTAGES_MAX,),
        )
    if heard:
        db.execute("INSERT OR REPLACE INTO mint_marks VALUES ('alive', ?)", (now,))


def outages(db: Db, since: Instant) -> list[Outage]:
    """Return the outages that reach into the time since then."""
    found = db.execute("SELECT began, ended FROM mint_outages WHERE ended >= ?", (since,))
    return [Outage(Instant(began), Instant(ended)) for began, ended in found]
