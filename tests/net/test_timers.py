"""Deadlines kept by one task: each is told in time, once, and nobody who was done before."""

import random

import trio
import trio.testing

from nanobarter.net.timers import Timers


class Told:
    def __init__(self) -> None:
        self.at: float | None = None

    def expire(self) -> None:
        assert self.at is None
        self.at = trio.current_time()


async def test_each_is_told_at_its_time_and_those_that_are_done_are_not(autojump_clock: trio.testing.MockClock) -> None:
    luck, timers = random.Random(7), Timers()
    began, kept, done = trio.current_time(), list[tuple[float, Told]](), list[Told]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        for _ in range(300):
            told, deadline = Told(), trio.current_time() + luck.choice([0, 0.01, 1, 20, 20, 3600]) * luck.random()
            tick = timers.add(told, deadline)
            if luck.random() < 0.5:
                kept.append((deadline, told))
            else:
                done.append(told)
                tick.discard(told)
            await trio.sleep(luck.choice([0, 0, 0.5]))
        await trio.sleep(3700)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began > 3600
    assert not any(told.at for told in done)
    assert all(told.at is not None and deadline <= told.at < deadline + 0.1 for deadline, told in kept)
