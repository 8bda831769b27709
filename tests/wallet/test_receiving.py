"""A line of notes is nobody's until its mint has spoken: no crash, silence or lie may lose or double it."""

from pathlib import Path
from typing import cast

import pytest
import trio
from msgspec import structs

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import PeerFault, Reason, Refused, Unreachable, UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed, open_signed, seal_signed
from nanobarter.core.units import DAY, Quantity, Span
from nanobarter.mint.answer_messages import DOMAIN_ANSWER, Answer, Refusal
from nanobarter.wallet.events import NotesReceived
from nanobarter.wallet.token import parse_token, show_token
from tests.wallet.world import Crash, World, good, world_of

SIX = Quantity(6)


async def line_of(world: World) -> str:
    """Return a line worth six of the first node's MiB, made by the second."""
    await world.give("in", world.nodes[0], world.nodes[1], 13)
    return good(await world.nodes[1].wallet.note_send(world.nodes[0].quality, SIX))


async def test_a_line_waits_for_its_mint_through_a_restart(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, _, c = world.nodes
        line = await line_of(world)
        world.hub.disconnect(a.key.node_id)
        with pytest.raises(Unreachable):
            await c.wallet.note_receive(line)
        (waiting,) = c.wallet.receiving.waiting()
        assert (waiting.issuer, waiting.quantity, waiting.problem != "") == (a.key.node_id, 6, True)
        await c.restart_wallet()
        await c.wallet.round()
        assert (len(c.wallet.receiving.waiting()), c.held(a)) == (1, 0)
        world.hub.reconnect(a.key.node_id)
        await c.wallet.round()
        assert (c.wallet.receiving.waiting(), c.held(a)) == ([], 6)
        await c.wallet.round()
        assert [e.quantity for _, e in c.wallet.events() if isinstance(e, NotesReceived)] == [6]


async def test_a_crash_at_any_write_neither_loses_nor_doubles_a_line(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        await world.give("in", a, b, 120)
        came = crashes = 0
        for number in range(1, 9):
            for committed in (False, True):
                line = good(await b.wallet.note_send(a.quality, SIX))
                c.crash_at = (c.writes + number, committed)
                try:
                    await c.wallet.note_receive(line)
                except Crash:
                    crashes += 1
                c.crash_at = None
                await c.restart_wallet()
                await c.wallet.round()
                if number == 1 and not committed:  # the line was never written down: its taker still has it
                    assert c.held(a) == came
                    good(await c.wallet.note_receive(line))
                came += 6
                assert (c.wallet.receiving.waiting(), c.held(a)) == ([], came), (number, committed)
        assert crashes >= 8  # else the plug was never pulled
        assert b.held(a) == 120 - came
        assert a.mint.capacity()[0].outstanding == 120


async def test_a_line_is_kept_when_a_crash_comes_before_it_was_shown(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        await world.give("in", a, b, 8)
        b.crash_at = (b.writes + 1, True)
        with pytest.raises(Crash):
            await b.wallet.note_send(a.quality, Quantity(8))
        b.crash_at = None
        await b.restart_wallet()
        ((line, quality, quantity, _),) = b.wallet.tokens()
        assert (quality, quantity, b.held(a)) == (a.quality, 8, 0)
        assert await b.wallet.note_receive(line) == (a.quality, 8)
        assert (b.wallet.tokens(), b.held(a)) == ([], 8)
        world.check()


async def test_spent_is_believed_only_with_the_spenders_signature(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        line = await line_of(world)
        good(await b.wallet.note_receive(line))
        honest = a.answer

        async def lie(peer: NodeId, body: bytes) -> bytes:
            signed = decode(await honest(peer, body), Signed, size_max=65536)
            answer = open_signed(signed, DOMAIN_ANSWER, cast("type[Answer]", Answer), size_max=65536)
            if isinstance(answer, Refusal) and answer.spent is not None:
                spent = structs.replace(answer.spent, witness=bytes(64))
                answer = structs.replace(answer, spent=spent)
            return encode(seal_signed(a.key, DOMAIN_ANSWER, answer))

        a.answer = lie
        with pytest.raises(PeerFault, match="cannot show who spent it"):
            await c.wallet.note_receive(line)
        assert len(c.wallet.receiving.waiting()) == 1
        a.answer = honest
        refused = await c.wallet.note_receive(line)
        assert isinstance(refused, Refused)
        assert (refused.reason, c.wallet.receiving.waiting()) == (Reason.SPENT, [])
        assert b.wallet.tokens() == []


async def test_what_is_no_note_of_its_mint_leaves_nothing_behind(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        _, _, c = world.nodes
        line = await line_of(world)
        token = parse_token(line)
        forged = structs.replace(token, notes=(structs.replace(token.notes[0], signature=bytes(256)), *token.notes[1:]))
        foreign = structs.replace(
            token, notes=(structs.replace(token.notes[0], keyset=bytes(16)),), secrets=token.secrets[:1]
        )
        for bad, reason in ((forged, Reason.BAD_SIGNATURE), (foreign, Reason.UNKNOWN_KEYSET)):
            for refused in (
                await c.wallet.note_receive(show_token(bad)),
                await c.wallet.receiving.check(show_token(bad), ask=False),
            ):
                assert isinstance(refused, Refused)
                assert refused.reason is reason
        for text in (line[:-5], "cashuA" + line, line.replace("nbn1", "nbn1A"), ""):
            with pytest.raises(UsageError):
                await c.wallet.note_receive(text)
        assert c.wallet.receiving.waiting() == []
        assert good(await c.wallet.note_receive(f"> {line[:40]}\n{line[40:]}\n".replace("> ", ""))) is not None


async def test_a_check_takes_nothing_and_tells_what_is_spent(tmp_path: Path) -> None:
    async with world_of(tmp_path, 3) as world:
        a, b, c = world.nodes
        line = await line_of(world)
        seen = good(await c.wallet.receiving.check(line, ask=False))
        assert (seen.quality, seen.quantity, seen.own, seen.spent) == (a.quality, 6, False, None)
        assert good(await b.wallet.receiving.check(line, ask=True)).own
        assert good(await c.wallet.receiving.check(line, ask=True)).spent == 0
        good(await c.wallet.note_receive(line))
        assert good(await b.wallet.receiving.check(line, ask=True)).spent == 6
        world.check()


async def test_notes_are_renewed_by_hand_and_only_what_ages_unless_all_is_asked(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        a, b = world.nodes
        await world.give("in", a, b, 13)
        assert await b.wallet.upkeep.refresh(None, everything=False) == []
        (same,) = await b.wallet.upkeep.refresh(None, everything=True)  # its mint has nothing that lasts longer
        assert (same.quantity, same.problem) == (0, "")
        world.later(Span(8 * DAY))
        await a.mint.make_keysets()
        assert await b.wallet.upkeep.refresh(a.key.node_id, everything=False) == []
        (new,) = await b.wallet.upkeep.refresh(a.key.node_id, everything=True)
        assert (new.quality, new.quantity, new.problem) == (a.quality, 13, "")
        world.later(Span(8 * DAY))
        await a.mint.make_keysets()
        world.hub.disconnect(a.key.node_id)
        with trio.fail_after(60):
            told = await b.wallet.upkeep.refresh(None, everything=True)
        assert [(r.quantity, r.problem != "") for r in told] == [(0, True)]
        assert b.held(a) == 13
