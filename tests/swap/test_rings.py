"""Facts that come together must move a draft as if they had come one by one, without a wait at the disk for each."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import trio

from nanobarter.core.ids import DraftId, NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock
from nanobarter.core.units import MINUTE, Instant
from nanobarter.swap import tables
from nanobarter.swap.carrier import Carrier
from nanobarter.swap.rings import Rings
from nanobarter.swap.states import Given, LockedReceived, Locking, State, Voted
from tests.swap.ring import START, World

DRAFT = DraftId(b"d" * 32)
PARTIES = 6


class Still:
    """A carrier that remembers how often it was told what stands, and does nothing."""

    def __init__(self) -> None:
        self.told = 0

    def stand(self, *_: object, **__: object) -> None:
        self.told += 1


def locking() -> tuple[State, list[Given], Instant]:
    """Return a party's state before any receipt, all receipts of its ring, and when they came."""
    world, begun, facts = World(PARTIES, 1), list[tuple[State, Instant]](), list[Given]()
    party = world.parties[1]
    give = party.give

    def watch(given: Given) -> None:
        if isinstance(given, LockedReceived) and isinstance(party.state, Locking) and given not in facts:
            begun.append((party.state, world.now))
            facts.append(given)
        give(given)

    party.give = watch
    world.propose()
    world.run(Instant(START + MINUTE))
    return begun[0][0], facts, begun[0][1]


async def test_the_receipts_of_a_ring_that_come_together_are_two_writes_at_most(tmp_path: Path) -> None:
    state, facts, now = locking()
    assert len(facts) == PARTIES
    store, moves, still = Store.open(tmp_path / "store", tables.MIGRATIONS), list[State](), Still()
    rings = Rings(
        me=NodeId(bytes(32)),
        store=store,
        clock=ManualClock(now),
        times=World(2, 1).times,
        limits=LIMITS,
        changed=lambda _draft, _old, new, _given: moves.append(new),
        blamed=lambda _node, what: moves.append(cast("State", what)),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        rings.start(cast("Carrier", still))
        await rings.adopt(DRAFT, state)
        really_write, writes = store.write, list[int]()

        async def write(change: Callable[..., object]) -> object:
            writes.append(1)
            return await really_write(change)

        store.write = write  # pyright: ignore[reportAttributeAccessIssue] - counted here
        async with trio.open_nursery() as facts_in:
            for fact in facts:
                facts_in.start_soon(rings.apply, DRAFT, fact)
        assert len(writes) <= 2
        assert still.told <= 1 + 2
        nursery.cancel_scope.cancel()
    assert len(moves) == 1 + PARTIES
    assert isinstance(moves[-1], Voted)
    store.close()
    again = Store.open(tmp_path / "store", tables.MIGRATIONS)
    assert again.read_now(tables.live_states) == {DRAFT: moves[-1]}
    again.close()
