"""A hung peer must cost an upload seconds and not minutes, and a peer that is back must not stay left out."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.system import ManualClock
from nanobarter.core.units import MIB, Span
from nanobarter.storage.outgoing import Attempt, Outgoing
from nanobarter.storage.pace import Pace
from nanobarter.storage.placements import PlacedPackRow
from nanobarter.storage.ports import PackMissing
from nanobarter.storage.rests import Rests
from nanobarter.storage.targets import Candidate, Picker
from tests.storage.test_placement import HANGING, held
from tests.storage.vaults import pack_of, signing, town

A, B, C = (signing(name).node_id for name in "abc")


class Signs:
    """Who gives a sign of life, and how often they were asked."""

    def __init__(self) -> None:
        self.living = set[NodeId]()
        self.asked = list[NodeId]()

    async def lives(self, node: NodeId, _within: Span) -> bool:
        await trio.lowlevel.checkpoint()
        self.asked.append(node)
        return node in self.living


async def test_a_mute_peer_is_asked_once_in_a_rest_unless_it_gets_another_chance() -> None:
    signs, clock = Signs(), ManualClock()
    rests = Rests(signs.lives, clock, LIMITS)
    for node in (A, B):
        rests.begin(node)
    signs.living = {B}
    assert await rests.end_of_the_living() == 1
    assert (rests.resting(A), rests.mute(A), rests.resting(B)) == (True, True, False)
    signs.living = {A}
    assert await rests.end_of_the_living() == 0
    rests.begin(A)  # it failed again: still mute, and the rest begins anew
    assert rests.mute(A)
    assert await rests.end_of_the_living(mute_too=True) == 1
    assert not rests.resting(A)
    rests.begin(A)
    assert not rests.mute(A)
    clock.advance(LIMITS.share_peer_rest)
    assert not rests.resting(A)
    assert sorted(signs.asked) == sorted([A, B, A])


def job(k: int, *, least: float = 2.0) -> Outgoing:
    row = PlacedPackRow(pack_of("a", k, 3).pack_id, "data", k, 3, MIB, thin=True)
    picker = Picker([Candidate(node, None, MIB, connected=True, resting=node == C) for node in (A, B, C)], True)
    return Outgoing(row, {}, picker, set(), least)


def test_late_is_measured_by_the_others_and_by_the_line() -> None:
    pace, out = Pace(), job(2)
    hangs, moves = Attempt(A, MIB, since=0.0), Attempt(B, MIB, since=0.0)
    out.running = {hangs, moves}
    assert out.late(500.0, pace) == []  # nothing is known of any line
    pace.took(C, MIB, 10.0)
    pace.heard(B, 59.0)
    assert out.late(39.0, pace) == []
    assert out.late(60.0, pace) == [hangs]  # a slow line is none that hangs
    pace.slower()
    assert out.late(60.0, pace) == []
    out.taken = 2
    out.arrived(0, 1.0)
    assert out.late(2.9, pace) == []
    assert out.late(3.1, pace) == [hangs]
    out.arrived(1, 1.0)
    assert set(out.late(3.1, pace)) == {hangs, moves}  # k are there: nobody need be waited for
    out.excuse(3.0)
    assert out.late(3.1, pace) == []


def test_a_peer_that_failed_lately_is_taken_only_where_k_would_not_be_reached() -> None:
    two, three = job(2), job(3)
    assert [c.node if (c := two.take(1)) else None for _ in range(3)] == [*sorted_by_choice(), None]
    assert [c.node if (c := three.take(1)) else None for _ in range(3)] == [*sorted_by_choice(), C]
    first = next(c for c in two.picker.candidates if c.node == A)
    two.give_back(first)
    again = two.take(1)
    assert again is not None
    assert again.node == C


def sorted_by_choice() -> list[NodeId]:
    return sorted([A, B])


async def test_a_hung_peer_is_given_up_by_all_packs_at_once_and_read_around(
    tmp_path: Path, idle_clock: MockClock
) -> None:
    packs = [pack_of(str(i), 2, 5) for i in range(3)]
    async with town(tmp_path, 5, limits=HANGING) as (here, _):
        first = pack_of("first", 2, 5)
        await here.placer.put(first)
        here.hang(here.peers[0])
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for pack in packs:
                    nursery.start_soon(here.placer.put, pack)
            assert here.reader.rests.resting(here.peers[0].node_id)
            for pack in packs:
                assert len(held(here, pack.pack_id)) == 4
                assert await here.placer.get(pack.pack_id) == pack.body
            here.reader.forgive()
            assert await here.placer.get(first.pack_id) == first.body
        for peer in here.peers[1:4]:
            here.hub.disconnect(peer.node_id)
        with pytest.raises(PackMissing), trio.fail_after(60):
            await here.placer.get(packs[0].pack_id)


async def test_a_pack_whose_peers_are_mute_costs_a_repair_no_wait(tmp_path: Path, idle_clock: MockClock) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 4, limits=HANGING) as (here, _):
        await here.placer.put(pack)
        holders = {p.node for p in held(here, pack.pack_id)}
        for peer in [p for p in here.peers if p.node_id in holders][:2]:
            here.hang(peer)
            here.reader.rests.begin(peer.node_id)
        assert await here.reader.rests.end_of_the_living() == 0
        one = next(p for p in held(here, pack.pack_id) if here.placer.is_mute(p.node))
        await here.store.write(
            lambda db: db.execute("UPDATE storage_placements SET state = 'bad' WHERE node = ?", (one.node,)).rowcount
        )
        with trio.fail_after(60):
            done = await here.repairer.round_now()
        assert done.failed == ((pack.pack_id, "too few of its peers answer"),)
