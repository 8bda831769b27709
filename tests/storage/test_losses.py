"""At stake: a person must hear which snapshots and files are lost when packs are, at once and neither more nor less."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from nanobarter.core.ids import PackId
from nanobarter.core.units import HOUR, Span
from nanobarter.daemon.proofs import Proofs
from nanobarter.storage.browse import with_reader
from nanobarter.storage.catalog import StoredPack
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.health import passed_over
from nanobarter.storage.losses import Fate, Lacking, Missing, Present, fates, lacking_of, missing_of
from nanobarter.storage.restore import restore
from nanobarter.storage.snapshot import Snapshot
from tests.storage.engine import Engine, opened
from tests.storage.vaults import pack_of, signing, town

T = TypeVar("T")


async def look(engine: Engine, lacking: Lacking, work: Callable[[ChunkReader], T]) -> T:
    source = Present(engine.packs, lacking)
    return await with_reader(engine.keys, engine.catalog, source, engine.limits, work)


async def fates_of(engine: Engine, lacking: Lacking, *snapshots: Snapshot) -> list[Fate]:
    return await look(engine, lacking, lambda reader: list(fates(snapshots, reader, lacking, lambda: None)))


async def missing(engine: Engine, lacking: Lacking, snapshot: Snapshot, only: bytes = b"/") -> Missing:
    def wanted(path: bytes) -> bool:
        return path.startswith(only) or only.startswith(path)

    return await look(engine, lacking, lambda reader: missing_of(snapshot, reader, lacking, wanted, lambda: None))


async def packs(engine: Engine, kind: str, before: list[StoredPack] | None = None) -> frozenset[PackId]:
    old = {pack.pack_id for pack in before or ()}
    return frozenset(p.pack_id for p in await engine.catalog.packs() if p.kind == kind and p.pack_id not in old)


async def test_just_the_snapshots_that_need_a_lacking_pack_are_told(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "old").write_bytes(b"old" * 50_000)
    async with opened(tmp_path / "home") as engine:
        first = (await engine.backup(source)).snapshot
        before = await engine.catalog.packs()
        (source / "new").write_bytes(b"new" * 50_000)
        second = (await engine.backup(source)).snapshot
        fresh, trees = await packs(engine, "data", before), await packs(engine, "meta", before)
        everything = frozenset(pack.pack_id for pack in await engine.catalog.packs())
        assert await fates_of(engine, Lacking(gone=fresh), first, second) == ["whole", "part"]
        assert await fates_of(engine, Lacking(gone=fresh), second, first) == ["part", "whole"]
        assert await fates_of(engine, Lacking(away=fresh), second, first) == ["away", "whole"]
        assert await fates_of(engine, Lacking(gone=trees), first, second) == ["whole", "lost"]
        assert await fates_of(engine, Lacking(gone=everything), first, second) == ["lost", "lost"]
        assert await fates_of(engine, Lacking(away=everything), first, second) == ["away", "away"]


async def test_a_restore_hears_which_files_it_cannot_bring_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "old").write_bytes(b"old" * 50_000)
    async with opened(tmp_path / "home") as engine:
        await engine.backup(source)
        before = await engine.catalog.packs()
        (source / "new").write_bytes(b"new" * 50_000)
        snapshot = (await engine.backup(source)).snapshot
        fresh, trees = await packs(engine, "data", before), await packs(engine, "meta", before)
        found = await missing(engine, Lacking(gone=fresh), snapshot)
        assert (found.gone_files, found.gone_bytes, found.gone_folders) == (1, 150_000, 0)
        assert found.first == (bytes(source / "new"),)
        found = await missing(engine, Lacking(away=fresh), snapshot)
        assert (found.gone_files, found.away_files) == (0, 1)
        assert not await missing(engine, Lacking(gone=fresh), snapshot, only=bytes(source / "sub"))
        found = await missing(engine, Lacking(gone=trees), snapshot)
        assert (found.gone_folders, found.first) == (1, (bytes(source),))


async def test_only_what_silent_peers_have_is_worth_another_restore(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "old").write_bytes(b"old" * 50_000)
    async with opened(tmp_path / "home") as engine:
        snapshot = (await engine.backup(source)).snapshot
        for kind in ("data", "meta"):
            some = await packs(engine, kind)
            for lacking in (Lacking(gone=some), Lacking(away=some)):
                target = tmp_path / f"{kind} {bool(lacking.away)}"
                done = await restore(
                    snapshot,
                    target,
                    keys=engine.keys,
                    catalog=engine.catalog,
                    source=Present(engine.packs, lacking),
                )
                assert done.lost
                assert done.away == bool(lacking.away), "it told to come again for what is lost"
                assert bool([*target.rglob(".nanobarter-*")]) == done.away


async def test_what_peers_were_caught_without_is_gone_and_what_the_silent_have_is_away(tmp_path: Path) -> None:
    async with town(tmp_path, 5) as (here, _):
        pack = pack_of("a", 2, 5)
        await here.placer.put(pack)
        other = pack_of("never placed", 2, 5).pack_id

        def told() -> Lacking:
            return lacking_of([pack.pack_id, other], here.auditor.health())

        async def counted() -> tuple[int, int, int]:
            health = await Proofs(here.store, here.auditor).health()
            return health.below_threshold, health.lost, health.away

        assert told() == Lacking(gone=frozenset({other}))
        for peer in here.peers:
            here.hub.disconnect(peer.node_id)
        await here.auditor.round_now()
        here.clock.advance(Span(72 * HOUR))
        assert told() == Lacking(frozenset({other}), frozenset({pack.pack_id}))
        assert await counted() == (1, 0, 1)
        for peer in here.peers[:4]:
            here.hub.reconnect(peer.node_id)
            peer.files()[0].unlink()
        await here.auditor.round_now(everything=True)
        assert told() == Lacking(frozenset({other, pack.pack_id}))
        assert await counted() == (1, 1, 0)


async def test_the_code_of_most_packs_is_told_and_not_that_of_the_first(tmp_path: Path) -> None:
    async with town(tmp_path, 5) as (here, _):
        first, *others = sorted((pack_of(label, 1, 1) for label in "abc"), key=lambda pack: pack.pack_id)
        await here.placer.put(first)
        health = await Proofs(here.store, here.auditor).health()
        assert (health.k, health.n, health.mixed) == (1, 1, False)
        for pack in others:
            await here.placer.put(replace(pack, n=5))
        health = await Proofs(here.store, here.auditor).health()
        assert (health.k, health.n, health.mixed) == (1, 5, True)


async def test_who_proves_a_share_counts_again_before_the_next_round_of_audits(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack_of("a", 1, 3))
        for peer in here.peers:
            peer.files()[0].unlink()
        await here.auditor.round_now()
        assert here.auditor.forsaken == {peer.node_id for peer in here.peers}
        await here.placer.put(pack_of("b", 1, 3))
        here.auditor.look()
        assert here.auditor.forsaken == set()


def test_the_forsaken_are_tried_again_where_too_few_others_are_known() -> None:
    five = [signing(f"{i}").node_id for i in range(5)]
    assert passed_over(five[:2], five, five) == set(five[:2]), "three that never failed are enough"
    assert passed_over(five[:4], five, five) == set(), "else one peer would get everything"
    assert passed_over(five[:4], five, five[2:]) == set(five[:2]), "the silent cannot be tried"
    assert passed_over(five[:1], five[:2], five) == set()
    assert passed_over(five, five, five) == set()
    assert passed_over(five, five, ()) == set(), "nobody else is known"
    assert passed_over(five[:1], (), ()) == set()
