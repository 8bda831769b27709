"""At stake: a store put back from an old copy would honour notes twice; an honest mint must never be taken for one."""

import shutil
from pathlib import Path
from typing import cast

import pytest
from msgspec import structs

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import Signature
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.core.units import DAY, HOUR, Span
from nanobarter.mint.answer_messages import Answer, Contract, Leased, LockAnswer, LockState, Minted, Refusal
from nanobarter.mint.messages import Request, RestoreBody
from nanobarter.mint.proofs.records import Exchange
from nanobarter.mint.restoration import (
    EXPOSED_WITHIN,
    Remembered,
    exposes,
    open_restored,
    past,
    unknown,
)
from tests.mint.purse import KIND, NODE, Bench, Held, Purse, key_of

HOLDER = key_of("holder")


class Peer(Purse):
    """A purse that keeps all that the mint signed for it, to show it later."""

    def shown(self) -> Remembered:
        answers = [decode(answer, Signed, size_max=65536) for _, answer in self.sent]
        bodies = [decode(raw, Request, size_max=131072).body for raw, _ in self.sent]
        found = list(zip(bodies, answers, strict=True))
        opened = [(body, answer, open_any(answer)) for body, answer in found]
        return Remembered(
            announcements=tuple(k.signed for k in self.bench.mint.usable()),
            contracts=tuple(told.contract for _, _, told in opened if isinstance(told, Leased)),
            locked=tuple(told.locked for _, _, told in opened if isinstance(told, LockAnswer)),
            exchanges=tuple(Exchange(body, answer) for body, answer, told in opened if isinstance(told, Minted))[-4:],
        )


def open_any(signed: Signed) -> object:
    return decode(signed.body, cast("type[Answer]", Answer), size_max=65536)


async def lost(bench: Bench, shown: Remembered) -> str:
    return await bench.store.read(lambda db: unknown(db, NODE.node_id, shown, bench.clock.now()))


async def a_day(peer: Peer, name: str) -> list[Held]:
    """Let notes, a lease and a lock come to be; return the notes that are not spent."""
    notes = await peer.issue(8, 4, 2)
    assert isinstance(await peer.redeem([notes[1]], HOLDER), Leased)
    assert isinstance(await peer.lock(peer.terms(name, 16)), LockAnswer)
    assert isinstance(await peer.swap([notes[2]], 1, 1), Minted)
    return [notes[0]]


async def test_an_honest_mint_knows_all_that_it_signed_for_as_long_as_it_counts(
    tmp_path: Path, keys: list[bytes]
) -> None:
    bench = Bench(tmp_path / "m", keys)
    peer = Peer(bench)
    seen = Remembered()
    for day in range(12):
        async with bench.open() as mint:
            if day % 4 == 0:
                await a_day(peer, f"ring {day}")
                outputs = tuple(p.output for p in peer.outputs([1]))
                await peer.ask(RestoreBody(NODE.node_id, peer.until, outputs))  # a signature again is no new one
                seen = peer.shown()
            for shown in (seen, peer.shown()):
                assert await lost(bench, shown) == "", day
            bench.clock.advance(Span(5 * DAY))
            await mint.expire()
            await mint.make_keysets()
            assert await lost(bench, seen) == ""


@pytest.mark.parametrize("what", ["contracts", "locked", "exchanges", "announcements"])
async def test_each_thing_signed_since_the_copy_shows_that_it_is_old(
    tmp_path: Path, keys: list[bytes], what: str
) -> None:
    bench, copy = Bench(tmp_path / "m", keys), tmp_path / "copy"
    peer = Peer(bench)
    async with bench.open():
        await a_day(peer, "before")
    shutil.copy(bench.path, copy)
    if what == "announcements":
        bench.clock.advance(Span(6 * DAY))
    async with bench.open():
        await a_day(peer, "after")
        shown = peer.shown()
    shutil.copy(copy, bench.path)
    async with bench.open():
        only = structs.replace(Remembered(), **{what: getattr(shown, what)})
        assert await lost(bench, only) != ""
        assert await lost(bench, Remembered()) == ""


async def test_after_a_restoration_nothing_is_accepted_twice_and_leases_are_taken_up_again(
    tmp_path: Path, keys: list[bytes]
) -> None:
    bench, copy = Bench(tmp_path / "m", keys), tmp_path / "copy"
    peer = Peer(bench)
    async with bench.open():
        old = await peer.issue(32)
        kept = await a_day(peer, "before")
    shutil.copy(bench.path, copy)
    async with bench.open():
        assert isinstance(await peer.swap(old, 32), Minted)
        newer = peer.notes[-1:]
        await a_day(peer, "after")
        leases, shown = {c.lease_id for c in bench.mint.leases()}, peer.shown()
        locks = {lock.terms.lock_id for lock in bench.mint.locks()}
    shutil.copy(copy, bench.path)
    bench.clock.advance(Span(HOUR))
    async with bench.open() as mint:
        assert await lost(bench, shown) != ""
        notice = open_restored(await mint.restored())
        assert (notice.generation > 0, notice.since) == (True, bench.clock.now())
        for notes in (old, kept, newer):  # spent since, never spent, and made since
            no = await peer.swap(notes, notes[0].note.quantity)
            assert isinstance(no, Refusal)
            assert no.reason is Reason.RETIRED_KEYSET
        assert next(c.outstanding for c in mint.capacity() if c.kind == KIND) == 0
        assert await lost(bench, shown) == ""  # what was lost once is no second loss
        assert await mint.adopt(shown) == 1
        assert await mint.adopt(shown) == 0
        assert {c.lease_id for c in mint.leases()} == leases
        assert {lock.terms.lock_id for lock in mint.locks()} == locks
        assert list(mint.audit()) == []
        fresh = await peer.issue(16)
        assert isinstance(await peer.swap(fresh, 8, 8), Minted)
        assert await lost(bench, peer.shown()) == ""
        windows = {(k.announcement.kind, k.announcement.issue_from, k.announcement.generation) for k in mint.usable()}
        assert {g for _, _, g in windows} == {notice.generation}
    async with bench.open() as mint:  # and a restart changes nothing of it
        no = await peer.swap(kept, 8)
        assert isinstance(no, Refusal)
        assert no.reason is Reason.RETIRED_KEYSET
        assert await bench.store.read(lambda db: past(db).generation) == notice.generation
        assert list(mint.audit()) == []


async def test_what_is_taken_up_again_stays_within_the_pledge(tmp_path: Path, keys: list[bytes]) -> None:
    bench, copy = Bench(tmp_path / "m", keys), tmp_path / "copy"
    peer = Peer(bench)
    async with bench.open():
        await peer.issue(1)
    shutil.copy(bench.path, copy)
    async with bench.open():
        for _ in range(3):
            await peer.redeem(await peer.issue(64), HOLDER)
        shown = peer.shown()
    shutil.copy(copy, bench.path)
    async with bench.open() as mint:
        await mint.restored()
        await peer.issue(128)
        assert await mint.adopt(shown) == 1
        assert next(c.free for c in mint.capacity() if c.kind == KIND) == 255 - 128 - 64
        assert list(mint.audit()) == []


async def test_nobody_else_can_make_a_mint_believe_that_it_forgot(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "m", keys)
    peer, stranger = Peer(bench), key_of("stranger")
    async with bench.open():
        await a_day(peer, "ring")
        shown = peer.shown()
        forged = structs.replace(shown.contracts[0], key=stranger.public)
        foreign = seal_signed(stranger, "mint/contract", decode_contract(shown.contracts[0]))
        for bad in (forged, foreign):
            with pytest.raises(Malformed):
                await lost(bench, Remembered(contracts=(bad,)))
        outputs = tuple(p.output for p in peer.outputs([1]))
        again = await peer.ask(RestoreBody(NODE.node_id, peer.until, outputs))
        assert isinstance(again, Minted)
        raw, answer = peer.sent[-1]
        body = decode(raw, Request, size_max=131072).body
        exchange = Exchange(body, decode(answer, Signed, size_max=65536))
        assert await lost(bench, Remembered(exchanges=(exchange,))) == ""
        other = structs.replace(exchange, body=decode(peer.sent[0][0], Request, size_max=131072).body)
        with pytest.raises(Malformed):
            await lost(bench, Remembered(exchanges=(other,)))


def decode_contract(signed: Signed) -> Contract:
    return decode(signed.body, Contract, size_max=4096)


async def test_a_second_restoration_within_a_season_exposes(tmp_path: Path, keys: list[bytes]) -> None:
    bench = Bench(tmp_path / "m", keys)
    async with bench.open() as mint:
        first = open_restored(await mint.restored())
        assert not exposes(first, first)
        bench.clock.advance(Span(EXPOSED_WITHIN - DAY))
        second = open_restored(await mint.restored())
        assert exposes(first, second)
        bench.clock.advance(EXPOSED_WITHIN)
        third = await mint.restored()
        assert not exposes(second, open_restored(third))
        with pytest.raises(Malformed):
            open_restored(structs.replace(third, signature=Signature(bytes(64))))


async def test_a_restored_mint_gives_its_own_lock_back_to_itself_only_when_it_lapses(
    tmp_path: Path, keys: list[bytes]
) -> None:
    bench, copy = Bench(tmp_path / "m", keys), tmp_path / "copy"
    peer = Peer(bench)
    async with bench.open():
        notes = await peer.issue(16)
        own, paid = peer.terms("own", 16), peer.terms("paid", 16)
        assert isinstance(await peer.lock(own), LockAnswer)
        assert isinstance(await peer.lock(paid, notes), LockAnswer)
    shutil.copy(bench.path, copy)
    async with bench.open():
        assert isinstance(await peer.release("own", own.lock_id), LockState)  # which the copy does not know
    shutil.copy(copy, bench.path)
    bench.clock.advance(Span(2 * DAY))
    async with bench.open() as mint:
        await mint.restored()
        bench.clock.advance(Span(2 * DAY))
        no = await peer.refund("own", own.lock_id)
        assert isinstance(no, Refusal)
        assert (no.reason, "older than" in no.detail) == (Reason.NOT_YET, True)
        assert isinstance(await peer.refund("paid", paid.lock_id), LockState)  # notes are all that its giver has
        later = peer.terms("later", 16)
        assert isinstance(await peer.lock(later), LockAnswer)
        bench.clock.advance(Span(3 * DAY))
        await mint.alive()
        bench.clock.advance(Span(2 * DAY))
        assert isinstance(await peer.refund("later", later.lock_id), LockState)
        bench.clock.advance(Span(40 * DAY))
        await mint.expire()
        assert [c.locked for c in mint.capacity() if c.kind == KIND] == [0]
        assert list(mint.audit()) == []
