"""A person's line must keep what she said it keeps, and a limit must never make a proof late or a peer give up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import trio
from trio.testing import MockClock

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.core.ports import Body, Handler, Priority, size_of
from nanobarter.core.units import SECOND, Span
from nanobarter.net.address import Address
from nanobarter.storage.recovery import KnownNode
from nanobarter.storage.throttle import Rates, Throttle
from nanobarter.storage.vault_messages import ANSWER, Refusal
from tests.storage.vaults import signing

KIB: Final = 1024
RANGE: Final = LIMITS.share_range_bytes
ME, PEER = (signing(name).node_id for name in ("me", "peer"))


@dataclass
class Line:
    """A network that answers at once, reads with a whole range, and remembers when what went over it."""

    went: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    handlers: dict[str, Handler] = field(default_factory=dict[str, Handler])
    node_id: NodeId = ME

    def connected(self) -> Sequence[NodeId]:
        return [PEER]

    def known(self) -> Sequence[KnownNode]:
        return []

    def address_of(self, node: NodeId) -> Address | None:
        return Address(node.hex(), 1)

    def host_of(self, node: NodeId) -> str:
        return node.hex()

    def learn(self, node: NodeId | None, address: Address) -> None:
        raise AssertionError((node, address))

    async def call(
        self, peer: NodeId, method: str, body: Body, *, timeout: Span, priority: Priority = "control"
    ) -> bytes:
        assert timeout == LIMITS.call_timeout, (peer, priority)
        await trio.lowlevel.checkpoint()
        self.went.append((trio.current_time(), size_of(body)))
        return bytes(RANGE if method == "storage.read" else 1)

    def add(self, method: str, handler: Handler, *, body_max: int) -> None:
        assert body_max
        self.handlers[method] = handler


def throttled(upload: int | None = None, download: int | None = None) -> tuple[Line, Throttle]:
    line = Line()
    return line, Throttle(line, Rates(lambda: upload, lambda: download))


async def ask(throttle: Throttle, method: str, size: int, priority: Priority = "bulk") -> None:
    await throttle.call(PEER, method, bytes(size), timeout=LIMITS.call_timeout, priority=priority)


async def test_what_goes_out_keeps_to_the_rate_however_many_ask(autojump_clock: MockClock) -> None:
    line, throttle = throttled(upload=100 * KIB)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(ask, throttle, "storage.write", 50 * KIB)
    took = trio.current_time() - start
    assert 18.9 <= took <= 20.1  # 2,000 KiB, of which the first second's are free
    for end, _ in line.went:
        assert sum(size for at, size in line.went if end - 5 < at <= end) <= 100 * KIB * 6.1


async def test_small_asks_and_control_never_wait(autojump_clock: MockClock) -> None:
    line, throttle = throttled(upload=16 * KIB)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, throttle, "storage.write", 10_000 * KIB)
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        await ask(throttle, "storage.prove", 500)
        await ask(throttle, "mint.request", 100 * KIB, "control")
        assert trio.current_time() == start
        assert [size for _, size in line.went] == [500, 100 * KIB]


async def test_what_comes_in_keeps_to_the_rate_too(autojump_clock: MockClock) -> None:
    _, throttle = throttled(download=RANGE)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask, throttle, "storage.read", 300)
    assert 8.9 <= trio.current_time() - start <= 9.1


async def test_a_request_that_was_given_up_gives_its_turn_back(autojump_clock: MockClock) -> None:
    _, throttle = throttled(download=RANGE)
    for _ in range(50):
        with trio.move_on_after(0.01):
            await ask(throttle, "storage.read", 300)
    start = trio.current_time()
    await ask(throttle, "storage.read", 300)
    assert trio.current_time() - start <= 2


async def test_a_peer_waits_a_little_and_is_told_busy_before_it_would_give_up(autojump_clock: MockClock) -> None:
    line, throttle = throttled(upload=RANGE)

    async def read(_peer: NodeId, _body: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return bytes(RANGE)

    throttle.add("storage.read", read, body_max=1000)
    throttle.add("storage.prove", read, body_max=1000)
    assert line.handlers["storage.prove"] is read
    served, busy, longest = 0, 0, 0.0

    async def peer() -> None:
        nonlocal served, busy, longest
        start = trio.current_time()
        answer = await line.handlers["storage.read"](PEER, b"")
        longest = max(longest, trio.current_time() - start)
        if len(answer) == RANGE:
            served += 1
        else:
            refusal = decode(answer, ANSWER, size_max=4096)
            assert isinstance(refusal, Refusal)
            assert refusal.reason == Reason.BUSY
            busy += 1

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(peer)
    assert served <= LIMITS.throttle_wait_max / SECOND + 3
    assert busy == 100 - served
    assert longest < LIMITS.call_timeout / SECOND


async def test_without_a_limit_nothing_waits(autojump_clock: MockClock) -> None:
    line, throttle = throttled()
    start = trio.current_time()
    for _ in range(100):
        await ask(throttle, "storage.write", 1024 * KIB)
    assert (trio.current_time(), len(line.went)) == (start, 100)
