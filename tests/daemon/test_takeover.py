"""At stake: two live nodes with one key would sign against each other; only one machine may be the node of a phrase."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from nanobarter.core.errors import LocalFault
from nanobarter.core.ids import PublicKey
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey, identity_of
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, SECOND, Instant
from nanobarter.daemon.config import Config
from nanobarter.daemon.home import Home
from nanobarter.daemon.rebuild_state import rebuilt
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.daemon.takeover import Claim, take_over
from nanobarter.gossip.service import Gossip
from nanobarter.mint import restoration
from nanobarter.mint.audit import audit

SEED = bytes(range(64))
NOW = Instant(1_800_000_000_000)


class Board:
    """What gossip is to a claim: all hear what one says."""

    def __init__(self) -> None:
        self.said = list[Item]()
        self._heard = list[Callable[[Item], None]]()

    def subscribe(self, _topic: str, callback: Callable[[Item], None]) -> None:
        self._heard.append(callback)

    def items(self, _topic: str) -> list[Item]:
        return list(self.said)

    def next_sequence(self, _topic: str, _author: PublicKey, _key: bytes) -> int:
        return len(self.said) + 1

    async def publish(self, item: Item) -> None:
        await trio.lowlevel.checkpoint()
        self.said.append(item)
        for callback in self._heard:
            callback(item)


def claim(home: Home, board: Board, name: str) -> Claim:
    return Claim(
        home=home,
        key=identity_of(SEED),
        gossip=cast("Gossip", board),
        clock=ManualClock(NOW),
        entropy=SeededEntropy(1, name),
    )


def taken(folder: Path, now: Instant = NOW) -> Home:
    home = Home.create(folder, SEED, "")
    take_over(home, Config(), now, SeededEntropy(now, "machine"))
    return home


async def test_the_machine_before_stops_for_good(tmp_path: Path) -> None:
    board, old, new = Board(), Home.create(tmp_path / "old", SEED, ""), taken(tmp_path / "new")

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(claim(old, board, "old").run)
            await nursery.start(claim(new, board, "new").run)

    with pytest.raises(ExceptionGroup) as stopped:
        await both()
    assert stopped.group_contains(LocalFault, match="another machine has taken over the node of .*/old")
    with pytest.raises(LocalFault, match="taken over"):
        old.check_not_taken()
    new.check_not_taken()


async def test_a_machine_that_comes_back_later_hears_it_too(tmp_path: Path) -> None:
    board, new, old = Board(), taken(tmp_path / "new"), Home.create(tmp_path / "old", SEED, "")
    async with trio.open_nursery() as nursery:
        await nursery.start(claim(new, board, "new").run)
        with pytest.raises(LocalFault, match="taken over"):
            await claim(old, board, "old").run()
        nursery.cancel_scope.cancel()


async def test_a_machine_that_runs_for_months_says_it_before_it_is_forgotten(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    assert autojump_clock.autojump_threshold == 0
    board, new = Board(), taken(tmp_path / "new")
    with trio.move_on_after(90 * DAY / SECOND):
        await claim(new, board, "new").run()
    assert len(board.said) >= 2 * 3, "each lasts a month"


async def test_the_last_to_take_over_is_the_node(tmp_path: Path) -> None:
    board, first, second = Board(), taken(tmp_path / "first"), taken(tmp_path / "second", Instant(NOW + 1))
    async with trio.open_nursery() as nursery:
        await nursery.start(claim(second, board, "second").run)
        with pytest.raises(LocalFault, match="first"):
            await claim(first, board, "first").run()
        await wait_all_tasks_blocked()
        second.check_not_taken()
        nursery.cancel_scope.cancel()


async def test_a_node_is_not_put_out_by_itself_or_by_another(tmp_path: Path) -> None:
    board, home, other = Board(), taken(tmp_path / "home"), SigningKey(b"o" * 32)
    async with trio.open_nursery() as nursery:
        for _ in range(2):  # as after a restart
            await nursery.start(claim(home, board, "again").run)
        assert all(item.node != other.node_id for item in board.said)
        await wait_all_tasks_blocked()
        home.check_not_taken()
        nursery.cancel_scope.cancel()


def test_a_home_that_takes_over_retires_what_was_before(tmp_path: Path) -> None:
    home = taken(tmp_path / "home")
    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    past, state, wrong = store.read_now(restoration.past), store.read_now(rebuilt), store.read_now(audit)
    store.close()
    assert past.generation == NOW // 1000
    assert past.notice is not None
    assert past.notice.signer == identity_of(SEED).node_id
    assert state is not None
    assert (state.index, state.notes) == ("missing", "missing")
    assert wrong == []
