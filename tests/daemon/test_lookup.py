"""With only the phrase and one peer that holds nothing of hers, a person must find who keeps her backup."""

from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import encode
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.system import SeededEntropy, SystemClock
from nanobarter.core.units import HOUR, Instant, Span
from nanobarter.daemon.lookup import Directory, Seeker, pointer_value
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.storage.head import HeadPlain, NodeAddress, make_head
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.recovery import find_heads
from nanobarter.storage.vault_messages import HeadAnswer
from tests.net.nodes import Running, World, key, open_world, until

KEYS = VaultKeys.from_seed(b"seed" * 16)
HEAD = make_head(KEYS, 5, Instant(1_700_000_000_000), HeadPlain(0, 0, (), ()), SeededEntropy(1, "head"))
LIMITS = Limits(dht_refresh_pause=Span(10), recovery_pause=Span(50))
ALONE = Limits(peers_target=0, records_per_answer_max=0)
"""Dials nobody, and names nobody: what is found is found in the table."""


def keeps(network: Network, *, head: bool) -> None:
    async def answer(_peer: NodeId, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return encode(HeadAnswer(HEAD if head else None))

    network.add("storage.head.get", answer, body_max=1000)


def directory(running: Running, number: int) -> Directory:
    return Directory(
        network=running.network,
        key=key(number),
        clock=SystemClock(),
        entropy=SeededEntropy(number, "table"),
        limits=LIMITS,
        same_host_ok=True,
    )


async def start(world: World, number: int, *, head: bool) -> Running:
    return await world.start(number, limits=ALONE, prepare=lambda network: keeps(network, head=head))


async def search(world: World, at: Address) -> list[Address | None]:
    """Look for the head like a machine that knows the phrase and one address; return where it was found."""
    searcher = await world.start(99, listen=None, bootstrap=[at])
    await until(lambda: bool(searcher.network.connected()))
    seeker = Seeker(searcher.network, [at], clock=SystemClock(), entropy=SeededEntropy(99, "seeker"))
    heads, _ = await find_heads(
        keys=KEYS, network=searcher.network, limits=LIMITS, elsewhere=lambda: seeker.holders(KEYS)
    )
    return [searcher.network.address_of(found.kept_by) for found in heads]


async def test_one_peer_that_holds_nothing_leads_to_who_keeps_the_head(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        stranger, holder = await start(world, 1, head=False), await start(world, 2, head=True)
        owner, others = await start(world, 3, head=False), [await start(world, n, head=False) for n in range(4, 8)]
        clock, told = SystemClock(), list[int]()

        def pointer_of_owner() -> object:
            told.append(1)
            where = [NodeAddress(key(2).node_id, holder.at.host, holder.at.port)]
            return pointer_value(KEYS, where, clock, SeededEntropy(3, "pointer"))

        for number, running in enumerate([stranger, holder, owner, *others], start=1):
            table = directory(running, number)
            if running is owner:
                table.tell(pointer_of_owner)  # pyright: ignore[reportArgumentType] - an object that is a value
            nursery.start_soon(table.run, running.at, () if running is stranger else (stranger.at,))
        assert key(2).node_id not in [peer.node for peer in stranger.network.known()]
        await until(lambda: bool(told))
        with trio.fail_after(60):
            while await search(world, stranger.at) != [holder.at]:  # noqa: ASYNC110 - other tasks bring it about
                await trio.sleep(0.1)  # the owner is not done with telling yet
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_table_can_be_switched_off(tmp_path: Path, wanted: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        running, over = await world.start(1), trio.Event()

        async def run() -> None:
            table = Directory(
                network=running.network,
                key=key(1),
                clock=SystemClock(),
                entropy=SeededEntropy(1, "table"),
                limits=LIMITS,
                same_host_ok=True,
                wanted=wanted,
            )
            await table.run(running.at, ())
            over.set()

        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert over.is_set() != wanted
        nursery.cancel_scope.cancel()


def test_nothing_is_told_before_anybody_keeps_a_head() -> None:
    assert pointer_value(KEYS, [], SystemClock(), SeededEntropy(1, "x")) is None
    assert LIMITS.item_valid_max > HOUR
