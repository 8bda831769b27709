"""Whatever bytes a stranger sends: a value or a complaint, the peer blamed, and nothing grows. A sample of fuzz.py."""

import trio.testing

from tests.net.fuzz import campaign


async def test_hostile_bytes_raise_nothing_and_are_blamed(autojump_clock: trio.testing.MockClock) -> None:
    said = list[str]()
    figures = await campaign(2000, seed=20261121, tell=said.append)
    assert said == []
    assert figures["ok"]
    assert int(str(figures["blamed"])) > 250
    assert int(str(figures["refused"])) > 700
    assert int(str(figures["taken"])) > 50
