"""At stake: that a person finds in the log what went wrong, in a few lines, and nothing that should not be there."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, Instant
from nanobarter.daemon.diary import LEAD, LINES_MAX, Own, Sight, look, problems, told
from nanobarter.daemon.disk import too_little
from nanobarter.daemon.tables import ALL_TABLES

NOW: Final = Instant(1_800_000_000_000)
THEN: Final = Instant(NOW - 60_000)
PEER: Final = NodeId(b"p" * 32)
LEASE: Final = b"L" * 32
BEFORE: Final = Sight(at=THEN)
AFTER: Final = Sight(at=NOW)


def words(before: Sight, after: Sight) -> str:
    return "\n".join(line for _, line in told(before, after))


def lease(ends: int, *, used: bool = True) -> dict[bytes, Own]:
    return {LEASE: Own(PEER, Instant(ends), used)}


def test_nothing_new_is_nothing_said() -> None:
    before = Sight(at=THEN, own=lease(NOW + 30 * DAY), silent=frozenset({PEER}), unwell=True)
    assert told(before, replace(before, at=NOW)) == []


@pytest.mark.parametrize(
    ("before", "after", "level", "said"),
    [
        (BEFORE, replace(AFTER, failed=((PEER, b"s" * 32, "no such share"),)), logging.WARNING, "audit failed: nb1"),
        (BEFORE, replace(AFTER, silent=frozenset({PEER})), logging.WARNING, "does not answer for the shares"),
        (
            replace(BEFORE, silent=frozenset({PEER})),
            replace(AFTER, own=lease(NOW + 30 * DAY)),
            logging.INFO,
            "is back and answers",
        ),
        (BEFORE, replace(AFTER, own=lease(NOW + 30 * DAY)), logging.INFO, "began; it runs until 20"),
        (
            replace(BEFORE, own=lease(NOW + DAY)),
            replace(AFTER, own=lease(NOW + 31 * DAY)),
            logging.INFO,
            "was renewed; it runs until",
        ),
        (
            replace(BEFORE, own=lease(NOW + LEAD)),
            replace(AFTER, own=lease(NOW + LEAD)),
            logging.WARNING,
            "and is not renewed",
        ),
        (replace(BEFORE, own=lease(NOW)), replace(AFTER, own=lease(NOW)), logging.WARNING, "has ended"),
        (replace(BEFORE, given={LEASE: NOW}), replace(AFTER, given={LEASE: NOW}), logging.INFO, "for seven more days"),
        (replace(BEFORE, given={LEASE: NOW}), AFTER, logging.INFO, "kept here under it is deleted"),
        (BEFORE, replace(AFTER, unwell=True), logging.WARNING, "repair begins"),
        (replace(BEFORE, unwell=True), AFTER, logging.INFO, "repair has ended"),
        (BEFORE, replace(AFTER, disk_free=1, disk_reserve=2), logging.WARNING, "the disk is nearly full"),
        (replace(BEFORE, disk_free=1, disk_reserve=2), AFTER, logging.INFO, "the disk has room again"),
        (BEFORE, replace(AFTER, clock="9 s ahead of peers"), logging.WARNING, "the clock is off: 9 s ahead"),
    ],
)
def test_each_change_has_its_words(before: Sight, after: Sight, level: int, said: str) -> None:
    lines = [line for line in told(before, after) if said in line[1]]
    assert [found for found, _ in lines] == [level], told(before, after)


@given(count=st.integers(0, 500))
def test_a_bad_minute_costs_some_lines(count: int) -> None:
    failed = tuple((PEER, bytes([i % 256]) * 32, "it is another block") for i in range(count))
    lines = told(BEFORE, replace(AFTER, failed=failed, silent=frozenset({PEER})))
    assert len(lines) <= LINES_MAX + 2
    if count > LINES_MAX:
        assert f"and {count - LINES_MAX} more of this sort" in words(BEFORE, replace(AFTER, failed=failed))


def test_whole_ids_are_not_in_the_log() -> None:
    line = words(BEFORE, replace(AFTER, failed=((PEER, b"s" * 32, "x"),), own=lease(NOW + 30 * DAY)))
    assert LEASE.hex() not in line
    assert (b"s" * 32).hex() not in line


def test_the_status_tells_what_a_person_must_know_and_no_more() -> None:
    assert problems(AFTER) == []
    assert problems(replace(AFTER, own=lease(NOW + DAY, used=False))) == []
    found = problems(
        replace(AFTER, own=lease(NOW + DAY), disk_free=1, disk_reserve=2, clock="9 s behind peers", unwell=True)
    )
    assert [problem.partition(" (")[0].split(";")[0] for problem in found] == [
        "the clock is off: 9 s behind peers",
        "the disk is nearly full",
        "1 leases with shares of yours were not renewed",
    ]


def test_the_tables_are_looked_at_as_they_are(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state.db", ALL_TABLES)
    for sql in (
        "INSERT INTO storage_evidence VALUES (7, x'70', x'72', 1, 'false block', x'')",
        "INSERT INTO storage_placed_packs VALUES (x'01', 'data', 1, 2, 65536, 0, 0)",
        "INSERT INTO storage_placements VALUES (x'01', 0, x'70', x'4c', x'72', 9, 'held', 1, 5, NULL, 0, 0)",
        "INSERT INTO storage_placements VALUES (x'01', 1, x'71', x'4d', x'72', 9, 'held', 1, NULL, NULL, 0, 0)",
        "INSERT INTO storage_leases VALUES (x'4c', x'70', 9, 1, 99, x''), (x'4e', x'70', 9, 1, 98, x'')",
        "INSERT INTO storage_vault_leases VALUES (x'55', x'68', 9, 0, 97)",
    ):
        store.write_now(lambda db, sql=sql: db.execute(sql).rowcount)
    sight = store.read_now(lambda db: look(db, NOW, 6))
    assert (sight.evidence, sight.failed) == (7, ((b"p", b"r", "false block"),))
    assert sight.silent == {b"p"}
    assert sight.own == {
        b"L": Own(NodeId(b"p"), Instant(99), used=True),
        b"N": Own(NodeId(b"p"), Instant(98), used=False),
    }
    assert sight.given == {b"U": 97}
    assert store.read_now(lambda db: look(db, NOW, 7)).failed == ()
    store.close()


def test_a_disk_that_fills_up_is_told_before_it_is_full() -> None:
    gb = 10**9
    short = replace(AFTER, disk_free=2 * gb, disk_reserve=gb, disk_short=too_little(2 * gb, 5 * gb, 3 * gb))
    assert "2.0 GB free, and 3.0 GB that you promised may still be filled" in words(BEFORE, short)
    assert words(short, short) == ""
    assert problems(short)[0].endswith("free some space, or lend less (nbctl offer shrink)")
    assert "5.0 GB of your offer" in too_little(4 * gb, 5 * gb, 3 * gb)
    assert too_little(6 * gb, 5 * gb, 3 * gb) == ""
    assert "nearly full" in problems(replace(short, disk_free=0))[0]
    cut = replace(short, disk_free=0, disk_cut="nothing can be ordered")
    assert problems(cut)[1:] == ["nothing can be ordered"], "told beside a full disk"
    assert "nothing can be ordered" in words(short, cut)
    assert words(cut, cut) == ""
