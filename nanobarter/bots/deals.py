"""The deals that the dealers agreed to: what they promise while their rings run, and what they have lost.

A deal is written before its draft is approved and counts from then on, as if it had settled: what is promised of an
issuer is as good as held, and what it would lose is lost. When the ring comes to nothing it is forgotten; when it
settles, the notes are in the wallet and the loss stays. A deal whose end nobody saw, since a crash hid it, is taken
for settled: the limits may then be narrower than they need to be, never wider.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from nanobarter.bots.dealing import Deal
from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, Instant, Span, span_between

Dealer = Literal["trader", "arbitrageur"]
MONTH: Final = Span(30 * DAY)


@dataclass(frozen=True)
class Agreed:
    """One deal. ``lost`` is in thousandths of a reference MiB; ``done``: its ring is over, and it stands."""

    dealer: Dealer
    deal: Deal
    lost: int
    done: bool = False


@dataclass(frozen=True)
class Promised:
    """What the rings that run would bring and take, by issuer, MiB."""

    gotten: Mapping[NodeId, int]
    given: Mapping[NodeId, int]


class Deals:
    """The deals of the last month. Changes are durable on return, and count from the moment they are asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = store.read_now(_read)

    @property
    def known(self) -> Mapping[DraftId, Agreed]:
        """Every deal that is remembered."""
        return self._known

    def running(self) -> dict[DraftId, Agreed]:
        """Return the deals whose rings are not over."""
        return {draft: agreed for draft, agreed in self._known.items() if not agreed.done}

    def promised(self) -> Promised:
        """Return what the rings that run would bring and take."""
        gotten, given = dict[NodeId, int](), dict[NodeId, int]()
        for agreed in self.running().values():
            deal = agreed.deal
            gotten[deal.gets] = gotten.get(deal.gets, 0) + deal.gotten
            given[deal.gives] = given.get(deal.gives, 0) + deal.given
        return Promised(gotten, given)

    def lost(self, now: Instant, span: Span) -> int:
        """Return what was lost, or may be by rings that run, in the span that ends now."""
        return sum(each.lost for each in self._known.values() if span_between(each.deal.heard, now) < span)

    async def agree(self, draft: DraftId, agreed: Agreed) -> None:
        """Remember a deal before its draft is approved."""
        self._known = {**self._known, draft: agreed}
        await self._store.write(lambda db: _put(db, draft, agreed))

    async def settle(self, draft: DraftId, lost: int | None = None) -> None:
        """Note that a ring is over and its deal stands; ``lost`` if that turned out to be more."""
        before = self._known.get(draft)
        if before is None or before.done:
            return
        after = replace(before, done=True, lost=before.lost if lost is None else max(lost, before.lost))
        self._known = {**self._known, draft: after}
        await self._store.write(lambda db: _put(db, draft, after))

    async def drop(self, draft: DraftId) -> None:
        """Note that a ring came to nothing."""
        before = self._known.get(draft)
        if before is None or before.done:
            return
        self._known = {known: agreed for known, agreed in self._known.items() if known != draft}
        await self._store.write(lambda db: db.execute("DELETE FROM bots_deals WHERE draft = ?", (draft,)).rowcount)

    async def forget(self, now: Instant) -> None:
        """Forget deals that no limit looks back to."""
        old = [draft for draft, a in self._known.items() if a.done and span_between(a.deal.heard, now) >= MONTH]
        if not old:
            return
        self._known = {draft: agreed for draft, agreed in self._known.items() if draft not in old}
        rows = [(draft,) for draft in old]
        await self._store.write(lambda db: db.executemany("DELETE FROM bots_deals WHERE draft = ?", rows).rowcount)


def _put(db: sqlite3.Connection, draft: DraftId, agreed: Agreed) -> int:
    d = agreed.deal
    row = (draft, agreed.dealer, d.heard, d.gives, d.given, d.gets, d.gotten, agreed.lost, agreed.done)
    return db.execute("INSERT OR REPLACE INTO bots_deals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row).rowcount


def _read(db: sqlite3.Connection) -> dict[DraftId, Agreed]:
    rows = db.execute("SELECT * FROM bots_deals ORDER BY at, draft").fetchall()
    return {
        DraftId(draft): Agreed(
            dealer, Deal(NodeId(gives), given, NodeId(gets), gotten, Instant(at)), lost, done=bool(done)
        )
        for draft, dealer, at, gives, given, gets, gotten, lost, done in rows
    }
