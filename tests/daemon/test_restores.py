"""At stake: a person who needs old versions finds out that her policy forgets them only when they are gone."""

from pathlib import Path

import trio
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import DAY, HOUR, Instant, Span
from nanobarter.daemon.restores import MIGRATIONS, YEAR, Restores
from nanobarter.storage.retention import holds_back, parse_keep
from nanobarter.translator.behaviour import Restore, forgets_too_soon, reached_back

NOW = Instant(1_800_000_000_000)
KEPT = 3


async def test_restores_outlive_a_restart_and_few_are_kept(tmp_path: Path) -> None:
    for round_ in range(2):
        store, clock = Store.open(tmp_path / "state.db", MIGRATIONS), ManualClock(NOW)
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            restores = Restores(store, clock, KEPT)
            if round_ == 0:
                for age in range(KEPT + 5):
                    await restores.note(Instant(NOW - age * DAY), newest=age == 0)
            known = await restores.known()
            clock.advance(YEAR)
            assert await restores.known() == []
            nursery.cancel_scope.cancel()
        store.close()
        assert len(known) == KEPT, "and those of the last year count"
        assert known[-1] == Restore(NOW, Instant(NOW - (KEPT + 4) * DAY), newest=False)
        assert reached_back(known) == (KEPT + 4) * DAY


async def test_restores_of_a_version_that_counted_bytes_are_still_known(tmp_path: Path) -> None:
    old = Store.open(tmp_path / "state.db", MIGRATIONS[:1])
    row = (NOW - DAY, NOW - 9 * DAY, 0, 4711)
    sql = "INSERT INTO daemon_restores (at, made, newest, bytes) VALUES (?, ?, ?, ?)"
    old.write_now(lambda db: db.execute(sql, row).rowcount)
    old.close()
    store = Store.open(tmp_path / "state.db", MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        restores = Restores(store, ManualClock(NOW), KEPT)
        assert await restores.known() == [Restore(Instant(NOW - DAY), Instant(NOW - 9 * DAY), newest=False)]
        nursery.cancel_scope.cancel()
    store.close()


ages = st.lists(st.tuples(st.integers(0, 1000 * DAY), st.booleans()), max_size=10)


@given(ages, ages, st.sampled_from(["last 3", "daily 7", "weekly 4", "daily 7, monthly 12", "all"]))
def test_more_restores_never_reach_less_far_and_a_warning_goes_by_the_policy(
    some: list[tuple[int, bool]], more: list[tuple[int, bool]], keep: str
) -> None:
    first, all_ = (
        reached_back(Restore(NOW, Instant(NOW - age), newest) for age, newest in each) for each in (some, some + more)
    )
    assert first <= all_
    holds = holds_back(parse_keep(keep), Span(6 * HOUR))
    assert bool(forgets_too_soon(all_, holds, keep)) == (holds is not None and all_ > holds)
    assert not (forgets_too_soon(first, holds, keep) and not forgets_too_soon(all_, holds, keep))


def test_the_warning_says_what_to_write() -> None:
    told = forgets_too_soon(Span(44 * DAY + 1), Span(6 * DAY), "daily 7")
    assert told == (
        'you have restored a version 45 days old, and keep = "daily 7" is sure to hold only 6 days: '
        'older ones are forgotten unless it says more, like "monthly 4"'
    )
    for days in (1, 7, 30, 31, 100, 400):
        told = forgets_too_soon(Span(days * DAY), Span(0), "last 1")
        policy = parse_keep(told.rsplit('"', 2)[1])
        assert (holds_back(policy, None) or 0) >= days * DAY
