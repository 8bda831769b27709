"""At stake: a peer that lost shares and says nothing keeps its good name; or an honest one loses it by bad luck."""

from collections.abc import Collection
from pathlib import Path

import pytest

from nanobarter.core.ids import Hash, LeaseId, NodeId
from nanobarter.core.units import DAY, HOUR, Span
from nanobarter.storage import placements as rows
from nanobarter.storage.placements import Placement
from nanobarter.storage.verdicts import Outcome, Silent
from tests.storage.vaults import Town, pack_of, town

TURN = Span(6 * HOUR)


class Court:
    """What the auditor says of one peer, and which of its shares go unanswered."""

    def __init__(self, here: Town, node: NodeId) -> None:
        self.here, self.node = here, node
        self.faults = 0
        self.hidden: Collection[Hash] = ()
        self.offline = False
        self.watch()

    def watch(self) -> None:
        challenge = self.here.client.challenge

        async def asked(node: NodeId, lease: LeaseId, root: Hash, size: int) -> Outcome:
            if node == self.node and root in self.hidden:
                return Silent("no answer", offline=self.offline)
            return await challenge(node, lease, root, size)

        async def judged(node: NodeId, right: bool | None) -> None:  # noqa: FBT001 - the auditor's one word
            self.faults += node == self.node and right is False

        self.here.client.challenge = asked  # type: ignore[method-assign] # pyright: ignore[reportAttributeAccessIssue]
        self.here.auditor.observe(judged)

    def shares(self) -> list[Placement]:
        return [p for p in self.here.store.read_now(rows.all_placements) if p.node == self.node]

    async def rounds(self, count: int, pause: Span = TURN) -> None:
        for _ in range(count):
            await self.here.auditor.round_now(everything=True)
            self.here.clock.advance(pause)


async def stored(here: Town) -> Court:
    for label in "abcd":
        await here.placer.put(pack_of(label, 1, 2))
    return Court(here, here.peers[0].node_id)


async def test_a_share_that_is_never_shown_while_others_are_counts_once_as_lost(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        court = await stored(here)
        first, second, *_ = court.shares()
        court.hidden = {first.root}
        await court.rounds(7)
        assert court.faults == 0, "it might be chance until now"
        assert first.root in {p.root for p in court.shares() if p.state == "held"}
        await court.rounds(1)
        assert court.faults == 1
        await court.rounds(12)
        assert court.faults == 1
        court.hidden = {first.root, second.root}
        await court.rounds(8)
        assert court.faults == 2
        assert here.accused == [], "silence proves nothing to others"


async def test_a_withheld_share_is_still_asked_for_by_who_needs_it(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        court = await stored(here)
        pack = pack_of("a", 1, 2)
        placed = [p for p in here.store.read_now(rows.all_placements) if p.pack_id == pack.pack_id]
        others = [p.node for p in placed if p.node != court.node]
        court.hidden = {p.root for p in placed}
        await court.rounds(12)
        assert court.faults == 1
        for node in others:
            here.hub.disconnect(node)
        assert await here.placer.get(pack.pack_id) == pack.body


async def test_who_goes_dark_when_it_is_asked_for_what_it_lost_is_not_believed_either(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        court = await stored(here)
        court.hidden, court.offline = {court.shares()[-1].root}, True
        for _ in range(4 * 12):
            await here.auditor.round_now()
            here.clock.advance(Span(TURN // 4))
        assert court.faults == 1


async def test_the_count_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, nursery):
        court = await stored(here)
        court.hidden = {court.shares()[0].root}
        await court.rounds(5)
        here.restart_client(1)
        await nursery.start(here.store.run)
        court.watch()
        await court.rounds(2)
        assert court.faults == 0
        await court.rounds(1)
        assert court.faults == 1


@pytest.mark.parametrize("away", ["the peer", "we", "its answers"])
async def test_nobody_is_blamed_for_time_in_which_nothing_was_shown(tmp_path: Path, away: str) -> None:
    async with town(tmp_path, 2) as (here, _):
        court = await stored(here)
        one = {court.shares()[0].root}
        court.hidden = one
        await court.rounds(6)
        if away == "we":
            here.clock.advance(Span(5 * DAY))
        elif away == "the peer":
            here.hub.disconnect(court.node)
            await court.rounds(9)
            here.hub.reconnect(court.node)
        else:
            court.hidden = {p.root for p in court.shares()}
            await court.rounds(9)
            court.hidden = one
        await court.rounds(1)
        court.hidden = ()
        await court.rounds(1)
        court.hidden = one
        await court.rounds(7)  # a proof begins the count anew
        assert court.faults == 0


async def test_rounds_that_come_quickly_count_as_one(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        court = await stored(here)
        court.hidden = {court.shares()[0].root}
        await court.rounds(14, Span(3 * HOUR))
        assert court.faults == 0


async def test_a_share_that_was_given_up_or_whose_lease_ended_is_nobodys_fault(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        court = await stored(here)
        given_up, ended = court.shares()[:2]
        court.hidden = {given_up.root, ended.root}
        await court.rounds(7)
        await here.store.write(lambda db: rows.leave(db, given_up))
        sql = "UPDATE storage_leases SET ends_at = 1 WHERE lease_id = ?"
        await here.store.write(lambda db: db.execute(sql, (ended.lease_id,)).rowcount)
        await court.rounds(4)
        assert court.faults == 0
