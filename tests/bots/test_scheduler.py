"""A backup that never starts is found out when it is too late; one that always starts wears out disks and peers."""

from itertools import pairwise

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from nanobarter.bots.scheduler import SETTLE, Scheduler, due_at, last_until
from nanobarter.core.hours import parse_hours
from nanobarter.core.ids import PackId
from nanobarter.core.units import HOUR, MINUTE, Instant, Span

instants = st.integers(0, 10**13).map(Instant)


@given(instants, st.none() | instants, st.none() | instants, st.integers(60_000, 10**10).map(Span))
def test_a_backup_is_due_once_per_span_and_never_right_after_a_start_or_a_failure(
    started: Instant, last: Instant | None, failed: Instant | None, every: Span
) -> None:
    due = due_at(started, last, failed, every)
    assert due >= started + SETTLE
    assert last is None or due >= last + every
    assert failed is None or due >= failed + min(every, HOUR)


async def test_a_loss_is_met_by_one_backup_before_its_time(autojump_clock: MockClock) -> None:
    clock, at = _TrioClock(), list[Instant]()

    async def last() -> Instant | None:
        await trio.lowlevel.checkpoint()
        return at[-1] if at else None

    async def backup() -> None:
        at.append(clock.now())
        await trio.sleep(10)

    def lost() -> frozenset[PackId]:
        return frozenset({PackId(bytes(32))}) if len(at) > 1 else frozenset()  # and it stays so

    with trio.move_on_after(30 * 3600):
        await Scheduler(every=Span(6 * HOUR), last=last, backup=backup, clock=clock, lost=lost).run()
    gaps = [round((b - a) / HOUR, 1) for a, b in pairwise(at)]
    assert gaps[:4] == [6.0, 1.0, 6.0, 6.0]


class _TrioClock:
    def now(self) -> Instant:
        return Instant(1_700_000_000_000 + int(trio.current_time() * 1000))


async def test_it_backs_up_again_and_again_also_after_failures(autojump_clock: MockClock) -> None:
    clock, at, done = _TrioClock(), list[Instant](), list[Instant]()

    async def last() -> Instant | None:
        await trio.lowlevel.checkpoint()
        return done[-1] if done else None

    async def backup() -> None:
        at.append(clock.now())
        await trio.sleep(10)
        if len(at) == 2:
            raise RuntimeError("the peers are away")
        done.append(at[-1])

    with trio.move_on_after(30 * 3600):
        await Scheduler(every=Span(6 * HOUR), last=last, backup=backup, clock=clock).run()
    gaps = [round((b - a) / HOUR, 1) for a, b in pairwise(at)]
    assert gaps[:3] == [6.0, 1.0, 6.0]


async def test_a_clock_that_was_ahead_stops_no_backups(autojump_clock: MockClock) -> None:
    year, made, at = Span(365 * 24 * HOUR), list[Instant](), list[float]()

    class Ahead:
        def now(self) -> Instant:
            return Instant(
                1_700_000_000_000 + int(trio.current_time() * 1000) + (year if trio.current_time() < 300 else 0)
            )

    async def last() -> Instant | None:
        await trio.lowlevel.checkpoint()
        return last_until(Ahead().now(), made)

    async def backup() -> None:
        await trio.lowlevel.checkpoint()
        at.append(trio.current_time() * 1000)
        made.append(Ahead().now())
        if len(at) == 2:
            raise RuntimeError("the peers are away")

    start = trio.current_time()
    with trio.move_on_after(24 * 3600):
        await Scheduler(every=Span(6 * HOUR), last=last, backup=backup, clock=Ahead()).run()
    assert len(at) >= 4
    assert at[1] - start < 10 * MINUTE  # the one that seems to be a year old to come is none


async def test_it_begins_only_when_it_may(autojump_clock: MockClock) -> None:
    clock, at = _TrioClock(), list[Instant]()
    night = parse_hours("22:00-06:00")

    def may(now: Instant) -> bool:
        return night.has(now // MINUTE % (24 * 60))

    async def last() -> Instant | None:
        await trio.lowlevel.checkpoint()
        return at[-1] if at else None

    async def backup() -> None:
        await trio.lowlevel.checkpoint()
        at.append(clock.now())

    with trio.move_on_after(100 * 3600):
        await Scheduler(every=Span(6 * HOUR), last=last, backup=backup, clock=clock, open_at=may).run()
    assert len(at) >= 4  # every night, and twice where six hours leave room for it
    assert all(may(now) for now in at)
