"""A drill that failed must stay known until one that did not, also after a restart: it is the alarm of last resort."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import DAY, Instant, Span
from nanobarter.daemon.drills import AGAIN, KEPT_MAX, MIGRATIONS, Drills

EVERY = Span(30 * DAY)


@asynccontextmanager
async def opened(folder: Path, clock: ManualClock) -> AsyncGenerator[Drills]:
    store = Store.open(folder / "state.db", MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        yield Drills(store, clock)
        nursery.cancel_scope.cancel()
    store.close()


async def test_the_next_drill_counts_from_the_last_and_comes_soon_after_a_failure(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path, clock) as drills:
        assert await drills.last() is None
        assert await drills.counted_from(EVERY, None) == clock.now()
        assert await drills.counted_from(EVERY, Instant(5)) == Instant(5)
        await drills.note("ab", 20, 18, 0, ())
        assert await drills.counted_from(EVERY, Instant(5)) == clock.now()
        clock.advance(EVERY)
        await drills.note("ab", 19, 18, 1, ("/x: gone",))
    async with opened(tmp_path, clock) as drills:
        last = await drills.last()
        assert last is not None
        assert (last.problem_count, last.problems) == (1, ("/x: gone",))
        assert await drills.counted_from(EVERY, Instant(5)) + EVERY == clock.now() + AGAIN
        for _ in range(KEPT_MAX + 5):
            clock.advance(Span(1))
            await drills.note("ab", 20, 18, 0, ())
        last = await drills.last()
        assert last is not None
        assert (last.at, last.problem_count) == (clock.now(), 0)
        clock.advance(Span(365 * DAY))
        await drills.note("ab", 20, 18, 0, ())
        clock.advance(Span(-365 * DAY))
        assert await drills.last() == last
