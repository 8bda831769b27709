"""A backup that says "safe" without a fresh proof from distinct peers is the failure this part exists to end."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import decode
from nanobarter.core.ids import Hash, LeaseId, NodeId, PackId
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, HOUR, MINUTE, Instant, Span
from nanobarter.court.proofs import read_proof, verify, write_proof
from nanobarter.mint.proofs.verdict import Convicted
from nanobarter.storage import placements as rows
from nanobarter.storage import vault_rows
from nanobarter.storage.audit import Auditor, choose
from nanobarter.storage.health import pack_health
from nanobarter.storage.placements import PlacedPackRow, Placement
from nanobarter.storage.ports import Pack
from nanobarter.storage.vault_files import Shown
from nanobarter.storage.vault_messages import DOMAIN_RECEIPT, RECEIPT_BODY, NoProof
from nanobarter.storage.verdicts import Outcome, Wrong
from tests.storage.vaults import pack_of, town


def placement(number: int, node: int) -> Placement:
    pack = PackId(number.to_bytes(32, "big"))
    return Placement(
        pack, 0, NodeId(bytes([node]) * 32), LeaseId(bytes(32)), Hash(pack), 100, "held", Instant(number), None
    )


def note_stored(db: sqlite3.Connection, pack: Pack) -> None:
    values = (pack.pack_id, pack.kind, pack.share_size, pack.k, pack.n)
    db.execute("INSERT INTO storage_packs (pack_id, kind, share_size, k, n) VALUES (?, ?, ?, ?, ?)", values)


@given(st.integers(1, 60), st.integers(1, 8), st.binary(min_size=32, max_size=32))
def test_every_peer_every_round_and_every_share_within_the_cover(shares: int, nodes: int, draw: bytes) -> None:
    held = [placement(i + 1, i % nodes) for i in range(shares)]
    period, cover = Span(DAY), Span(14 * DAY)
    seen = set[PackId]()
    for turn in range(14):
        chosen = choose(held, draw, period=period, cover=cover, count_max=1000)
        assert {p.node for p in chosen} == {p.node for p in held}
        seen |= {p.pack_id for p in chosen}
        late = [p for p in held if p not in chosen]
        held = [*late, *chosen]
        draw = bytes([turn]) * 32
    assert len(seen) == shares


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_draw_decides_beyond_the_oldest(one: bytes, other: bytes) -> None:
    held = [placement(i + 1, 0) for i in range(400)]
    first = choose(held, one, period=Span(DAY), cover=Span(14 * DAY), count_max=1000)
    second = choose(held, other, period=Span(DAY), cover=Span(14 * DAY), count_max=1000)
    assert (first == second) == (one == other)


def test_health_is_distinct_peers_with_distinct_shares() -> None:
    row = PlacedPackRow(PackId(bytes(32)), "data", 2, 4, 65536, thin=False)
    now, live = Instant(DAY), {LeaseId(bytes(32))}

    def health(*shares: tuple[int, int]) -> int:
        found = [replace(placement(0, node), index=index, last_proof_at=now) for node, index in shares]
        return pack_health(row, found, now, live, LIMITS).proven

    assert health((1, 0), (2, 1), (3, 2), (4, 3)) == 4
    assert health((1, 0), (1, 1), (1, 2), (2, 3)) == 2  # four shares on two servers
    assert health((1, 0), (2, 0), (3, 0)) == 1  # three copies of one share
    assert pack_health(row, [], now, live, LIMITS).verdict == "lost"
    ended = replace(placement(0, 1), last_proof_at=now)
    assert pack_health(row, [ended], now, (), LIMITS).proven == 0


async def test_one_altered_byte_is_found_and_the_peer_is_named(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack)
        assert here.auditor.status().verdict == "healthy"
        cheat = here.peers[2]
        file = cheat.files()[0]
        share = bytearray(file.read_bytes())
        share[30_000] ^= 4
        file.write_bytes(share)
        found = await here.auditor.round_now()
        assert [(node, problem) for node, _, problem in found.wrong] == [
            (cheat.node_id, "the peer says that it does not have the share")
        ]
        assert found.proven == 3
        (health,) = here.auditor.health()
        assert (health.proven, health.bad, health.verdict) == (3, 1, "degraded")
        node, answer = here.store.read_now(
            lambda db: db.execute("SELECT node, answer FROM storage_evidence").fetchone()
        )
        signed = decode(answer, Signed, size_max=20_000)
        assert node == signed.signer == cheat.node_id
        assert isinstance(open_signed(signed, DOMAIN_RECEIPT, RECEIPT_BODY, size_max=20_000), NoProof)


async def test_a_made_up_block_convicts_its_keeper_before_anyone(tmp_path: Path) -> None:
    packs = [pack_of(label, 1, 2) for label in "abc"]
    async with town(tmp_path, 2) as (here, _):
        for pack in packs:
            await here.placer.put(pack)  # in ranges at first, then whole: either way with a receipt
        cheat, honest = here.peers
        vault_files = cheat.vault._files  # pyright: ignore[reportPrivateUsage] - whose disk lies
        true = vault_files.prove

        def lying(lease: LeaseId, share: Hash, size: int, block_index: int) -> Shown | None:
            shown = true(lease, share, size, block_index)
            return shown and replace(shown, block=bytes(len(shown.block)))

        vault_files.prove = lying  # type: ignore[method-assign] # pyright: ignore[reportAttributeAccessIssue]
        for file in honest.files():
            file.unlink()  # loss convicts nobody: only who signed nonsense is proven a cheat
        found = await here.auditor.round_now(everything=True)
        assert len(found.wrong) == 6
        assert len(here.accused) == 3
        for proof in here.accused:
            verdict = verify(read_proof(write_proof(proof)))
            assert isinstance(verdict, Convicted)
            assert verdict.node == cheat.node_id


async def test_a_pack_that_a_cut_off_backup_only_noted_is_no_loss(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack_of("a", 1, 3))
        cut = PlacedPackRow(pack_of("b", 1, 3).pack_id, "data", 1, 3, 4096, thin=True)
        await here.store.write(lambda db: rows.keep_pack(db, cut))
        assert [health.verdict for health in here.auditor.health()] == ["healthy"]
        noted = PlacedPackRow(pack_of("c", 1, 3).pack_id, "catalog", 1, 3, 4096, thin=True)
        await here.store.write(lambda db: rows.keep_pack(db, noted))
        assert [health.verdict for health in here.auditor.health()] == ["healthy"]
        known = "INSERT INTO storage_packs (pack_id, kind, share_size, k, n) VALUES (?, 'data', 4096, 1, 3)"
        await here.store.write(lambda db: db.execute(known, (cut.pack_id,)).rowcount)
        assert sorted(health.verdict for health in here.auditor.health()) == ["healthy", "lost"]


async def test_a_pack_whose_first_shares_have_arrived_is_no_loss_while_the_others_are_on_their_way(
    tmp_path: Path,
) -> None:
    pack = pack_of("a", 2, 3)
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack)
        first, second, third = await here.store.read(rows.all_placements)
        for placement in (first, second):
            await here.store.write(lambda db, p=placement: rows.put(db, replace(p, state="placing")))
        assert third.state == "held"
        assert here.auditor.health() == []
        await here.store.write(rows.abandon_started)
        assert here.auditor.health() == [], "the backup was cut off, or failed: what is left of it is nobody's"
        await here.store.write(lambda db: note_stored(db, pack))
        assert [health.verdict for health in here.auditor.health()] == ["lost"], "a snapshot may need it"


async def test_all_shares_deleted_at_the_peers_is_red_after_one_round(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        for label in "abcdef":
            await here.placer.put(pack_of(label, 1, 3))
        for peer in here.peers:
            for file in peer.files():
                file.unlink()
        await here.auditor.round_now()
        status = here.auditor.status()
        assert (status.verdict, status.lost, status.healthy) == ("lost", 6, 0)


async def test_a_silent_peer_counts_for_three_days_and_again_when_it_returns(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack)
        away, told = here.peers[1], dict[NodeId, bool | None]()

        async def judge(node: NodeId, right: bool | None) -> None:  # noqa: FBT001 - the auditor's one word
            told[node] = right

        here.auditor.observe(judge)
        here.hub.disconnect(away.node_id)
        found = await here.auditor.round_now()
        assert (found.proven, found.silent, found.wrong) == (3, 1, ())
        assert told == {peer.node_id: None if peer is away else True for peer in here.peers}
        assert here.auditor.health()[0].proven == 4
        here.clock.advance(Span(72 * HOUR))
        await here.auditor.round_now()
        assert here.auditor.health()[0].proven == 3
        here.hub.reconnect(away.node_id)
        await here.auditor.round_now()
        assert here.auditor.health()[0].proven == 4


async def test_without_audits_health_fades(tmp_path: Path) -> None:
    async with town(tmp_path, 3) as (here, _):
        await here.placer.put(pack_of("a", 1, 3))
        first = here.clock.now()
        here.clock.advance(Span(17 * DAY))
        assert here.auditor.status().oldest_proof == first
        here.clock.advance(Span(1 * MINUTE))
        assert here.auditor.status().verdict == "lost"
        await here.auditor.round_now()
        assert here.auditor.status().verdict == "healthy"


async def test_a_share_under_an_ended_lease_does_not_count(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, _):
        await here.placer.put(pack_of("a", 1, 2))
        here.clock.advance(Span(30 * DAY))
        found = await here.auditor.round_now()
        assert (found.proven, found.silent) == (0, 0)
        assert here.auditor.status().verdict == "lost"
        assert here.store.read_now(rows.all_placements)


async def test_a_share_that_was_given_up_or_ran_out_while_it_was_asked_for_is_nobodys_fault(tmp_path: Path) -> None:
    pack = pack_of("a", 2, 4)
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack)
        judged = list[bool | None]()

        async def judge(_node: NodeId, right: bool | None) -> None:  # noqa: FBT001 - the auditor's one word
            judged.append(right)

        here.auditor.observe(judge)
        client = here.auditor._client  # pyright: ignore[reportPrivateUsage] - between choice and question
        challenge = client.challenge
        placed = here.store.read_now(lambda db: rows.of_pack(db, pack.pack_id))

        async def late(node: NodeId, lease: LeaseId, root: Hash, size: int) -> Outcome:
            """Between the choice of shares and the question, the owner gives one up and another's lease ends."""
            mine = next(p for p in placed if p.node == node)
            if mine == placed[0]:
                await here.store.write(lambda db: rows.leave(db, mine))
                await here.placer.tidy()
            elif mine == placed[1]:
                await here.store.write(
                    lambda db: db.execute("UPDATE storage_leases SET ends_at = 1 WHERE lease_id = ?", (lease,)).rowcount
                )
                return Wrong("the peer denies the lease", b"")
            return await challenge(node, lease, root, size)

        client.challenge = late  # type: ignore[method-assign] # pyright: ignore[reportAttributeAccessIssue]
        found = await here.auditor.round_now()
        assert found.wrong == ()
        assert found.proven == 2
        assert judged == [True, True]


async def test_a_peer_that_denies_the_lease_is_wrong_at_once(tmp_path: Path) -> None:
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack_of("a", 2, 4))
        forgetful = here.peers[1]
        for lease_id, contract in list(here.mints.contracts.items()):
            if contract.issuer == forgetful.node_id:  # its mint and its vault come from an older copy
                del here.mints.contracts[lease_id]
                await forgetful.store.write(lambda db, gone=lease_id: vault_rows.forget_lease(db, gone))
        found = await here.auditor.round_now()
        assert [node for node, _, _ in found.wrong] == [forgetful.node_id]
        assert here.auditor.health()[0].proven == 3
        assert here.auditor.forsaken == {forgetful.node_id}


async def test_who_is_gone_or_was_caught_is_forsaken_until_a_share_is_proven(tmp_path: Path) -> None:
    async with town(tmp_path, 4) as (here, _):
        await here.placer.put(pack_of("a", 2, 4))
        away, cheat = here.peers[0], here.peers[1]
        here.hub.disconnect(away.node_id)
        cheat.files()[0].unlink()
        await here.auditor.round_now()
        assert here.auditor.forsaken == {cheat.node_id}  # one who is away for a moment is not given up
        here.clock.advance(Span(72 * HOUR))
        await here.auditor.round_now()
        assert here.auditor.forsaken == {away.node_id, cheat.node_id}
        here.hub.reconnect(away.node_id)
        await here.repairer.round_now()
        here.clock.advance(Span(5 * MINUTE))
        await here.repairer.round_now()
        await here.auditor.round_now(everything=True)
        assert here.auditor.forsaken == set()


async def test_a_pack_without_all_its_shares_calls_for_repair_though_nobody_was_caught(tmp_path: Path) -> None:
    async with town(tmp_path, 5) as (here, _):
        await here.placer.put(pack_of("a", 2, 5))
        called = list[bool]()
        here.auditor = Auditor(
            store=here.store,
            leases=here.leases,
            client=here.client,
            clock=here.clock,
            entropy=here.entropy,
            limits=here.limits,
            caught=lambda: called.append(True),
        )
        for peer in here.peers[:2]:
            here.hub.disconnect(peer.node_id)
        await here.auditor.round_now()
        assert (called, here.auditor.unwell) == ([], False)
        here.clock.advance(Span(72 * HOUR))
        await here.auditor.round_now()
        assert (called, here.auditor.unwell) == ([True], True)
