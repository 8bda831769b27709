"""Which keysets a mint must have, and how one is made.

Windows of issue are aligned to whole multiples of their length, so that every restart finds the same window and
none is ever announced twice: a second announcement for one (kind, window, generation) would convict the issuer.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import Hash
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.units import Instant, LeaseKind, Quantity, after
from nanobarter.mint.messages import DOMAIN_ANNOUNCEMENT, MODULUS_BYTES, Announcement, DenominationKey
from nanobarter.mint.notes import (
    ANNOUNCEMENT_BYTES_MAX,
    DENOMINATION_MAX,
    SCHEME_BLIND_RSA,
    Keyset,
    check_announcement,
    keyset_id_of,
)
from nanobarter.mint.rsa import modulus_of

KeySource = Callable[[], bytes]
"""Makes one RSA-2048 key (PKCS#8 DER) per call, in a worker thread. Tests bring stored keys."""


@dataclass(frozen=True)
class Wanted:
    """A keyset that must be made: its kind and where its window begins."""

    kind: LeaseKind
    issue_from: Instant
    generation: int = 0


def missing(kinds: Sequence[LeaseKind], have: set[tuple[str, int]], now: Instant, limits: Limits) -> list[Wanted]:
    """Return the keysets to make now: of the current window, and of the next one shortly before it begins."""
    current = now - now % limits.mint_issue_span
    starts = [Instant(current)]
    if now + limits.mint_keyset_lead >= current + limits.mint_issue_span:
        starts.append(after(Instant(current), limits.mint_issue_span))
    return [Wanted(kind, start) for start in starts for kind in kinds if (kind, start) not in have]


def denominations(pledged: Quantity) -> list[Quantity]:
    """Return the powers of two up to what is pledged; larger notes could never be issued."""
    return [Quantity(1 << i) for i in range(min(pledged, DENOMINATION_MAX).bit_length())]


def announce(key: SigningKey, wanted: Wanted, private: dict[Quantity, bytes], terms: Hash, limits: Limits) -> Signed:
    """Return the signed announcement of a keyset."""
    until = after(wanted.issue_from, limits.mint_issue_span)
    redeem = after(until, limits.mint_redeem_span)
    moduli = [DenominationKey(q, modulus_of(der).to_bytes(MODULUS_BYTES, "big")) for q, der in private.items()]
    body = Announcement(
        kind=wanted.kind,
        generation=wanted.generation,
        scheme=SCHEME_BLIND_RSA,
        issue_from=wanted.issue_from,
        issue_until=until,
        redeem_until=redeem,
        purge_at=after(redeem, limits.mint_purge_span),
        terms_hash=terms,
        keys=tuple(moduli),
    )
    return seal_signed(key, DOMAIN_ANNOUNCEMENT, body)


def add(db: sqlite3.Connection, signed: Signed, private: dict[Quantity, bytes]) -> None:
    """Store a keyset with its private keys; only afterwards may it be announced."""
    body = check_announcement(signed).announcement
    number = db.execute(
        "INSERT INTO mint_keysets (keyset_id, kind, generation, issue_from, redeem_until, purge_at, signed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            keyset_id_of(signed),
            body.kind,
            body.generation,
            body.issue_from,
            body.redeem_until,
            body.purge_at,
            encode(signed),
        ),
    ).lastrowid
    rows = [(number, quantity, der) for quantity, der in private.items()]
    db.executemany("INSERT INTO mint_keys (keyset, quantity, private) VALUES (?, ?, ?)", rows)


def load(db: sqlite3.Connection) -> list[tuple[int, Keyset]]:
    """Return all keysets that are not purged, with their row numbers."""
    sql = "SELECT number, signed, closed FROM mint_keysets WHERE closed < 2 ORDER BY number"
    found = list[tuple[int, Keyset]]()
    for number, raw, closed in db.execute(sql).fetchall():
        keyset = check_announcement(decode(raw, Signed, size_max=2 * ANNOUNCEMENT_BYTES_MAX))
        found.append((number, replace(keyset, withdrawn=bool(closed))))
    return found
