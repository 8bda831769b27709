"""The pledge desk: what this disk lends, changed while the node runs, and the keysets that stand on it."""

import shutil
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Final

import msgspec
import trio

from nanobarter.core.errors import UsageError
from nanobarter.core.quality import Quality
from nanobarter.core.units import LEASE_KINDS_DEFAULT, MIB, Instant, LeaseKind, Quantity, parse_size, show_size
from nanobarter.daemon import facade_pledge as shapes
from nanobarter.daemon.config import Offer
from nanobarter.daemon.config_change import changed_offer, checked_text, write_text
from nanobarter.daemon.disk import stored
from nanobarter.daemon.holdings import reserve_quantity
from nanobarter.daemon.services import Node
from nanobarter.daemon.services_barter import pledge_of
from nanobarter.mint.inventory import Inventory, inventory, next_keys_at
from nanobarter.mint.pledge import Blocked, Promise
from nanobarter.wallet import rows as wallet_rows

LISTED_MAX: Final = 100


class PledgeDesk:
    """Implements ``facade_pledge.PledgeFacade`` over a running node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._turn = trio.Lock()

    async def keysets(self) -> shapes.MintKeysets:
        """List the keysets of the own mint."""
        node, now = self._node, self._node.clock.now()
        found = await node.store.read(lambda db: inventory(db, now))
        return shapes.MintKeysets(
            generation=max((i.announcement.generation for i in found), default=0),
            next_keys_at=await node.store.read(lambda db: next_keys_at(db, now, node.limits)),
            keysets=tuple(map(_keyset_row, found)),
        )

    async def offer(self) -> shapes.OfferView:
        """Show what is offered, and where it is."""
        node, now = self._node, self._node.clock.now()
        promised = await node.store.read(
            lambda db: {k: wallet_rows.reserved(db, Quality(node.me, k), now) for k in LEASE_KINDS_DEFAULT}
        )
        rows = tuple(
            shapes.PledgeRow(
                kind=c.kind,
                pledged_mib=c.pledged,
                notes_mib=c.outstanding,
                locked_mib=c.locked,
                leased_mib=c.leased,
                reserved_mib=c.reserved,
                promised_mib=promised.get(c.kind, Quantity(0)),
                free_mib=c.free - promised.get(c.kind, 0),
            )
            for c in node.mint.capacity()
            if c.pledged
        )
        return shapes.OfferView(
            space_bytes=node.config.offer.space_bytes, disk_free_bytes=await self._disk_free(), kinds=rows
        )

    async def change(self, space: str, kind: str, *, grow: bool) -> shapes.OfferChanged:
        """Pledge so much more, or less; durable in the config before it is told.

        Raises UsageError for words that mean nothing, a disk that is too small, or a config that would be wrong.
        """
        size, wanted = _read_size(space), _read_kind(kind)
        async with self._turn:
            node = self._node
            offer = changed_offer(node.config.offer, size if grow else -size, wanted)
            if grow:
                await self._check_disk(offer)
            return await self._change(offer, grow=grow)

    async def _change(self, offer: Offer, *, grow: bool) -> shapes.OfferChanged:
        node = self._node
        text = await trio.to_thread.run_sync(checked_text, node.home, offer)
        config = msgspec.structs.replace(node.config, offer=offer)
        # The config must never promise less than the mint has given away, or the next start would be refused. So it
        # grows first and shrinks last; a crash in between leaves it the larger of the two.
        if grow:
            await trio.to_thread.run_sync(write_text, node.home, text)
        blocked = await node.mint.repledge(pledge_of(config), _nothing if grow else self._promised)
        if blocked:
            return shapes.OfferChanged(
                changed=False, offer=await self.offer(), blocked=tuple(map(_blocked_row, blocked))
            )
        if not grow:
            await trio.to_thread.run_sync(write_text, node.home, text)
        node.config = config
        node.keeper.keep_reserve(reserve_quantity(config.market.reserve_bytes(offer.space_bytes)))
        return shapes.OfferChanged(changed=True, offer=await self.offer())

    def _promised(self, db: Connection, kind: LeaseKind) -> Sequence[Promise]:
        """Return what drafts under way were promised of our own space: the wallet's record, not yet the mint's."""
        sql = "SELECT quantity, until FROM wallet_reservations WHERE issuer = ? AND kind = ? AND until > ?"
        found = db.execute(sql, (self._node.me, kind, self._node.clock.now())).fetchall()
        return [Promise("reserved", Quantity(quantity), Instant(until)) for quantity, until in found]

    async def _check_disk(self, offer: Offer) -> None:
        """Refuse to lend what the disk could not hold once all of it is asked for; what lies there has its place."""
        free = await self._disk_free()
        if (open_bytes := offer.space_bytes - stored(self._node)) > free:
            raise UsageError(
                f"the disk has {show_size(free)} free, and {show_size(max(open_bytes, 0))} lent could still be filled",
                hint="free some space, or grow by less",
            )

    async def _disk_free(self) -> int:
        return (await trio.to_thread.run_sync(shutil.disk_usage, self._node.home.path)).free


def _nothing(_db: Connection, _kind: LeaseKind) -> Sequence[Promise]:
    return ()


def _read_size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if size < MIB:
        raise UsageError(f"{text!r} is less than 1 MiB", hint="say by how much: 5GB")
    return size


def _read_kind(text: str) -> LeaseKind | None:
    if text and text not in LEASE_KINDS_DEFAULT:
        raise UsageError(f"{text!r} is not a lease kind", hint=f"write one of {', '.join(LEASE_KINDS_DEFAULT)}")
    return LeaseKind(text) if text else None


def _keyset_row(one: Inventory) -> shapes.KeysetRow:
    body = one.announcement
    return shapes.KeysetRow(
        keyset=one.keyset.hex(),
        kind=body.kind,
        generation=body.generation,
        stage=one.stage,
        issue_from=body.issue_from,
        issue_until=body.issue_until,
        redeem_until=body.redeem_until,
        purge_at=body.purge_at,
        outstanding_mib=one.outstanding,
        sizes=tuple(shapes.SizeRow(mib=d.quantity, issued=d.issued, spent=d.spent) for d in one.denominations),
    )


def _blocked_row(blocked: Blocked) -> shapes.BlockedRow:
    together = dict[tuple[str, Instant], shapes.PromiseRow]()
    for p in blocked.in_the_way():
        before = together.get((p.what, p.until))
        mib = p.quantity + (before.mib if before else 0)
        together[(p.what, p.until)] = shapes.PromiseRow(what=p.what, mib=mib, until=p.until)
    return shapes.BlockedRow(
        kind=blocked.kind,
        wanted_mib=blocked.wanted,
        promised_mib=blocked.promised,
        ends_first=tuple(together.values())[:LISTED_MAX],
    )
