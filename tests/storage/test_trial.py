"""Who never tries a newcomer has only strangers left when the known ones fail; who rests on one loses data."""

from pathlib import Path

from nanobarter.core.ids import NodeId
from nanobarter.core.units import MINUTE, Span
from nanobarter.storage import placements as rows
from nanobarter.storage.repair import Repairer
from tests.storage.vaults import Town, pack_of, town


def trying(here: Town, strangers: list[NodeId]) -> Repairer:
    here.repairer.try_out(lambda: strangers)
    return here.repairer


def kept_by(here: Town, strangers: list[NodeId]) -> list[tuple[bytes, int]]:
    return [(p.node, p.index) for p in here.store.read_now(rows.all_placements) if p.node in strangers]


async def test_strangers_get_a_copy_of_one_share_each_beside_a_whole_backup_and_no_more_than_three_of_them(
    tmp_path: Path,
) -> None:
    async with town(tmp_path, 4) as (here, nursery):
        for label in "ab":
            await here.placer.put(pack_of(label, 2, 4))
        strangers = [(await here.new_peer(nursery)).node_id for _ in range(5)]
        repairer = trying(here, strangers)
        for _ in range(8):
            await repairer.round_now()
            here.clock.advance(Span(5 * MINUTE))
        kept = kept_by(here, strangers)
        assert len(kept) == len({node for node, _ in kept}) == here.limits.trial_peers_max
        await here.auditor.round_now()
        assert here.auditor.status().verdict == "healthy"
        asked = {p.node for p in here.store.read_now(rows.all_placements) if p.node in strangers and p.last_proof_at}
        assert asked == {node for node, _ in kept}  # this is what they are vetted by


async def test_nothing_is_tried_out_while_the_backup_needs_places(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, nursery):
        await here.placer.put(pack_of("a", 2, 4))
        stranger = await here.new_peer(nursery)
        await trying(here, [stranger.node_id]).round_now()
        ((node, index),) = kept_by(here, [stranger.node_id])
        held = here.store.read_now(rows.all_placements)
        assert [p.node for p in held if p.index == index] == [node]  # a share of its own, which was missing


async def test_a_backup_loses_nothing_when_a_stranger_drops_its_copy(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, nursery):
        await here.placer.put(pack)
        stranger = await here.new_peer(nursery)
        repairer = trying(here, [stranger.node_id])
        await repairer.round_now()
        stranger.files()[0].unlink()
        assert len((await here.auditor.round_now(everything=True)).wrong) == 1
        assert here.auditor.health()[0].proven == 4
        here.hub.disconnect(stranger.node_id)
        await repairer.round_now()
        assert here.auditor.status().verdict == "healthy"
        assert await here.placer.get(pack.pack_id) == pack.body
