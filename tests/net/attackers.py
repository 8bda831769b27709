"""Hostile load on a node's port, from many addresses of loopback: silence, half handshakes, floods, slow readers."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.net.address import Address
from nanobarter.net.certificates import tls_context
from nanobarter.net.frames import PART_BYTES, Kind, encode_message
from nanobarter.net.handshake import Greeted, Ours, greet
from nanobarter.net.messages import Request
from nanobarter.net.records import PEERS_METHOD, PeersRequest

PER_HOST = 8
BROKEN = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, Unreachable, PeerFault, trio.TooSlowError)


@dataclass
class Attack:
    """Who attacks whom, and what was done."""

    target: Address
    nursery: trio.Nursery
    done: dict[str, int] = field(default_factory=dict[str, int])
    _sources: int = 0

    def note(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def source(self) -> str:
        """Return the next of the many addresses of loopback, each for so many connections as a host gets."""
        host = self._sources // PER_HOST
        self._sources += 1
        return f"127.{1 + host // 62_500}.{host // 250 % 250}.{2 + host % 250}"

    async def connect(self) -> trio.SocketStream:
        socket = trio.socket.socket()
        try:
            await socket.bind((self.source(), 0))
            await socket.connect((self.target.host, self.target.port))
        except BaseException:
            socket.close()
            raise
        return trio.SocketStream(socket)

    @asynccontextmanager
    async def greeted(self, number: int) -> AsyncGenerator[Greeted]:
        """Give a stranger's authenticated connection: keys cost nothing."""
        key = SigningKey(b"attacker" + number.to_bytes(24, "big"))
        async with await self.connect() as below:
            with trio.fail_after(60):
                ours = Ours(key.node_id, bytes(16), Limits())
                greeted = await greet(below, tls_context(key, server=False), ours, expected=None, serial=1)
            yield greeted

    # -- what they do; each runs until the nursery is cancelled or it is hung up on

    async def say_nothing(self) -> None:
        with suppress(*BROKEN):
            async with await self.connect() as stream:
                self.note("silent")
                while await stream.receive_some():
                    pass
        self.note("silent hung up on")

    async def stop_in_the_handshake(self) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = tls_context(SigningKey(b"h" * 32), server=False)
        tls = context.wrap_bio(incoming, outgoing, server_side=False)
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        with suppress(*BROKEN):
            async with await self.connect() as stream:
                await stream.send_all(outgoing.read())
                self.note("half handshakes")
                while await stream.receive_some():
                    pass

    async def send_huge_frames(self, number: int) -> None:
        """Begin the largest message that is allowed, and leave it unfinished; then claim one that is not allowed."""
        with suppress(*BROKEN):
            async with self.greeted(number) as greeted:
                part = encode_message(Kind.PART, 2, bytes(PART_BYTES))[0]
                for _ in range(16):
                    await greeted.channel.send_all(part)
                self.note("huge messages")
                await trio.sleep(1)
                await greeted.channel.send_all(b"\xff\xff\xff\xff\x03\x00\x00\x00\x04")
                while await greeted.channel.receive_some(65536):
                    pass
        self.note("huge frames hung up on")

    async def ask_and_never_read(self, number: int, count: int) -> None:
        await self._ask(number, count, reads=False)
        self.note("slow readers over")

    async def flood(self, number: int, count: int) -> None:
        await self._ask(number, count, reads=True)
        self.note("floods over")

    async def _ask(self, number: int, count: int, *, reads: bool) -> None:
        with suppress(*BROKEN):
            async with self.greeted(number) as greeted, trio.open_nursery() as nursery:
                if reads:
                    nursery.start_soon(self._read, greeted)
                await self._flood(greeted, count)
                if not reads:
                    await trio.sleep_forever()
                nursery.cancel_scope.cancel()

    async def _read(self, greeted: Greeted) -> None:
        with suppress(*BROKEN):
            while await greeted.channel.receive_some(65536):
                pass

    async def _flood(self, greeted: Greeted, count: int) -> None:
        request = encode(Request(PEERS_METHOD, 20_000, False, encode(PeersRequest(None, (), 256))))
        with suppress(*BROKEN):
            for first in range(0, count, 50):
                numbers = range(2 * first + 1, 2 * first + 100, 2)
                frames = [encode_message(Kind.REQUEST, asked, request)[0] for asked in numbers]
                await greeted.channel.send_all(b"".join(frames))
                self.done["requests"] = self.done.get("requests", 0) + len(frames)


@asynccontextmanager
async def attacking(target: Address) -> AsyncGenerator[Attack]:
    async with trio.open_nursery() as nursery:
        yield Attack(target, nursery)
        nursery.cancel_scope.cancel()


def unleash(attack: Attack, *, silent: int, others: int, requests: int) -> None:
    """Start all kinds of attackers at once."""
    for _ in range(silent):
        attack.nursery.start_soon(attack.say_nothing)
    for _ in range(others * 4):
        attack.nursery.start_soon(attack.stop_in_the_handshake)
    for number in range(others):
        attack.nursery.start_soon(attack.send_huge_frames, 3 * number)
        attack.nursery.start_soon(attack.ask_and_never_read, 3 * number + 1, requests)
        attack.nursery.start_soon(attack.flood, 3 * number + 2, requests)
