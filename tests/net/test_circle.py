"""Friends only means friends only: whoever is not listed and was not invited gets no word, and no call goes to it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Unreachable, UsageError
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, SECOND, Instant, Span
from nanobarter.net.address import Address
from nanobarter.net.circle import Circle, Invitation, parse_invitation, show_invitation
from nanobarter.net.network import MIGRATIONS, Network
from tests.net.nodes import World, key, until

WEEK = Span(7 * DAY)
LONG = Span(60 * SECOND)
HERE = Address("192.0.2.7", 7070)


def only(*numbers: int) -> Callable[[Network], None]:
    return lambda network: network.circle.keep_to([key(number).node_id for number in numbers], only=True)


async def test_strangers_get_no_word_and_no_call(world: World) -> None:
    one = await world.start(1, prepare=only(2))
    two = await world.start(2, prepare=only(1), bootstrap=[one.at])
    stranger = await world.start(3, bootstrap=[one.at])
    await until(lambda: one.network.connected() == [two.network.node_id])
    with pytest.raises(Unreachable):
        await stranger.network.call(one.network.node_id, "net.peers", b"", timeout=LONG)
    one.network.learn(stranger.network.node_id, stranger.at)
    with pytest.raises(Unreachable, match="friends"):
        await one.network.call(stranger.network.node_id, "net.peers", b"", timeout=LONG)
    assert stranger.network.connected() == []


async def test_a_node_that_talks_with_friends_only_leaves_a_stranger_that_it_dialled(world: World) -> None:
    stranger = await world.start(3)
    friend = await world.start(2)
    one = await world.start(1, prepare=only(2), bootstrap=[stranger.at, friend.at])
    await until(lambda: one.network.connected() == [friend.network.node_id])
    await until(lambda: stranger.network.connected() == [])


async def test_an_invitation_makes_friends_of_both_once_and_for_good(world: World) -> None:
    one = await world.start(1, prepare=only())
    line = show_invitation(await one.network.invite(WEEK))
    two = await world.start(2, prepare=only())
    await two.network.join(parse_invitation(line))
    await until(lambda: one.network.connected() == [two.network.node_id])
    thief = await world.start(3)
    await thief.network.join(parse_invitation(line))
    with pytest.raises(Unreachable):
        await thief.network.call(one.network.node_id, "net.peers", b"", timeout=LONG)
    at = one.at
    await one.stop()
    again = await world.start(1, prepare=only(), listen=at)
    await until(lambda: again.network.connected() == [two.network.node_id])


async def test_a_joined_inviter_is_dialled_and_shown_the_secret_again_after_a_restart(world: World) -> None:
    one = await world.start(1, prepare=only())
    invitation = await one.network.invite(WEEK)
    at = one.at
    await one.stop()
    two = await world.start(2, prepare=only())
    await two.network.join(invitation)
    await two.stop()
    one = await world.start(1, prepare=only(), listen=at)
    two = await world.start(2, prepare=only(), bootstrap=[])
    two.network.learn(one.network.node_id, at)
    await until(lambda: one.network.connected() == [two.network.node_id])


async def test_one_cannot_join_oneself_nor_invite_from_nowhere(world: World) -> None:
    one = await world.start(1)
    with pytest.raises(UsageError, match="by this node itself"):
        await one.network.join(await one.network.invite(WEEK))
    silent = await world.start(2, listen=None)
    with pytest.raises(UsageError, match="does not know where"):
        await silent.network.invite(WEEK)
    silent.network.advertise([HERE])
    assert (await silent.network.invite(WEEK)).addresses == (HERE,)


async def test_an_invitation_ends_when_it_says(tmp_path: Path) -> None:
    clock, guest = ManualClock(), key(2).node_id
    store = Store.open(tmp_path / "s", MIGRATIONS)
    circle = Circle(store=store, clock=clock, entropy=SeededEntropy(1, "circle"))
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        late = await circle.invite(key(1).node_id, [HERE], WEEK)
        clock.advance(WEEK)
        await circle.redeem(guest, late.secret)
        assert guest not in circle.friends
        with pytest.raises(UsageError, match="expired"):
            await circle.join(late)
        await circle.redeem(guest, bytes(16))
        assert guest not in circle.friends
        good = await circle.invite(key(1).node_id, [HERE], WEEK)
        await circle.redeem(guest, good.secret)
        assert guest in circle.friends
        nursery.cancel_scope.cancel()
    store.close()


@given(st.binary(min_size=16, max_size=16), st.integers(1, 2**40), st.data())
def test_a_slip_in_an_invitation_is_found(secret: bytes, expires: int, data: st.DataObject) -> None:
    made = Invitation(key(1).node_id, (HERE,), secret, Instant(expires))
    line = show_invitation(made)
    assert parse_invitation(f" {line[:30]}\n{line[30:]}\r\n") == made
    at = data.draw(st.integers(0, len(line) - 1))
    wrong = line[:at] + data.draw(st.characters(exclude_characters=line[at])) + line[at + 1 :]
    with suppress(UsageError):
        assert parse_invitation(wrong) == made  # unused bits of the last letter
