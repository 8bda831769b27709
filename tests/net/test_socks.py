"""Who dials through a proxy must not be betrayed by a name that she resolves herself; and a proxy's no must be told."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from nanobarter.core.errors import Unreachable, UsageError
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.net.socks import Proxy, connect_request, dial_through, parse_proxy
from tests.net.nodes import World, key, until

HIDDEN = Address("node.example", 4773)


class Socks:
    """A SOCKS5 proxy that knows one name; it keeps what it was asked."""

    def __init__(self, known: Address | None = None, *, user: bytes = b"", reply: int = 0) -> None:
        self.known, self.user, self.reply = known, user, reply
        self.asked = list[bytes]()

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            count = (await stream.receive_some(2))[1]
            await stream.receive_some(count)
            await stream.send_all(b"\x05\x02" if self.user else b"\x05\x00")
            if self.user:
                said = await stream.receive_some(1000)
                good = said == b"\x01" + bytes([len(self.user)]) + self.user + b"\x04word"
                await stream.send_all(b"\x01\x00" if good else b"\x01\x01")
            request = bytes(await stream.receive_some(1000))
            self.asked.append(request)
            await stream.send_all(b"\x05" + bytes([self.reply]) + b"\x00\x03\x04name\x00\x01")
            if self.known is not None and not self.reply:
                await self._join(stream, self.known)

    async def _join(self, stream: trio.SocketStream, known: Address) -> None:
        other = await trio.open_tcp_stream(known.host, known.port)

        async def pump(one: trio.SocketStream, two: trio.SocketStream) -> None:
            try:
                async for data in one:
                    await two.send_all(data)
            except trio.BrokenResourceError:
                pass
            nursery.cancel_scope.cancel()

        async with other, trio.open_nursery() as nursery:
            nursery.start_soon(pump, stream, other)
            nursery.start_soon(pump, other, stream)


async def started(nursery: trio.Nursery, serve: Callable[[trio.SocketStream], Awaitable[None]]) -> Address:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    return Address("127.0.0.1", int(listeners[0].socket.getsockname()[1]))


async def test_a_node_dials_through_its_proxy_and_leaves_names_to_it(world: World) -> None:
    one = await world.start(1)
    proxy = Socks(one.at)
    at = await started(world.nursery, proxy.serve)

    def hide(network: Network) -> None:
        network.reach.go_through(f"socks5://{at.show()}")

    two = await world.start(2, listen=None, bootstrap=[HIDDEN], prepare=hide)
    await until(lambda: two.network.connected() == [key(1).node_id])
    assert proxy.asked == [connect_request(HIDDEN)]
    assert b"node.example" in proxy.asked[0]


@pytest.mark.parametrize(("reply", "told"), [(1, "failure"), (5, "refused"), (99, "SOCKS5")])
async def test_a_no_of_the_proxy_is_told(reply: int, told: str) -> None:
    async with trio.open_nursery() as nursery:
        at = await started(nursery, Socks(reply=reply).serve)
        with pytest.raises(Unreachable, match=told):
            await dial_through(Proxy(at), HIDDEN)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("word", "good"), [("word", True), ("wrong", False)])
async def test_a_password_is_shown_to_a_proxy_that_asks(word: str, *, good: bool) -> None:
    async with trio.open_nursery() as nursery:
        at = await started(nursery, Socks(user=b"ada").serve)
        proxy = parse_proxy(f"socks5://ada:{word}@{at.show()}")
        if good:
            await trio.aclose_forcefully(await dial_through(proxy, HIDDEN))
        else:
            with pytest.raises(Unreachable, match="password"):
                await dial_through(proxy, HIDDEN)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "noise", [b"", b"\x05", b"HTTP/1.1 400 Bad Request\r\n", b"\x05\xff", b"\x04\x00", b"\x05\x02"]
)
async def test_what_is_no_proxy_is_unreachable(noise: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(100)
            await stream.send_all(noise)

    async with trio.open_nursery() as nursery:
        at = await started(nursery, answer)
        with trio.fail_after(60), pytest.raises(Unreachable):
            await dial_through(Proxy(at), Address("192.0.2.1", 1))
        nursery.cancel_scope.cancel()


def test_requests_have_the_bytes_of_the_standard() -> None:
    assert connect_request(Address("192.0.2.1", 80)).hex() == "05010001c00002010050"
    assert connect_request(Address("2001:db8::1", 80)).hex() == "0501000420010db80000000000000000000000010050"
    assert connect_request(Address("a.example", 80)).hex() == "0501000309612e6578616d706c650050"


@pytest.mark.parametrize("text", ["", "http://x:1", "socks5://x", "socks5://x:99999", "socks5://x:1/path"])
def test_what_names_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_proxy(text)


def test_a_password_is_not_shown() -> None:
    proxy = parse_proxy("socks5h://ada:secret%21@[::1]:9050")
    assert (proxy.at, proxy.user, proxy.word) == (Address("::1", 9050), "ada", "secret!")
    assert "secret" not in repr(proxy)
