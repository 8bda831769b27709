"""What a doctor would say of a node: facts go in, findings with remedies come out. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from nanobarter.core.units import MIB, MINUTE, SECOND, show_size
from nanobarter.net.checkup import PeerSaid, Reached, median_ahead
from nanobarter.translator.ledger_audit import REMEDY

State = Literal["ok", "warn", "fail"]

CLOCK_WARN_MS: Final = 5 * SECOND
CLOCK_FAIL_MS: Final = MINUTE  # beyond it partners refuse drafts
FDS_SPARE: Final = 256  # files of the store, vault and folders, beside one socket per connection
_SPARE_BYTES: Final = 512 * MIB


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    told: str
    hint: str = ""


@dataclass(frozen=True)
class Facts:
    """What was found out about a node."""

    connected: int
    known: int
    bootstrap: int
    listening: str
    addresses: tuple[str, ...]
    said: tuple[PeerSaid, ...]
    has_ipv6: bool
    friends_only: bool
    friends: int
    same_host: bool
    disk_free_bytes: int
    promised_left_bytes: int
    fd_limit: int
    connections_max: int
    seed_mode: int
    paths: tuple[str, ...] = ()
    """How each connected peer is reached."""
    ledger_bad: tuple[str, ...] = ()
    """Entries of the ledger that cannot be right."""
    ledger_off: tuple[str, ...] = ()
    """Where the ledger differs from what it tells of."""


def diagnose(facts: Facts) -> list[Finding]:
    """Return every finding, in the order in which a person should mend them."""
    return [
        disk(facts.disk_free_bytes, facts.promised_left_bytes),
        seed(facts.seed_mode),
        files(facts.fd_limit, facts.connections_max),
        _peers(facts),
        _reachable(facts),
        _ways(facts),
        _ipv6(facts),
        _clock(facts),
        _circle(facts),
        _ledger(facts),
    ]


def is_well(findings: list[Finding]) -> bool:
    """Tell whether nothing fails; warnings are no failure."""
    return all(finding.state != "fail" for finding in findings)


def disk(free: int, left: int) -> Finding:
    """Judge the disk of the home: bytes free, and bytes lent that may still be filled."""
    told = f"{show_size(free)} free, {show_size(left)} of what is lent are not used yet"
    if free < _SPARE_BYTES:
        return Finding("disk", "fail", told, "free some space: a full disk stops the node")
    if free < left + _SPARE_BYTES:
        return Finding("disk", "warn", told, "free some space, or lend less: nbctl offer shrink")
    return Finding("disk", "ok", told)


def seed(mode: int) -> Finding:
    """Judge who may read the seed."""
    if mode & 0o077:
        return Finding("seed", "fail", f"the seed has mode {mode:o}", "chmod 600 seed in the home")
    return Finding("seed", "ok", "only its owner can read the seed")


def files(limit: int, connections_max: int) -> Finding:
    """Judge how many files and sockets may be open."""
    needed = connections_max + FDS_SPARE
    told = f"{limit} files may be open, {needed} may be needed"
    if limit < needed:
        return Finding("files", "warn", told, f"raise the limit where the daemon is started: ulimit -n {needed}")
    return Finding("files", "ok", told)


def _peers(facts: Facts) -> Finding:
    told = f"{facts.connected} connected, {facts.known} known"
    if facts.connected:
        return Finding("peers", "ok", told)
    if facts.known or facts.bootstrap:
        hint = "is this machine online? else ask a friend for an address that answers"
        return Finding("peers", "fail", told, hint)
    hint = "name a node: [network] bootstrap in config.toml, or take an invitation: nbctl join"
    return Finding("peers", "fail", told, hint)


def _reachable(facts: Facts) -> Finding:
    tried = [peer for peer in facts.said if peer.reached is not Reached.NOT_TRIED]
    where = " ".join(facts.addresses) or facts.listening
    if any(peer.reached is Reached.YES for peer in tried):
        good = sum(peer.reached is Reached.YES for peer in tried)
        return Finding("reachable", "ok", f"{good} of {len(tried)} peers could dial {where}")
    if not tried:
        return Finding("reachable", "warn", "no peer could try to dial this node", "connect to a peer first")
    port = facts.listening.rpartition(":")[2]
    seen = " ".join(sorted({peer.observed for peer in tried if peer.observed})) or "this machine"
    hint = (
        f"forward TCP port {port} of your router to this machine and set [network] advertise ="
        f' ["{seen.split()[0]}:{port}"]; without it peers reach this node only while it is connected to them'
    )
    return Finding("reachable", "fail", f"none of {len(tried)} peers could dial {where} (seen at {seen})", hint)


def _ways(facts: Facts) -> Finding:
    met, relayed = (sum(word in path.split() for path in facts.paths) for word in ("met", "relay"))
    direct = len(facts.paths) - met - relayed
    told = f"{direct} peers reached directly, {met} met through a common peer, {relayed} through a relay"
    if relayed > direct + met:
        hint = "forward the port, for relays are slow; your router or theirs gives each connection another port"
        return Finding("ways", "warn", told, hint)
    return Finding("ways", "ok", told)


def _ipv6(facts: Facts) -> Finding:
    if facts.has_ipv6 and not facts.listening.startswith("["):
        hint = 'set [network] listen = "[::]:PORT", which serves both'
        return Finding("ipv6", "warn", "this machine has IPv6, and the node listens on IPv4 alone", hint)
    return Finding("ipv6", "ok", "used" if facts.has_ipv6 else "this machine has none; IPv4 does")


def _clock(facts: Facts) -> Finding:
    ahead = median_ahead(list(facts.said))
    if ahead is None:
        return Finding("clock", "warn", "no peer to compare with", "connect to a peer first")
    told = f"{abs(ahead) / SECOND:.1f} s {'behind' if ahead > 0 else 'ahead of'} {len(facts.said)} peers (median)"
    if abs(ahead) >= CLOCK_FAIL_MS:
        return Finding("clock", "fail", told, "set this machine's clock: partners refuse rings of a minute off")
    if abs(ahead) >= CLOCK_WARN_MS:
        return Finding("clock", "warn", told, "let the machine set its clock by itself (NTP)")
    return Finding("clock", "ok", told)


def _circle(facts: Facts) -> Finding:
    if facts.friends_only and not facts.friends:
        return Finding("circle", "fail", "talks with friends only, and has none", "make one: nbctl invite, nbctl join")
    if facts.same_host:
        hint = "set [network] same_host_ok = false, unless this is a trial"
        return Finding("circle", "warn", "nodes on one machine count as different ones", hint)
    return Finding("circle", "ok", f"talks with {facts.friends} friends only" if facts.friends_only else "open to all")


def _ledger(facts: Facts) -> Finding:
    for first in facts.ledger_bad:
        more = f", nor do {len(facts.ledger_bad) - 1} more" if len(facts.ledger_bad) > 1 else ""
        return Finding("ledger", "fail", first + more, REMEDY)
    if facts.ledger_off:
        hint = "the wallet and the mint are right; what balance and report tell is off by that. Please report it"
        return Finding("ledger", "warn", "; ".join(facts.ledger_off), hint)
    return Finding("ledger", "ok", "every entry is even, and it agrees with wallet and mint")
