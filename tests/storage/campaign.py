"""The state machine of the storage engine over peers, and a long run of it: ``python -m tests.storage.campaign``."""

import argparse
import random
import shutil
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import trio
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.storage.mortal import Life
from tests.storage.oracle import World

T = TypeVar("T")
NUMBERS = st.integers(0, 999)


class Portal:
    """A trio run in a thread of its own, into which the machine's rules, which are plain functions, reach."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._main,))
        self._thread.start()
        self._ready.wait()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            self._ready.set()
            await trio.sleep_forever()

    def run(self, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        return trio.from_thread.run(work, *arguments, trio_token=self._token)

    def close(self) -> None:
        trio.from_thread.run_sync(self.nursery.cancel_scope.cancel, trio_token=self._token)
        self._thread.join()


class StorageMachine(RuleBasedStateMachine):
    """One world; every rule leaves it alive."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="nb-oracle-"))
        self.portal = Portal()

    @initialize(number=NUMBERS)
    def begin(self, number: int) -> None:
        self.world = World(self.folder, self.portal.nursery, random.Random(number))
        self.portal.run(self.world.start)
        for name in range(4):
            self.world.edit(name, 30_000)
        self.portal.run(self.world.back_up)

    @rule(name=st.integers(0, 9), size=st.sampled_from([0, 100, 60_000, 200_000]))
    def edit(self, name: int, size: int) -> None:
        self.world.edit(name, size)

    @rule()
    def back_up(self) -> None:
        self.portal.run(self.world.back_up)

    @rule(number=NUMBERS)
    def forget(self, number: int) -> None:
        self.portal.run(self.world.forget, number)

    @rule()
    def prune(self) -> None:
        self.portal.run(self.world.prune)

    @rule(deeds=st.integers(0, 60), after=st.booleans())
    def die_soon(self, deeds: int, *, after: bool) -> None:
        self.world.life = Life(deeds, after=after)

    @rule()
    def repair(self) -> None:
        self.portal.run(self.world.repair)

    @rule(days=st.integers(1, 40))
    def pass_days(self, days: int) -> None:
        self.portal.run(self.world.pass_days, days)

    @rule()
    def sleep_through(self) -> None:
        self.portal.run(self.world.sleep_through)

    @rule(number=NUMBERS)
    def let_lease_end(self, number: int) -> None:
        self.portal.run(self.world.let_lease_end, number)

    @rule()
    def run_out_of_notes(self) -> None:
        self.portal.run(self.world.run_out_of_notes)

    @rule(number=NUMBERS)
    def lose_peer(self, number: int) -> None:
        self.portal.run(self.world.lose_peer, number)

    @rule(number=NUMBERS)
    def flip_bit(self, number: int) -> None:
        self.portal.run(self.world.flip_bit, number)

    @rule()
    def check(self) -> None:
        self.portal.run(self.world.check)

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.portal.run(self.world.check)
        finally:
            if hasattr(self, "world"):
                self.portal.run(self.world.close)
            self.portal.close()
            shutil.rmtree(self.folder)


def settings_of(*, runs: int, steps: int) -> settings:
    """Return settings for so many worlds of so many steps."""
    slow = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
    return settings(max_examples=runs, stateful_step_count=steps, deadline=None, suppress_health_check=slow)


def main(arguments: list[str]) -> int:
    """Run many worlds; hypothesis tells the steps of one that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    machine = seed(asked.seed)(StorageMachine)
    run_state_machine_as_test(machine, settings=settings_of(runs=asked.runs, steps=asked.steps))
    print(f"{asked.runs} worlds of up to {asked.steps} steps held")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
