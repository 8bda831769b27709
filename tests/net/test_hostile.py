"""Under hostile load a node must go on serving those it knows. A sample; tests/e2e/hostile.py does it to a daemon."""

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.limits import Limits
from nanobarter.core.units import SECOND, Span
from nanobarter.net.checkup import CHECK_METHOD, CheckRequest
from tests.net.attackers import attacking, unleash
from tests.net.nodes import World, key, until

LONG = Span(60 * SECOND)


async def test_a_known_peer_is_served_and_may_come_back_under_load(world: World) -> None:
    one = await world.start(1, limits=Limits(half_open_max=32), same_host_ok=False)
    two = await world.start(2, bootstrap=[one.at])
    await until(lambda: bool(two.network.connected() and one.network.connected()))
    async with attacking(one.at) as attack:
        unleash(attack, silent=200, others=2, requests=500)
        for _ in range(50):
            await two.network.call(key(1).node_id, CHECK_METHOD, encode(CheckRequest(0)), timeout=LONG)
        await two.stop()
        again = await world.start(2, bootstrap=[one.at])
        with trio.fail_after(60):
            while not again.network.connected():  # noqa: ASYNC110 - sockets have no event for that
                await trio.sleep(0.01)
        await again.network.call(key(1).node_id, CHECK_METHOD, encode(CheckRequest(0)), timeout=LONG)
        assert attack.done["silent"] == 200
        attack.nursery.cancel_scope.cancel()
