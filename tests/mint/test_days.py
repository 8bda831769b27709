"""A season of days, three kinds of leases at once: no promise may outlive its date, and none may end before it."""

import threading
from collections import Counter
from pathlib import Path
from sqlite3 import Connection

import trio

from nanobarter.core.errors import Reason, Refused
from nanobarter.core.ids import KeysetId, NodeId, sha256
from nanobarter.core.keys import SigningKey, open_signed
from nanobarter.core.limits import Limits
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity, Span, after
from nanobarter.mint.answer_messages import DOMAIN_CONTRACT, Contract, Leased, LockAnswer, LockState, Minted, Refusal
from nanobarter.net.memory import MemoryNetwork
from nanobarter.wallet import rows
from nanobarter.wallet.rows import Held as WalletNote
from nanobarter.wallet.service import Wallet
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES
from nanobarter.wallet.token import NoteToken, show_token
from tests.mint.purse import KIND, NODE, Bench, Held, Purse, key_of, run_until_cancelled

DAYS = 112
WEEK = Span(7 * DAY)
KINDS = (LeaseKind("7d"), LeaseKind("30d"), LeaseKind("90d"))
PLEDGED = {KINDS[0]: Quantity(31), KINDS[1]: Quantity(31), KINDS[2]: Quantity(63)}
SWEPT = 6
LIMITS = Limits(mint_lock_min=1, mint_sweep_rows_max=SWEPT, wallet_backoff=Span(0))
_TABLES = ("mint_spent", "mint_issued", "mint_locks", "mint_leases", "mint_requests", "mint_witnesses")


class Season:
    """One mint, one wallet that is always on, and notes in a drawer that nobody refreshes; beside them what is due."""

    def __init__(self, path: Path, bench: Bench, nursery: trio.Nursery) -> None:
        self.path, self.bench, self.nursery = path, bench, nursery
        self.purse = Purse(bench)
        self.drawer = list[tuple[LeaseKind, Instant, Held]]()
        self.leases = list[Contract]()
        self.honoured = list[tuple[bytes, bytes, Instant]]()
        self.ahead = set[KeysetId]()
        self.makers = set[int]()
        self.starts, self.first = 0, bench.clock.now()
        hub = MemoryNetwork(LIMITS)
        self.key = SigningKey(b"w" * 32)
        mint, self.net = hub.node(NODE), hub.node(self.key)
        mint.add("mint.request", self.handle, body_max=LIMITS.request_bytes_max)
        mint.add("mint.announcements", self.announcements, body_max=64)
        give = bench.make_key

        def make_key() -> bytes:
            self.makers.add(threading.get_ident())
            return give()

        bench.make_key = make_key

    async def handle(self, peer: NodeId, body: bytes) -> bytes:
        return await self.bench.mint.handle(peer, body)

    async def announcements(self, peer: NodeId, body: bytes) -> bytes:
        return await self.bench.mint.announcements(peer, body)

    async def open_wallet(self) -> None:
        self.store, self.starts = Store.open(self.path / "wallet", WALLET_TABLES), self.starts + 1
        self.scope: trio.CancelScope = await self.nursery.start(run_until_cancelled, self.store)
        self.wallet = Wallet(
            store=self.store,
            seed=b"s" * 64,
            key=self.key,
            caller=self.net,
            clock=self.bench.clock,
            entropy=SeededEntropy(self.starts, "wallet"),
            limits=LIMITS,
        )

    async def restart(self) -> None:
        """Close both files and go on with what they hold."""
        await self.bench.restart()
        self.close()
        await self.open_wallet()

    def close(self) -> None:
        self.scope.cancel()
        self.store.close()

    # -- what people do

    async def issue(self, kind: LeaseKind, *quantities: int) -> list[Held]:
        held = await self.purse.issue(*quantities, kind=kind)
        self.remember(self.purse.keyset(kind).announcement.purge_at)
        return held

    def remember(self, until: Instant) -> None:
        """Expect the last request to be answered with the same bytes until an instant."""
        self.honoured.append((*self.purse.sent[-1], until))

    async def a_week_begins(self, number: int) -> None:
        for kind in KINDS:
            ends = self.purse.keyset(kind).announcement.redeem_until
            self.drawer += [(kind, ends, held) for held in await self.issue(kind, 1)]
            if number % 5 == 0:
                given = await self.issue(kind, 2, 1)
                line = NoteToken(NODE.node_id, tuple(h.note for h in given), tuple(h.owner.secret for h in given))
                assert await self.wallet.note_receive(show_token(line)) == (Quality(NODE.node_id, kind), 3)
        (spent,) = await self.issue(KINDS[1], 1)
        answer = await self.purse.redeem([spent], key_of("holder"))
        assert isinstance(answer, Leased)
        contract = open_signed(answer.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
        self.leases.append(contract)
        self.remember(max(contract.end, self.purse.keyset(KINDS[1]).announcement.purge_at))
        if number % 3 == 1:
            signed = await self.wallet.redeem(Quality(NODE.node_id, KINDS[0]), Quantity(1), key_of("me").public)
            if not isinstance(signed, Refused):
                self.leases.append(open_signed(signed, DOMAIN_CONTRACT, Contract, size_max=4096))

    # -- what must hold each day

    def notes(self) -> list[WalletNote]:
        return self.store.read_now(lambda db: rows.ageing_notes(db, Instant(2**52), 1000))

    async def a_day_passes(self) -> None:
        before = self.notes()
        self.bench.clock.advance(Span(DAY))
        await self.time_works()
        await self.wallet.round()
        now, after_round = self.bench.clock.now(), {h.note_id for h in self.notes()}
        assert all(h.redeem_until >= after(now, WEEK) for h in self.notes())
        gone = [h for h in before if h.note_id not in after_round]
        assert all(h.redeem_until < after(now, WEEK) for h in gone)  # refreshed when due and not before
        self.keys_are_ahead(now)
        self.sums_are_right(now)

    async def time_works(self) -> None:
        """Do what the mint does each minute, until it has nothing left to do; each step deletes but little."""
        await self.bench.mint.alive()
        await self.bench.mint.make_keysets()
        count = await self.rows()
        for _ in range(60):
            await self.bench.mint.expire()
            fewer = await self.rows()
            swept = {table: count[table] - fewer[table] for table in _TABLES}
            assert sum(swept.values()) - swept["mint_witnesses"] <= SWEPT
            if fewer == count:
                return
            count = fewer
        raise AssertionError("the purge never ends")

    async def rows(self) -> Counter[str]:
        def look(db: Connection) -> list[int]:
            return [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES]  # noqa: S608 - ours

        found = await self.bench.store.read(look)
        return Counter(dict(zip(_TABLES, found, strict=True)))

    def keys_are_ahead(self, now: Instant) -> None:
        for keyset in self.bench.mint.usable():
            if now < keyset.announcement.issue_from:
                self.ahead.add(keyset.keyset_id)
            elif keyset.announcement.issue_from > self.first:
                assert keyset.keyset_id in self.ahead  # announced before it issued
        for kind in KINDS:
            assert sum(k.issuing(now) for k in self.bench.mint.usable() if k.announcement.kind == kind) == 1

    def sums_are_right(self, now: Instant) -> None:
        mine = {holding.quality.kind: holding.quantity for holding in self.wallet.holdings()}
        for capacity in self.bench.mint.capacity():
            drawer = sum(h.note.quantity for kind, ends, h in self.drawer if kind == capacity.kind and now < ends)
            leased = sum(c.terms.quantity for c in self.leases if c.terms.kind == capacity.kind and now < c.end)
            assert (capacity.outstanding, capacity.leased) == (mine.get(capacity.kind, 0) + drawer, leased)
        assert list(self.bench.mint.audit()) == []

    async def repeats_are_the_same(self) -> None:
        now = self.bench.clock.now()
        self.honoured = [(raw, answer, until) for raw, answer, until in self.honoured if now < until]
        for raw, answer, _ in self.honoured:
            assert await self.bench.mint.handle(NODE.node_id, raw) == answer

    async def only_the_young_is_left(self) -> None:
        """Rows of notes are those of keysets before their purge; of the others not even the number is kept."""
        now = self.bench.clock.now()

        def look(db: Connection) -> tuple[int, int, int]:
            orphans = "SELECT count(*) FROM mint_{} WHERE keyset NOT IN (SELECT number FROM mint_keysets)"
            found = [db.execute(orphans.format(t)).fetchone()[0] for t in ("spent", "issued", "keys")]
            old = db.execute("SELECT count(*) FROM mint_keysets WHERE purge_at <= ?", (now,)).fetchone()[0]
            requests = db.execute("SELECT count(*) FROM mint_requests WHERE committed_at < ?", (self.first + WEEK,))
            return sum(found), old, requests.fetchone()[0]

        assert await self.bench.store.read(look) == (0, 0, 0)


async def test_a_season_of_rotation_refresh_expiry_and_purge(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "mint", keys, LIMITS)
    async with trio.open_nursery() as nursery:
        season = Season(tmp_path, bench, nursery)
        async with bench.open(PLEDGED):
            await season.open_wallet()
            for day in range(DAYS):
                if day % 7 == 0 and day <= 84:
                    await season.a_week_begins(day // 7)
                await season.a_day_passes()
                if day % 10 == 9:
                    await season.restart()
                    await season.repeats_are_the_same()
                    season.sums_are_right(bench.clock.now())
            assert sum(h.quantity for h in season.wallet.holdings()) > 20  # refreshed through three keysets and more
            assert threading.get_ident() not in season.makers
            await season.only_the_young_is_left()
        season.close()
        nursery.cancel_scope.cancel()


async def test_a_request_is_known_as_long_as_the_lease_that_it_began(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "mint", keys)
    async with bench.open() as mint:
        purse = Purse(bench)
        leased = await purse.redeem(await purse.issue(4), key_of("holder"))
        assert isinstance(leased, Leased)
        contract = open_signed(leased.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
        first = purse.sent[-1]
        for day in range(136):
            bench.clock.advance(Span(DAY))
            await mint.make_keysets()
            await mint.expire()
            if day in (10, 40, 70):
                assert isinstance(
                    await purse.extend(await purse.issue(4), contract.lease_id, 4, key_of("holder")), Leased
                )
            if day % 10 == 5 and day <= 130:  # the lease ends after 120 days, and can be asked for 14 days more
                assert await mint.handle(NODE.node_id, first[0]) == first[1]
                assert list(mint.audit()) == []
        assert mint.leases() == []
        assert await mint.handle(NODE.node_id, first[0]) != first[1]
        sql = "SELECT count(*) FROM mint_requests WHERE result IS NOT NULL"
        assert await bench.store.read(lambda db: db.execute(sql).fetchone()) == (0,)


async def test_changed_terms_are_a_new_kind_and_begin_with_a_window(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "mint", keys)
    old, new, me = sha256(b"terms"), sha256(b"other terms"), key_of("holder")
    async with bench.open():
        purse = Purse(bench)
        early = await purse.issue(4, 2)
        bench.service_terms = b"other terms"
        await bench.restart()
        windows = [(k.announcement.kind, k.announcement.issue_from) for k in bench.mint.usable()]
        assert len(set(windows)) == len(windows)  # no second keyset: two for one window would convict
        assert bench.mint.terms_hash(KIND) == old
        for name in ("a", "b"):
            terms = purse.terms(name, 8)
            assert isinstance(await purse.lock(terms), LockAnswer)
            assert isinstance(await purse.open(name, terms.lock_id), LockState)
        assert isinstance(await purse.take(key_of("a/to"), purse.terms("a", 8).lock_id, 8), Minted)
        bench.clock.advance(WEEK)
        await bench.mint.make_keysets()
        assert bench.mint.terms_hash(KIND) == new
        assert isinstance(await purse.lock(purse.terms("c", 8)), LockAnswer)
        lock_id = purse.terms("b", 8).lock_id
        for refused in (await purse.swap(early[:1], 4), await purse.take(key_of("b/to"), lock_id, 8)):
            assert isinstance(refused, Refusal)
            assert refused.reason == Reason.WRONG_TERMS
        mixed = await purse.redeem([early[0], *await purse.issue(1)], me)
        assert isinstance(mixed, Refusal)
        assert mixed.reason == Reason.WRONG_TERMS
        for leased in (await purse.redeem(early, me), await purse.take_lease(key_of("b/to"), lock_id, 8, me)):
            assert isinstance(leased, Leased)
            contract = open_signed(leased.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
            assert contract.terms_hash == old
        assert list(bench.mint.audit()) == []
