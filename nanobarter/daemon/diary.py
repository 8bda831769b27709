"""What happens to a node over time, in words for the log: who failed, who went, what was repaired, what ends.

Looked at once a minute and compared with the minute before, so that a bad hour costs some lines and not a full disk:
what is said is what changed, and of one sort no more than a few lines a minute. Nothing secret is in it: nodes by the
first letters of their ids, shares and leases by the first digits of theirs.
"""

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import trio

from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.units import DAY, HOUR, MIB, MINUTE, SECOND, Instant, Span, show_size
from nanobarter.daemon.diagnosis import CLOCK_WARN_MS
from nanobarter.daemon.disk import lent_left, offered_left, stored, too_little
from nanobarter.daemon.localtime import show_time
from nanobarter.net.checkup import median_ahead

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

EVERY: Final = Span(MINUTE)
LEAD: Final = Span(3 * DAY)  # a lease that holds something and ends so soon was not renewed as it should have been
LINES_MAX: Final = 5  # of one sort in one minute; the rest is counted
CLOCK_EVERY: Final = Span(6 * HOUR)
EVIDENCE_MAX: Final = 1000
_log = logging.getLogger("nanobarterd.diary")

Line = tuple[int, str]
"""A level of the log, and the words."""


@dataclass(frozen=True)
class Own:
    """A lease of ours at another node."""

    issuer: NodeId
    ends: Instant
    used: bool


@dataclass(frozen=True)
class Sight:
    """How things stand at one moment."""

    at: Instant
    evidence: int = 0
    failed: tuple[tuple[NodeId, bytes, str], ...] = ()
    """Wrong answers since the sight before: whose, which share, what was wrong."""
    silent: frozenset[NodeId] = frozenset()
    """Peers of whose shares none was answered for when last asked."""
    own: Mapping[bytes, Own] = field(default_factory=dict[bytes, Own])
    given: Mapping[bytes, Instant] = field(default_factory=dict[bytes, Instant])
    """When the leases end under which something is kept here."""
    unwell: bool = False
    disk_free: int = 2**62
    disk_reserve: int = 0
    disk_kept: int = 0
    """What of the disk others fill."""
    disk_short: str = ""
    """What to tell when the disk has less free than what is lent or offered may still take."""
    disk_cut: str = ""
    """What to tell when there are orders that the disk has no room for."""
    clock: str = ""

    @property
    def disk_full(self) -> bool:
        """Whether nothing more is taken in."""
        return self.disk_free < self.disk_reserve


def told(before: Sight, after: Sight) -> list[Line]:
    """Return what to say of the time between two sights. Pure."""
    lines = list[Line]()
    sorts = (_failed(after), _peers(before, after), _own(before, after), _given(before, after), _self(before, after))
    for sort in sorts:
        said = list(sort)
        lines += said[:LINES_MAX]
        if len(said) > LINES_MAX:
            lines.append((max(level for level, _ in said), f"and {len(said) - LINES_MAX} more of this sort"))
    return lines


def problems(now: Sight) -> list[str]:
    """Return what a person must know now."""
    found = [f"the clock is off: {now.clock}"] if now.clock else []
    if now.disk_full:
        found.append(f"the disk is nearly full ({show_size(now.disk_free)} free): nothing more is taken in for others")
    elif now.disk_short:
        found.append(f"{now.disk_short}: free some space, or lend less (nbctl offer shrink)")
    if now.disk_cut:
        found.append(now.disk_cut)
    ending = [lease for lease in now.own.values() if lease.used and now.at < lease.ends <= now.at + LEAD]
    if ending:
        first = min(lease.ends for lease in ending)
        found.append(f"{len(ending)} leases with shares of yours were not renewed; the first ends {show_time(first)}")
    return found


def _failed(after: Sight) -> Iterator[Line]:
    for node, share, problem in after.failed:
        yield logging.WARNING, f"audit failed: {short_node(node)}, share {share.hex()[:16]}: {problem}"


def _peers(before: Sight, after: Sight) -> Iterator[Line]:
    for node in sorted(after.silent - before.silent):
        yield logging.WARNING, f"{short_node(node)} does not answer for the shares that it keeps"
    holders = {lease.issuer for lease in after.own.values()}
    for node in sorted((before.silent - after.silent) & holders):
        yield logging.INFO, f"{short_node(node)} is back and answers for its shares"


def _own(before: Sight, after: Sight) -> Iterator[Line]:
    for lease_id, lease in after.own.items():
        was, name = before.own.get(lease_id), f"lease {lease_id.hex()[:16]} at {short_node(lease.issuer)}"
        if was is None:
            yield logging.INFO, f"{name} began; it runs until {show_time(lease.ends)}"
        elif lease.ends > was.ends:
            yield logging.INFO, f"{name} was renewed; it runs until {show_time(lease.ends)}"
        elif lease.used and before.at < lease.ends - LEAD <= after.at:
            yield logging.WARNING, f"{name} ends {show_time(lease.ends)} and is not renewed"
        elif before.at < lease.ends <= after.at:
            yield logging.WARNING if lease.used else logging.INFO, f"{name} has ended"


def _given(before: Sight, after: Sight) -> Iterator[Line]:
    for lease_id, ends in after.given.items():
        was, name = before.given.get(lease_id), f"lease {lease_id.hex()[:16]} that is kept here"
        if was is not None and ends > was:
            yield logging.INFO, f"{name} was renewed until {show_time(ends)}"
        elif before.at < ends <= after.at:
            yield logging.INFO, f"{name} has ended; what is under it can be read for seven more days"
    for lease_id in before.given.keys() - after.given.keys():
        yield logging.INFO, f"lease {lease_id.hex()[:16]} is over, and what was kept here under it is deleted"


def _self(before: Sight, after: Sight) -> Iterator[Line]:
    if after.unwell and not before.unwell:
        yield logging.WARNING, "packs miss proven shares: repair begins"
    if before.unwell and not after.unwell:
        yield logging.INFO, "repair has ended: every pack has its proven shares again"
    if after.disk_full and not before.disk_full:
        yield logging.WARNING, f"the disk is nearly full: {show_size(after.disk_free)} free, nothing more is taken in"
    if before.disk_full and not after.disk_full:
        yield logging.INFO, f"the disk has room again: {show_size(after.disk_free)} free"
    if after.disk_short and not before.disk_short:
        yield logging.WARNING, after.disk_short
    if after.disk_cut and not before.disk_cut:
        yield logging.WARNING, after.disk_cut
    if after.clock and not before.clock:
        yield logging.WARNING, f"the clock is off: {after.clock}"


def look(db: sqlite3.Connection, at: Instant, seen: int) -> Sight:
    """Return how the tables stand, with the evidence after a number."""
    found = db.execute(
        "SELECT evidence_id, node, root, problem FROM storage_evidence WHERE evidence_id > ? "
        "ORDER BY evidence_id LIMIT ?",
        (seen, EVIDENCE_MAX),
    ).fetchall()
    silent = db.execute(
        "SELECT node FROM storage_placements WHERE state = 'held' GROUP BY node HAVING count(*) = count(silent_since)"
    )
    own = db.execute(
        "SELECT lease_id, issuer, ends_at, EXISTS (SELECT 1 FROM storage_placements AS p "
        "WHERE p.lease_id = l.lease_id AND p.state = 'held') FROM storage_leases AS l"
    )
    given = db.execute("SELECT lease_id, ends_at FROM storage_vault_leases")
    return Sight(
        at=at,
        evidence=found[-1][0] if found else seen,
        failed=tuple((NodeId(node), root, problem) for _, node, root, problem in found),
        silent=frozenset(NodeId(node) for (node,) in silent),
        own={lease: Own(NodeId(issuer), Instant(ends), bool(used)) for lease, issuer, ends, used in own},
        given={lease: Instant(ends) for lease, ends in given},
    )


class Diary:
    """Writes the log of a node. ``problems`` is what its status tells of it."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._sight: Sight | None = None
        self._clock, self._clock_at = "", Instant(0)

    def problems(self) -> list[str]:
        """Return what a person must know."""
        return problems(self._sight) if self._sight is not None else []

    def room(self, lent: int) -> int:
        """Return how many bytes more may be promised, when so many are lent in all; by the disk of a minute ago."""
        seen = self._sight
        return 2**62 if seen is None else seen.disk_free + seen.disk_kept - seen.disk_reserve - lent

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look once a minute, until cancelled. What was before the start is not told again."""
        task_status.started()
        while True:
            before, after = self._sight, await self._look()
            self._sight = after
            if before is None and after.disk_short:
                _log.warning("%s", after.disk_short)
            for level, line in told(before, after) if before is not None else ():
                _log.log(level, "%s", line)
            await trio.sleep(EVERY / SECOND)

    async def _look(self) -> Sight:
        node, now = self._node, self._node.clock.now()
        seen = self._sight.evidence if self._sight is not None else await node.store.read(_last_evidence)
        sight = await node.store.read(lambda db: look(db, now, seen))
        free = await trio.to_thread.run_sync(node.vault.free_bytes)
        await self._ask_the_time(now)
        return Sight(
            at=sight.at,
            evidence=sight.evidence,
            failed=sight.failed,
            silent=sight.silent,
            own=sight.own,
            given=sight.given,
            unwell=node.auditor.unwell,
            disk_free=free,
            disk_reserve=node.limits.vault_disk_reserve_bytes + 2 * MIB,
            disk_kept=stored(node),
            disk_short=too_little(free, offered_left(node), lent_left(node)),
            disk_cut=node.thrifty.problem,
            clock=self._clock,
        )

    async def _ask_the_time(self, now: Instant) -> None:
        """Compare clocks with the peers now and then; an hour after the start at first, when there are some."""
        if not self._clock_at:
            self._clock_at = Instant(now - CLOCK_EVERY + HOUR)
        if now - self._clock_at < CLOCK_EVERY or not self._node.network.connected():
            return
        self._clock_at = now
        ahead = median_ahead([*await self._node.network.check_up()])
        off = ahead is not None and abs(ahead) >= CLOCK_WARN_MS
        self._clock = (
            f"{abs(ahead or 0) / SECOND:.0f} s {'behind' if (ahead or 0) > 0 else 'ahead of'} peers" if off else ""
        )


def _last_evidence(db: sqlite3.Connection) -> int:
    return db.execute("SELECT coalesce(max(evidence_id), 0) FROM storage_evidence").fetchone()[0]
