"""What a mint tells its owner of its keysets: their windows, and how much of each denomination is issued and spent."""

from dataclasses import dataclass
from typing import Literal

from nanobarter.core.canonical import decode
from nanobarter.core.ids import KeysetId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, Quantity, after, before
from nanobarter.mint.messages import Announcement
from nanobarter.mint.notes import ANNOUNCEMENT_BYTES_MAX
from nanobarter.mint.rows import Db

Stage = Literal["ahead", "issuing", "redeeming", "retired", "purging"]


@dataclass(frozen=True)
class Denomination:
    """The notes of one size: how many were signed, and how many came back."""

    quantity: Quantity
    issued: int
    spent: int


@dataclass(frozen=True)
class Inventory:
    """One keyset. ``outstanding`` counts in the law only until ``redeem_until``."""

    keyset: KeysetId
    announcement: Announcement
    stage: Stage
    denominations: tuple[Denomination, ...]

    @property
    def outstanding(self) -> Quantity:
        """What its unspent notes still promise, in MiB."""
        if self.stage in ("retired", "purging"):
            return Quantity(0)
        return Quantity(sum((d.issued - d.spent) * d.quantity for d in self.denominations))


def inventory(db: Db, now: Instant) -> list[Inventory]:
    """Return all keysets that are not gone yet, by kind and window."""
    rows = db.execute(
        "SELECT number, keyset_id, signed, closed FROM mint_keysets ORDER BY kind, issue_from, generation"
    ).fetchall()
    found = list[Inventory]()
    for number, keyset, raw, closed in rows:
        signed = decode(raw, Signed, size_max=2 * ANNOUNCEMENT_BYTES_MAX)
        body = decode(signed.body, Announcement, size_max=ANNOUNCEMENT_BYTES_MAX)
        sql = "SELECT quantity, issued, spent FROM mint_keys WHERE keyset = ? ORDER BY quantity"
        sizes = tuple(Denomination(Quantity(q), i, s) for q, i, s in db.execute(sql, (number,)))
        found.append(Inventory(KeysetId(keyset), body, _stage(body, closed, now), sizes))
    return found


def _stage(body: Announcement, closed: int, now: Instant) -> Stage:
    if closed or now >= body.redeem_until:
        return "purging" if closed > 1 else "retired"
    if now < body.issue_from:
        return "ahead"
    return "issuing" if now < body.issue_until else "redeeming"


def next_keys_at(db: Db, now: Instant, limits: Limits) -> Instant:
    """Return when the next keysets are made: shortly before the window after the newest one."""
    row = db.execute("SELECT max(issue_from) FROM mint_keysets").fetchone()
    newest = Instant(row[0] if row[0] is not None else now)
    return before(after(newest, limits.mint_issue_span), limits.mint_keyset_lead)
