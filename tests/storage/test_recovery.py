"""Twenty-four words and one reachable peer must be enough, whatever some of the others do."""

import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import LeaseId, NodeId, PackId, sha256
from nanobarter.core.keys import Signed
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import Instant, Span
from nanobarter.storage.head import (
    HeadPlain,
    NodeAddress,
    PlacedPack,
    PlacedShare,
    head_id_of,
    make_head,
    open_head,
    part_bytes,
    seal_part,
    unseal_part,
)
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.publish import last_head
from nanobarter.storage.recovery import NothingFound, Recovered, recover
from nanobarter.storage.vault_asking import get_head
from tests.storage.vaults import TINY, Town, pack_of, signing, town

KEYS = VaultKeys.from_seed(b"seed" * 16)
SHARES = (PlacedShare(0, NodeId(b"n" * 32), LeaseId(b"l" * 32), sha256(b"root")),)
PLAIN = HeadPlain(
    0,
    77,
    (PlacedPack(PackId(b"p" * 32), "catalog", 1, 3, 65536, SHARES),),
    (NodeAddress(NodeId(b"n" * 32), "192.0.2.1", 7070),),
)
HEAD = make_head(KEYS, 5, Instant(1_700_000_000_000), PLAIN, SeededEntropy(1, "head"))
GOLDEN = Path(__file__).parent.parent / "vectors" / "storage-net-head.json"


async def back(here: Town, keys: VaultKeys = KEYS) -> Recovered:
    return await recover(
        keys=keys,
        network=here.directory,
        store=here.store,
        clock=here.clock,
        entropy=here.entropy,
        limits=here.limits,
    )


async def test_everything_comes_back_through_one_known_peer_with_three_gone(tmp_path: Path) -> None:
    packs = [pack_of(label, 2, 5) for label in "abc"]
    async with town(tmp_path, 5) as (here, nursery):
        for pack in packs:
            await here.placer.put(pack)
        told = await here.publisher.publish(b"the catalog")
        assert len(told.kept_by) == 5
        await here.move_client("bare", nursery)
        for peer in here.peers[1:4]:
            here.hub.disconnect(peer.node_id)
        found = await back(here)
        assert (found.catalog, found.sequence, found.packs) == (b"the catalog", told.sequence, 3)
        for pack in packs:
            assert await here.placer.get(pack.pack_id) == pack.body
        assert len(here.leases.live()) == 5


async def test_a_head_does_not_name_what_was_replaced(tmp_path: Path) -> None:
    old, new = pack_of("old", 2, 5), pack_of("new", 2, 5)
    async with town(tmp_path, 5) as (here, nursery):
        await here.placer.put(old)
        await here.placer.put(new)
        await here.publisher.publish(b"the catalog", replaced=[old.pack_id])
        assert await here.placer.get(old.pack_id) == old.body  # an older head may still be the one that is found
        await here.move_client("bare", nursery)
        found = await back(here)
        assert found.packs == 1
        assert [h.row.pack_id for h in here.auditor.health() if h.row.kind == "data"] == [new.pack_id]


async def test_the_newest_head_wins_over_one_of_a_peer_that_was_away(tmp_path: Path) -> None:
    async with town(tmp_path, 4) as (here, nursery):
        await here.publisher.publish(b"first")
        here.hub.disconnect(here.peers[0].node_id)
        here.clock.advance(TINY.share_peer_rest)
        told = await here.publisher.publish(b"second")
        assert [node for node, _ in told.failed] == [here.peers[0].node_id]
        here.hub.reconnect(here.peers[0].node_id)
        await here.move_client("bare", nursery)
        assert (await back(here)).catalog == b"second"


async def test_a_holder_that_hangs_holds_up_nobody_and_gets_the_head_when_it_wakes(
    tmp_path: Path, idle_clock: MockClock
) -> None:
    limits = replace(TINY, share_patience=Span(500))
    async with town(tmp_path, 4, limits=limits) as (here, _):
        late, answer = here.peers[0], here.peers[0].node.methods.answer
        await here.placer.put(pack_of("a", 2, 4))  # a lease at each
        here.hang(late)
        here.reader.rests.begin(late.node_id)
        with trio.fail_after(30):
            told = await here.publisher.publish(b"the catalog")
        assert told.failed == ((late.node_id, "it did not answer in time"),)
        late.node.methods.answer = answer
        await here.publisher.catch_up()
        head = await get_head(here.node, late.node_id, head_id_of(here.keys), TINY)
        assert head is not None
        assert open_head(here.keys, head, TINY.vault_head_bytes_max)[0].sequence == told.sequence


async def test_an_older_catalog_is_better_than_none(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, nursery):
        await here.publisher.publish(b"first")
        newest = {file for peer in here.peers for file in peer.files()}
        here.clock.advance(TINY.share_peer_rest)
        here.hub.disconnect(here.peers[0].node_id)
        await here.publisher.publish(b"second")
        here.hub.reconnect(here.peers[0].node_id)
        for peer in here.peers:
            for file in set(peer.files()) - newest:
                file.unlink()
        await here.move_client("bare", nursery)
        assert (await back(here)).catalog == b"first"


async def test_a_long_head_becomes_a_head_of_heads_and_old_packs_leave(tmp_path: Path) -> None:
    limits = replace(
        TINY,
        vault_head_bytes_max=4500,
        catalog_pack_bytes_max=64 * 1024,
        share_range_bytes=100_000,
    )
    catalog = hashlib.shake_256(b"catalog").digest(50 * 64 * 1024)
    async with town(tmp_path, 3, notes=128, limits=limits) as (here, nursery):
        for number in range(3):
            await here.publisher.publish(b"small" + bytes([number]))
        assert await here.placer.tidy() == 0
        assert [len(peer.files()) for peer in here.peers] == [2, 2, 2]
        await here.publisher.publish(catalog)
        found = here.store.read_now(last_head)
        assert found is not None
        assert open_head(KEYS, found[1], 4500)[1].level == 1
        await here.move_client("bare", nursery)
        assert (await back(here)).catalog == catalog


async def test_another_phrase_finds_nothing(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, nursery):
        await here.publisher.publish(b"catalog")
        await here.move_client("bare", nursery)
        with pytest.raises(NothingFound, match="1 peers answered"):
            await back(here, VaultKeys.from_seed(b"other" * 13))


async def test_a_forged_head_is_passed_over(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, nursery):
        told = await here.publisher.publish(b"catalog")
        liar = here.peers[1]
        forged = make_head(
            replace(KEYS, head=signing("liar")), told.sequence + 9, here.clock.now(), PLAIN, here.entropy
        )
        await liar.store.write(
            lambda db: db.execute("UPDATE storage_vault_heads SET sequence = 2, body = ?", (encode(forged),)).rowcount
        )
        await here.move_client("bare", nursery)
        found = await back(here)
        assert (found.catalog, found.sequence) == (b"catalog", told.sequence)


def test_a_peer_sees_no_more_than_length_and_sequence() -> None:
    body, plain = open_head(KEYS, HEAD, TINY.vault_head_bytes_max)
    assert (body.sequence, plain) == (5, PLAIN)
    seen = encode(HEAD)
    for secret in (b"192.0.2.1", b"p" * 16, b"l" * 16, bytes(SHARES[0].root)):
        assert secret not in seen
    assert (len(body.sealed) - 28) % 4096 == 0


@given(st.integers(0, len(HEAD.body) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_head_passes(place: int, change: int) -> None:
    body = bytearray(HEAD.body)
    body[place] ^= change
    with pytest.raises(Malformed):
        open_head(KEYS, Signed(bytes(body), HEAD.key, HEAD.signature), TINY.vault_head_bytes_max)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_a_part_or_malformed(data: bytes) -> None:
    for size in (len(data), 10):
        with contextlib.suppress(Malformed):
            open_head(KEYS, decode(data[:size], Signed, size_max=1000), 1000)
        with contextlib.suppress(Malformed):
            unseal_part(KEYS, data[:size])


@given(st.binary(max_size=part_bytes(4096)))
def test_equal_parts_are_equal_packs_and_come_back(part: bytes) -> None:
    body = seal_part(KEYS, part, 4096)
    assert len(body) == 4096
    assert body == seal_part(KEYS, part, 4096)
    assert unseal_part(KEYS, body) == part
    with pytest.raises(Malformed):
        unseal_part(VaultKeys.from_seed(b"x" * 64), body)


def test_the_bytes_stay_as_they_were_released() -> None:
    golden = json.loads(GOLDEN.read_text())
    head = decode(bytes.fromhex(golden["head"]), Signed, size_max=100_000)
    assert open_head(KEYS, head, 100_000)[1] == PLAIN
    assert encode(HEAD).hex() == golden["head"]
    assert hashlib.sha256(seal_part(KEYS, b"part", 4096)).hexdigest() == golden["part_sha256"]
