"""A wrong ledger must be found, named and measured, whatever changed it: each planted corruption is."""

import shutil
import sqlite3
from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import encode
from nanobarter.core.ids import NodeId
from nanobarter.core.units import DAY, HOUR, Quantity, Span
from nanobarter.mint.answer_messages import Leased
from nanobarter.mint.audit import audit
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.heads.messages import HEAD, HeadAnswer
from nanobarter.net.memory import MemoryNetwork
from tests.mint.purse import KIND, NODE, Bench, Purse, key_of

CORRUPTIONS: dict[str, tuple[str, str, int | None]] = {
    # statement, the table that the audit must name, the MiB that it must tell (None: any)
    "outstanding raised": ("UPDATE mint_totals SET outstanding = outstanding + 3", "mint_totals", 3),
    "locked lowered": ("UPDATE mint_totals SET locked = locked - 2 WHERE locked > 2", "mint_totals", -2),
    "leased raised": ("UPDATE mint_totals SET leased = leased + 1", "mint_totals", 1),
    "reserved raised": ("UPDATE mint_totals SET reserved = reserved + 1", "mint_totals", 1),
    "pledge below the promises": ("UPDATE mint_totals SET pledged = 20", "mint_totals", None),
    "totals row deleted": ("DELETE FROM mint_totals WHERE kind = '30d'", "mint_totals", 40),
    "issued count raised": ("UPDATE mint_keys SET issued = issued + 1 WHERE quantity = 4", "mint_keys", 4),
    "spent count lowered": ("UPDATE mint_keys SET spent = spent - 1 WHERE spent > 0", "mint_keys", None),
    "spent above issued": ("UPDATE mint_keys SET spent = issued + 1 WHERE quantity = 2", "mint_keys", None),
    "key deleted": ("DELETE FROM mint_keys WHERE quantity = 8", "mint_keys", 8),
    "key swapped": (
        "UPDATE mint_keys SET private = (SELECT k.private FROM mint_keys AS k WHERE k.quantity = 1) WHERE quantity = 4",
        "mint_keys",
        4,
    ),
    "key damaged": ("UPDATE mint_keys SET private = x'00' WHERE quantity = 4", "mint_keys", 4),
    "spent note deleted": (
        "DELETE FROM mint_spent WHERE note = (SELECT min(note) FROM mint_spent WHERE quantity = 8)",
        "mint_keys",
        8,
    ),
    "spent note renamed": (
        "UPDATE mint_spent SET note = randomblob(32) WHERE note = (SELECT min(note) FROM mint_spent)",
        "mint_spent",
        None,
    ),
    "spent witness altered": ("UPDATE mint_witnesses SET witness = zeroblob(64)", "mint_spent", 8),
    "spent witness deleted": ("DELETE FROM mint_witnesses", "mint_spent", 8),
    "spent witness doubled": (
        "INSERT INTO mint_witnesses SELECT number + 1, witness FROM mint_witnesses LIMIT 1",
        "mint_witnesses",
        None,
    ),
    "spent by nobody": ("INSERT INTO mint_witnesses VALUES (64000, zeroblob(64))", "mint_witnesses", None),
    "spent at another place": ("UPDATE mint_spent SET place = place + 1", "mint_spent", None),
    "spent quantity altered": ("UPDATE mint_spent SET quantity = 16 WHERE quantity = 8", "mint_spent", 16),
    "spent note doubled": (
        "INSERT INTO mint_spent SELECT keyset, zeroblob(32), quantity, request, place, seal FROM mint_spent LIMIT 1",
        "mint_spent",
        None,
    ),
    "spent moved to another request": ("UPDATE mint_spent SET request = request + 1", "mint_spent", None),
    "spent in an unknown keyset": ("UPDATE mint_spent SET keyset = 99", "mint_spent", None),
    "issued deleted": (
        "DELETE FROM mint_issued WHERE output = (SELECT min(output) FROM mint_issued WHERE quantity = 4)",
        "mint_keys",
        4,
    ),
    "issued output altered": (
        "UPDATE mint_issued SET output = randomblob(32) WHERE output = (SELECT min(output) FROM mint_issued)",
        "mint_issued",
        None,
    ),
    "issued doubled": (
        "INSERT INTO mint_issued SELECT keyset, randomblob(32), quantity, request, seal FROM mint_issued LIMIT 1",
        "mint_issued",
        None,
    ),
    "request deleted": ("DELETE FROM mint_requests WHERE number = 1", "mint_issued", None),
    "request time altered": ("UPDATE mint_requests SET committed_at = 5 WHERE number = 2", "mint_requests", None),
    "request renamed": (
        "UPDATE mint_requests SET request_id = zeroblob(32) WHERE number = 1",
        "mint_requests",
        None,
    ),
    "contract in the record altered": (
        "UPDATE mint_requests SET result = x'c0' WHERE result IS NOT NULL",
        "mint_requests",
        None,
    ),
    "lock enlarged": ("UPDATE mint_locks SET quantity = quantity + 1 WHERE ended = ''", "mint_locks", 1),
    "lock deleted": ("DELETE FROM mint_locks WHERE ended = ''", "mint_totals", None),
    "lock terms altered": ("UPDATE mint_locks SET terms = x'90'", "mint_locks", None),
    "lock reopened": (
        "UPDATE mint_locks SET outcome = '', preimages = x'', ended = '' WHERE outcome = 'opened'",
        "mint_locks",
        None,
    ),
    "lock opened with wrong preimages": (
        "UPDATE mint_locks SET preimages = x'90' WHERE outcome = 'opened'",
        "mint_locks",
        None,
    ),
    "lock ended": ("UPDATE mint_locks SET ended = 'lapsed' WHERE ended = ''", "mint_locks", None),
    "lock time altered": ("UPDATE mint_locks SET locked_at = locked_at + 1", "mint_locks", None),
    "lock kept for longer": ("UPDATE mint_locks SET take_until = take_until + 1", "mint_locks", None),
    "lease enlarged": ("UPDATE mint_leases SET quantity = quantity + 1", "mint_leases", 1),
    "lease lengthened": ("UPDATE mint_leases SET ends = ends + 1", "mint_leases", None),
    "lease deleted": ("DELETE FROM mint_leases", "mint_totals", 8),
    "lease ended": ("UPDATE mint_leases SET ended = 1", "mint_leases", None),
    "lease contract altered": ("UPDATE mint_leases SET contract = x'90'", "mint_leases", 8),
    "keyset altered": ("UPDATE mint_keysets SET signed = x'90'", "mint_keysets", None),
    "keyset renamed": ("UPDATE mint_keysets SET keyset_id = zeroblob(16) WHERE number = 1", "mint_keysets", None),
    "keyset kept for longer": ("UPDATE mint_keysets SET redeem_until = redeem_until + 1", "mint_keysets", None),
    "keyset closed early": ("UPDATE mint_keysets SET closed = 1 WHERE kind = '30d'", "mint_totals", None),
    "time set back": ("UPDATE mint_marks SET value = 1 WHERE name = 'now'", "mint_marks", None),
    "time deleted": ("DELETE FROM mint_marks", "mint_marks", None),
    "head's signature altered": (
        "UPDATE heads_own SET signed = flip_last(signed)",
        "heads_own",
        None,
    ),
    "head of another epoch": (
        "UPDATE heads_own SET signed = (SELECT h.signed FROM heads_own AS h ORDER BY h.epoch LIMIT 1)",
        "heads_own",
        None,
    ),
    "head doubled": ("INSERT INTO heads_own SELECT epoch, generation + 1, signed FROM heads_own", "heads_own", None),
    "head deleted": ("DELETE FROM heads_own", "heads_entries", None),
    "root's entries altered": (
        "UPDATE heads_entries SET entries = zeroblob(length(entries)) WHERE length(entries) > 0 AND tree = 2",
        "heads_entries",
        None,
    ),
    "root's entries deleted": ("DELETE FROM heads_entries WHERE tree = 1", "heads_entries", None),
    "lease's root moved": (
        "UPDATE heads_entries SET entries = (SELECT e.entries FROM heads_entries AS e WHERE e.tree = 1) WHERE tree = 4",
        "heads_entries",
        None,
    ),
    "reservation deleted": ("DELETE FROM mint_reservations", "mint_totals", 5),
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, keys: list[bytes]) -> Path:
    """Return the file of a mint with something in every table."""
    bench = Bench(tmp_path_factory.mktemp("lived") / "store", keys)
    trio.run(live, bench)
    return bench.path


async def live(bench: Bench) -> None:
    async with bench.open() as mint:
        herald = herald_of(bench)
        purse = Purse(bench)
        a, b, c, d, e = await purse.issue(8, 8, 8, 4, 4)
        await purse.issue(1, 2)
        await purse.swap([a], 4, 4)
        for name, notes in (("one", [b]), ("two", [d])):
            await purse.lock(purse.terms(name, notes[0].note.quantity), notes)
        await purse.open("one", purse.terms("one", 8).lock_id)
        await purse.take(key_of("one/to"), purse.terms("one", 8).lock_id, 8)
        assert isinstance(await purse.redeem([c], key_of("holder")), Leased)
        await sign_head(bench, herald)
        await purse.swap([e], 2, 2)
        await sign_head(bench, herald)
        assert await mint.reserve(b"p", KIND, Quantity(5), purse.terms("x", 1).deadline) is None
        await mint.alive()
        assert mint.audit() == []


def herald_of(bench: Bench) -> Herald:
    """Return what signs heads, beside one peer that holds none: a mint that met nobody signs nothing."""
    hub, other = MemoryNetwork(), key_of("peer")
    mine, peer = hub.node(NODE), hub.node(other)

    async def none(_peer: NodeId, _body: bytes) -> bytes:
        return encode(HeadAnswer(None))

    peer.add(HEAD, none, body_max=1000)
    return Herald(
        store=bench.store,
        key=NODE,
        caller=mine,
        registrar=mine,
        connected=lambda: [other.node_id],
        clock=bench.clock,
        limits=bench.limits,
    )


async def sign_head(bench: Bench, herald: Herald) -> None:
    bench.clock.advance(Span(HOUR))
    await herald.ask_new_peers()
    assert await herald.sign_due() != []


def flip_last(blob: bytes) -> bytes:
    return blob[:-1] + bytes([blob[-1] ^ 1])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_planted_corruption_is_named_and_measured(lived: Path, tmp_path: Path, name: str) -> None:
    statement, table, quantity = CORRUPTIONS[name]
    db = sqlite3.connect(shutil.copy(lived, tmp_path / "store"))
    assert audit(db) == []
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA ignore_check_constraints = ON")
    db.create_function("flip_last", 1, flip_last)
    assert db.execute(statement).rowcount > 0
    findings = audit(db)
    db.close()
    assert any(f.row.startswith(table) and quantity in (None, f.quantity) for f in findings), findings


def test_what_vanished_with_every_number_that_counts_it_is_missed_by_a_signed_head(lived: Path, tmp_path: Path) -> None:
    db = sqlite3.connect(shutil.copy(lived, tmp_path / "store"))
    (number,) = db.execute("SELECT request FROM mint_spent WHERE quantity = 4 ORDER BY request DESC LIMIT 1").fetchone()
    taken = db.execute("SELECT keyset, quantity FROM mint_spent WHERE request = ?", (number,)).fetchall()
    given = db.execute("SELECT keyset, quantity FROM mint_issued WHERE request = ?", (number,)).fetchall()
    assert (sum(q for _, q in taken), sum(q for _, q in given)) == (4, 4)
    db.executemany("UPDATE mint_keys SET spent = spent - 1 WHERE keyset = ? AND quantity = ?", taken)
    db.executemany("UPDATE mint_keys SET issued = issued - 1 WHERE keyset = ? AND quantity = ?", given)
    for what in ("spent WHERE request", "issued WHERE request", "requests WHERE number", "witnesses WHERE number / 64"):
        db.execute(f"DELETE FROM mint_{what} = ?", (number,))  # noqa: S608 - four constants
    findings = audit(db)
    db.close()
    assert len([f for f in findings if f.row.startswith("heads_entries") and "gone" in f.problem]) == 3
    assert len(findings) == 3


async def test_a_year_of_honest_life_adds_up(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "store", keys)
    async with bench.open() as mint:
        purse = Purse(bench)
        for week in range(20):
            held = await purse.issue(4, 2)
            await purse.swap(held[:1], 2, 2)
            await purse.redeem(held[1:], key_of("holder"))
            await purse.lock(purse.terms(f"lock{week}", 3))
            bench.clock.advance(Span(7 * DAY))
            await mint.make_keysets()
            await mint.expire()
            assert mint.audit() == []
    # What is purged is really gone: eight weeks of keysets and notes are left, not twenty.
    db = sqlite3.connect(bench.path)
    sizes = [len(db.execute(sql).fetchall()) for sql in ("SELECT 1 FROM mint_keysets", "SELECT 1 FROM mint_spent")]
    db.close()
    assert max(sizes) <= 2 * 8
