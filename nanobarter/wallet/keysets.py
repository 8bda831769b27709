"""Announcements of mints: fetched when needed, checked, and remembered until they are purged.

A mint may sign one announcement per kind, window and generation. The wallet keeps the first that it saw; a second,
different one is evidence and is not used.
"""

from collections.abc import Sequence

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault
from nanobarter.core.ids import Hash, KeysetId, NodeId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Caller, Clock
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.mint.notes import Keyset, check_announcement

_EMPTY = encode(b"")


class Keysets:
    """The cache, in memory and in the store."""

    def __init__(self, store: Store, caller: Caller, clock: Clock, limits: Limits) -> None:
        self._store, self._caller, self._clock, self._limits = store, caller, clock, limits
        self._known: dict[KeysetId, Keyset] = {}
        self._faulty = set[KeysetId]()
        self._load()

    def _load(self) -> None:
        rows: list[tuple[bytes, bytes, str]] = self._store.read_now(
            lambda db: db.execute("SELECT issuer, signed, fault FROM wallet_keysets").fetchall()
        )
        for issuer, raw, fault in rows:
            signed = decode(raw, Signed, size_max=self._limits.request_bytes_max)
            keyset = check_announcement(signed, NodeId(issuer))
            self._known[keyset.keyset_id] = keyset
            if fault:
                self._faulty.add(keyset.keyset_id)

    def known(self, keyset: KeysetId) -> Keyset | None:
        """Return a keyset already fetched."""
        return self._known.get(keyset)

    async def find(self, issuer: NodeId, keyset: KeysetId) -> Keyset | None:
        """Return a keyset of an issuer, asking it when it is not known yet. Raises Unreachable or PeerFault."""
        if keyset not in self._known:
            await self.fetch(issuer)
        return self._known.get(keyset)

    async def current(self, quality: Quality, terms_hash: Hash | None) -> Keyset | None:
        """Return the keyset for fresh notes of a quality (of one terms hash, or of any when None).

        Asks the issuer when none is known. Raises Unreachable or PeerFault.
        """
        found = self._current(quality, terms_hash)
        if found is None:
            await self.fetch(quality.issuer)
            found = self._current(quality, terms_hash)
        return found

    def _current(self, quality: Quality, terms_hash: Hash | None) -> Keyset | None:
        now = self._clock.now()
        fits = [
            k
            for k in self._known.values()
            if k.quality == quality
            and k.issuing(now)
            and 1 in k.moduli  # without it not every sum can be changed
            and k.keyset_id not in self._faulty
            and terms_hash in (None, k.terms_hash)
        ]
        return max(
            fits, key=lambda k: (k.announcement.generation, k.announcement.issue_from, k.keyset_id), default=None
        )

    def is_dropped(self, keyset: KeysetId) -> bool:
        """Tell whether no notes of this keyset are made any more: its mint signed wrongly, or retired it."""
        return keyset in self._faulty

    def of(self, issuer: NodeId) -> list[Keyset]:
        """Return all known keysets of an issuer."""
        return [k for k in self._known.values() if k.issuer == issuer]

    async def fetch(self, issuer: NodeId) -> None:
        """Ask an issuer for its announcements and remember the new ones. Raises Unreachable or PeerFault."""
        raw = await self._caller.call(issuer, "mint.announcements", _EMPTY, timeout=self._limits.call_timeout)
        try:
            announced = decode(raw, tuple[Signed, ...], size_max=self._limits.frame_bytes_max)
            fresh = [check_announcement(s, issuer) for s in announced]
        except Malformed as error:
            raise PeerFault(f"its announcements are wrong: {error}", evidence=raw) from None
        for keyset in fresh[: self._limits.wallet_keysets_max]:
            self._refuse_second(keyset, raw)
        await self._remember([k for k in fresh if k.keyset_id not in self._known])

    def _refuse_second(self, keyset: Keyset, raw: bytes) -> None:
        body = keyset.announcement
        for other in self.of(keyset.issuer):
            same = (
                other.announcement.kind,
                other.announcement.issue_from,
                other.announcement.generation,
                other.announcement.terms_hash,
            )
            if same == (body.kind, body.issue_from, body.generation, body.terms_hash) and other.signed != keyset.signed:
                raise PeerFault("it signed two announcements for one window", evidence=raw)

    async def _remember(self, fresh: Sequence[Keyset]) -> None:
        rows = [(k.keyset_id, k.issuer, encode(k.signed), k.announcement.purge_at) for k in fresh]
        if rows:
            sql = "INSERT OR IGNORE INTO wallet_keysets (keyset, issuer, signed, purge_at) VALUES (?, ?, ?, ?)"
            await self._store.write(lambda db: db.executemany(sql, rows).rowcount)
            self._known |= {k.keyset_id: k for k in fresh}

    async def drop(self, keyset: KeysetId, fault: str) -> None:
        """Never make notes of this keyset again: its mint signed wrongly, or retired it."""
        if keyset in self._faulty:
            return
        self._faulty.add(keyset)
        await self._store.write(
            lambda db: db.execute("UPDATE wallet_keysets SET fault = ? WHERE keyset = ?", (fault, keyset)).rowcount
        )
