"""Leaving in good order: a node that stops keeping others' shares says so, and their owners move them in time.

The owner of a share is known to its vault by a key alone, not by a node, so the notice goes to all: a gossip item
signed by the node that leaves, which its withdrawal takes back. Who hears it entrusts nothing new to that node and
places its own shares elsewhere; they count as they are proven until the last of them has moved. The node goes on
to serve, prove and delete; it only takes nothing new in.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item
from nanobarter.core.ports import Handler, Registrar
from nanobarter.core.store import Migration
from nanobarter.core.units import Instant
from nanobarter.storage.vault_messages import Refusal

NOTICE_KEY: Final = b""
_NOTICE_BYTES_MAX: Final = 64
_CLOSED: Final = encode(Refusal(Reason.STOPPING, "this node is leaving and takes nothing new"))

LEAVING_MIGRATIONS: Final = (
    Migration(
        "storage_leaving",
        1,
        """
        CREATE TABLE storage_leaving (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            since INTEGER NOT NULL,
            shares INTEGER NOT NULL,
            share_bytes INTEGER NOT NULL
        ) STRICT;
        """,
    ),
)


class LeaveNotice(Record, frozen=True):
    """What a node that leaves says of itself: since when, and when the last lease at it ends."""

    version: Literal[1]
    since: Instant
    until: Instant


def read_notice(item: Item) -> LeaveNotice:
    """Return the notice in an item. Raises Malformed when it is none."""
    if item.key != NOTICE_KEY:
        raise Malformed("a node says once that it leaves")
    return decode(item.body, LeaveNotice, size_max=_NOTICE_BYTES_MAX)


def is_notice(item: Item) -> bool:
    """Tell whether gossip should pass an item on: its payload is a notice."""
    read_notice(item)
    return True


@dataclass(frozen=True)
class Kept:
    """What a vault keeps for others under leases that run: ``holders`` counts their keys."""

    shares: int = 0
    share_bytes: int = 0
    leases: int = 0
    holders: int = 0
    last_end: Instant = Instant(0)


@dataclass(frozen=True)
class Begun:
    """That this node leaves, since when, and what it kept then."""

    since: Instant
    shares: int
    share_bytes: int


def kept_now(db: sqlite3.Connection, now: Instant) -> Kept:
    """Return what is kept for others under leases that have not ended."""
    row = db.execute(
        "SELECT count(*), coalesce(sum(s.size), 0), count(DISTINCT l.lease_id), count(DISTINCT l.holder), "
        "coalesce(max(l.ends_at), 0) FROM storage_vault_leases AS l JOIN storage_vault_shares AS s USING (lease_id) "
        "WHERE l.ends_at > ?",
        (now,),
    ).fetchone()
    return Kept(*row)


def begin(db: sqlite3.Connection, now: Instant) -> Begun:
    """Note that this node leaves, and what it keeps; the first time counts."""
    kept = kept_now(db, now)
    values = (now, kept.shares, kept.share_bytes)
    db.execute("INSERT INTO storage_leaving VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING", values)
    return find(db) or Begun(*values)


def cancel(db: sqlite3.Connection) -> bool:
    """Note that this node stays after all; False when it did anyway."""
    return bool(db.execute("DELETE FROM storage_leaving").rowcount)


def find(db: sqlite3.Connection) -> Begun | None:
    """Return whether this node leaves."""
    row = db.execute("SELECT since, shares, share_bytes FROM storage_leaving").fetchone()
    return Begun(*row) if row else None


class Closing:
    """A registrar in front of which a vault takes nothing new in while ``closed`` says so."""

    def __init__(self, inner: Registrar, closed: Callable[[], bool]) -> None:
        self._inner, self._closed = inner, closed

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        """Serve a method; an allocation is refused by a node that leaves."""
        gated = self._gated(handler) if method in ("storage.allocate", "storage.place") else handler
        self._inner.add(method, gated, body_max=body_max)

    def _gated(self, handler: Handler) -> Handler:
        async def serve(peer: NodeId, body: bytes) -> bytes:
            return _CLOSED if self._closed() else await handler(peer, body)

        return serve
