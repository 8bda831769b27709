"""Whoever pays us has signed that it will: that word must outlive our restarts until we are paid, and no longer."""

from pathlib import Path
from typing import Literal

import trio.testing

from nanobarter.core.ids import NodeId
from nanobarter.swap import tables
from nanobarter.swap.events import Settled
from nanobarter.swap.terms import open_locked
from tests.swap.whole import quiet, world_of


async def test_the_lock_that_pays_us_is_kept_until_we_are_paid(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with world_of(tmp_path, 3, mock_clock) as world:
        parties = world.nodes

        def rule(caller: NodeId, callee: NodeId, method: str) -> Literal["request", "answer"] | None:
            return "request" if (caller, method) == (parties[1].node, "swap.vote") else None

        world.hub.lose = rule
        world.nursery.start_soon(world.propose, parties[0], *world.ring(parties, parties))
        for _ in range(20):
            await quiet()
            world.jump(0.5)
        for i, party in enumerate(parties):
            payer = parties[i - 1]
            (kept,) = party.store.read_now(lambda db, issuer=payer.node: tables.claims(db, issuer))
            terms = open_locked(kept).terms
            assert (kept.signer, terms.index, terms.quantity) == (payer.node, (i - 1) % 3, 100 + (i - 1) % 3)
            locked, agreed = party.store.read_now(tables.words_kept)
            assert (locked, [signed.signer for signed in agreed]) == ([kept], [parties[0].node])
        world.hub.lose = None
        await world.settle(parties, patient=True)
        assert isinstance(world.outcome, Settled)
        assert [p.store.read_now(tables.words_kept) for p in parties] == [([], [])] * 3
