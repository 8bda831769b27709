"""At stake: a pledge below what is promised cheats its holders; one that cannot shrink must tell its owner why."""

import tempfile
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobarter.core.units import DAY, HOUR, Instant, LeaseKind, Quantity, Span
from nanobarter.mint.inventory import inventory, next_keys_at
from nanobarter.mint.pledge import Blocked, Promise
from tests.mint.purse import KIND, OTHER, PLEDGED, START, Bench, Purse, key_of, stored_keys

LATER = Instant(START + HOUR)


async def test_a_smaller_pledge_is_refused_with_what_must_end_first(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "m", keys)
    async with bench.open() as mint:
        purse = Purse(bench)
        notes = await purse.issue(8, 4)
        await purse.redeem([notes[1]], key_of("holder"))
        await purse.lock(purse.terms("ring", 16))
        assert await mint.reserve(b"draft", KIND, Quantity(2), LATER) is None
        (blocked,) = await mint.repledge({**PLEDGED, KIND: Quantity(10)})
        assert (blocked.kind, blocked.wanted, blocked.promised) == (KIND, 10, 30)
        assert sorted((p.what, p.quantity) for p in blocked.promises) == [
            ("lease", 4),
            ("lock", 16),
            ("notes", 8),
            ("reserved", 2),
        ]
        assert [p.until for p in blocked.promises] == sorted(p.until for p in blocked.promises)
        assert next(c.pledged for c in mint.capacity() if c.kind == KIND) == PLEDGED[KIND]

        def besides(_db: object, kind: LeaseKind) -> list[Promise]:
            return [Promise("reserved", Quantity(1), LATER)] if kind == KIND else []

        assert await mint.repledge({**PLEDGED, KIND: Quantity(30)}, besides) != []
        assert await mint.repledge({**PLEDGED, KIND: Quantity(30)}) == []
        assert next(c.free for c in mint.capacity() if c.kind == KIND) == 0
        bench.clock.advance(Span(60 * DAY))
        assert await mint.repledge({KIND: Quantity(1)}) == []
        assert {c.kind: c.pledged for c in mint.capacity()} == {KIND: 1, OTHER: 0}
        assert list(mint.audit()) == []
    async with bench.open({KIND: Quantity(1)}) as mint:  # what the config says by then
        assert list(mint.audit()) == []


async def test_a_kind_that_is_offered_again_announces_no_second_keyset(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "m", keys)
    new = LeaseKind("90d")
    async with bench.open() as mint:
        assert await mint.repledge({**PLEDGED, new: Quantity(4)}) == []
        first = [k.keyset_id for k in mint.usable() if k.announcement.kind == new]
        await Purse(bench).issue(4, kind=new)
        assert len(await mint.repledge(PLEDGED)) == 1  # its notes are out
        assert await mint.repledge({**PLEDGED, new: Quantity(64)}) == []
        bench.clock.advance(Span(5 * DAY + HOUR))
        await mint.make_keysets()
        assert [k.keyset_id for k in mint.usable() if k.announcement.kind == new][: len(first)] == first
        windows = [(k.announcement.kind, k.announcement.issue_from) for k in mint.usable()]
        assert len(set(windows)) == len(windows) == 6


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["issue", "pledge", "wait", "restart"]), st.integers(0, 63)), max_size=12))
def test_the_law_holds_whatever_is_pledged_and_when(steps: list[tuple[str, int]]) -> None:
    async def run(folder: str) -> None:
        bench = Bench(Path(folder) / "m", stored_keys())
        pledged, left = dict(PLEDGED), list(steps)
        while True:
            async with bench.open(pledged) as mint:
                while left:
                    what, n = left.pop(0)
                    if what == "issue":
                        free, size = next(c.free for c in mint.capacity() if c.kind == KIND), Quantity(1 << n % 6)
                        if free >= size and size in Purse(bench).keyset().moduli:
                            await Purse(bench, f"p{len(left)}").issue(size)
                    elif what == "pledge":
                        wish = {**pledged, KIND: Quantity(max(n * 4, 1))}
                        blocked = await mint.repledge(wish)
                        promised = sum(c.outstanding for c in mint.capacity() if c.kind == KIND)
                        assert bool(blocked) == (promised > wish[KIND])
                        pledged = pledged if blocked else wish
                    elif what == "wait":
                        bench.clock.advance(Span(n * DAY))
                        await mint.expire()
                        await mint.make_keysets()
                    else:
                        break
                    assert {c.kind: c.pledged for c in mint.capacity()} == pledged
                    assert list(mint.audit()) == []
                else:
                    return

    with tempfile.TemporaryDirectory() as folder:
        trio.run(run, folder)


def test_what_must_end_is_no_more_than_needed() -> None:
    promises = tuple(Promise("lease", Quantity(q), Instant(i)) for i, q in enumerate((5, 1, 7)))
    blocked = [Blocked(KIND, Quantity(w), Quantity(13), promises) for w in (0, 7, 8, 12)]
    assert [len(b.in_the_way()) for b in blocked] == [3, 2, 1, 1]


async def test_the_inventory_follows_a_keyset_through_its_life(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "m", keys)
    async with bench.open() as mint:
        purse = Purse(bench)
        notes = await purse.issue(8, 2)
        await purse.redeem([notes[1]], key_of("holder"))
        stages = list[str]()
        for _ in range(60):
            now = bench.clock.now()
            found = await bench.store.read(lambda db, now=now: inventory(db, now))
            mine = [i for i in found if i.keyset == notes[0].note.keyset]
            stages += [i.stage for i in mine if stages[-1:] != [i.stage]]
            for one in mine:
                assert one.outstanding == (8 if one.stage in ("issuing", "redeeming") else 0)
                counted = {d.quantity: (d.issued, d.spent) for d in one.denominations}
                assert (counted[Quantity(8)], counted[Quantity(2)]) == ((1, 0), (1, 1))
            assert await bench.store.read(lambda db, now=now: next_keys_at(db, now, bench.limits)) > now
            bench.clock.advance(Span(DAY))
            await mint.make_keysets()
            await mint.expire()
        assert stages == ["issuing", "redeeming", "retired"]
        assert notes[0].note.keyset not in {k.keyset_id for k in mint.usable()}
