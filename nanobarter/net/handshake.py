"""From a fresh socket to an authenticated peer: TLS 1.3 both ways, then one hello each.

The dialler speaks first; the other side answers only after it has judged the certificate and the hello. A TLS
1.3 client believes the handshake done before the server has looked at its certificate (RFC 8446, 4.6.2 and
appendix E.1), so only the hello that comes back says that it was accepted.
"""

import ssl
from dataclasses import dataclass

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId, PublicKey, node_id_of, short_node
from nanobarter.core.limits import Limits
from nanobarter.net.certificates import key_of_certificate
from nanobarter.net.circle import INVITATION_EXTENSION
from nanobarter.net.frames import Frame, FrameDecoder, Kind, Message, encode_message, frames_of
from nanobarter.net.messages import HELLO_MAX, VERSIONS, Bye, Hello, Parting
from nanobarter.net.tls import TlsStream, Transport


class WrongNode(PeerFault):
    """Another node answers there than was expected."""


class NoCommonVersion(Unreachable):
    """The other side is older or newer than we can talk with; nobody's fault."""


class Oneself(PeerFault):
    """The other side is this node."""


@dataclass(frozen=True)
class Greeted:
    """A peer that proved its key and said hello, and the version to speak. ``first`` came in the same bytes."""

    channel: TlsStream
    decoder: FrameDecoder
    key: PublicKey
    hello: Hello
    version: int
    first: list[Message]


@dataclass(frozen=True)
class Ours:
    """What this side brings into every handshake."""

    node_id: NodeId
    instance: bytes
    limits: Limits
    versions: tuple[int, ...] = VERSIONS

    def hello(self, serial: int, observed: str, secret: bytes | None = None) -> Hello:
        """Return our hello to a peer that we see at this host; ``serial`` is 0 when the peer dialled.

        ``secret`` is that of the peer's invitation.
        """
        extensions = {} if secret is None else {INVITATION_EXTENSION: secret}
        requests, bulk = self.limits.requests_at_once_max, self.limits.bulk_at_once_max
        return Hello(self.versions, self.instance, serial, observed, requests, bulk, extensions)


async def greet(
    below: Transport,
    context: ssl.SSLContext,
    ours: Ours,
    *,
    expected: NodeId | None,
    serial: int,
    observed: str = "",
    secret: bytes | None = None,
) -> Greeted:
    """Shake hands as the dialler. The caller bounds the time and closes what is below on errors.

    ``observed`` is the host that the other side is seen at. ``secret`` is shown to ``expected`` alone: it goes
    out after the other side has proven to be that node.

    Raises Unreachable when the other side leaves or says no, PeerFault when it is not ``expected`` or breaks
    the protocol.
    """
    channel = TlsStream(below, context, server_side=False)
    key = await _shake(channel)
    _check_identity(ours, key, expected)
    hello = ours.hello(serial, observed, secret if expected is not None else None)
    try:
        await _say(channel, Kind.HELLO, encode(hello))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise Unreachable("the other side left right after the TLS handshake") from None
    return await _hear(channel, key, ours)


async def welcome(below: Transport, context: ssl.SSLContext, ours: Ours) -> Greeted:
    """Shake hands as the side that was dialled, up to the peer's hello; ``accept`` or ``turn_away`` comes next."""
    channel = TlsStream(below, context, server_side=True)
    key = await _shake(channel)
    try:
        _check_identity(ours, key, None)
        return await _hear(channel, key, ours)
    except NoCommonVersion as why:
        await turn_away(channel, Parting.NO_COMMON_VERSION, str(why))
        raise
    except PeerFault as fault:
        await turn_away(channel, Parting.MALFORMED, str(fault))
        raise


async def proves_key(below: Transport, context: ssl.SSLContext, expected: NodeId) -> bool:
    """Tell whether that node answers at the other end; nothing is said to it. The caller bounds the time and closes."""
    try:
        return node_id_of(await _shake(TlsStream(below, context, server_side=False))) == expected
    except (PeerFault, Unreachable):
        return False


def accept(ours: Ours, observed: str) -> list[Frame]:
    """Return the frames of our hello to a dialler; they must be the first that are written."""
    return frames_of(Kind.HELLO, 0, encode(ours.hello(0, observed)))


def host_of(socket: trio.SocketStream) -> str:
    """Return the number of the other side's host, without the zone that only this machine understands."""
    try:
        return str(socket.socket.getpeername()[0]).partition("%")[0]
    except OSError:  # it left already
        return ""


async def turn_away(channel: TlsStream, parting: Parting, detail: str) -> None:
    """Say why we do not go on; the caller closes."""
    with trio.move_on_after(1):
        try:
            await _say(channel, Kind.BYE, encode(Bye(parting, detail[:200])))
            await channel.transport_stream.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


async def _shake(channel: TlsStream) -> PublicKey:
    try:
        await channel.do_handshake()
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise PeerFault(f"TLS failed: {error.__cause__.reason}") from None
        raise Unreachable("the other side left during the TLS handshake") from None
    try:
        return key_of_certificate(channel.peer_certificate() or b"")
    except Malformed as error:
        raise PeerFault(str(error)) from None


def _check_identity(ours: Ours, key: PublicKey, expected: NodeId | None) -> None:
    node = node_id_of(key)
    if node == ours.node_id:
        raise Oneself("this is oneself")
    if expected is not None and node != expected:
        raise WrongNode(f"{short_node(node)} answers where {short_node(expected)} was expected")


async def _say(channel: TlsStream, kind: Kind, body: bytes) -> None:
    await channel.send_all(b"".join(encode_message(kind, 0, body)))


async def _hear(channel: TlsStream, key: PublicKey, ours: Ours) -> Greeted:
    decoder = FrameDecoder(ours.limits.frame_bytes_max, first_max=HELLO_MAX)
    try:
        messages = list[Message]()
        while not messages:
            data = await channel.receive_some(HELLO_MAX)
            if not data:
                raise Unreachable("the other side left before its hello")
            messages = decoder.feed(data)
        hello = _read_hello(messages[0])
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        # A server's refusal of our certificate arrives here, as an alert on the first read.
        raise Unreachable(f"the other side left before its hello ({error.__cause__ or 'closed'})") from None
    except Malformed as error:
        raise PeerFault(f"{short_node(node_id_of(key))} broke the protocol in its hello: {error}") from None
    return Greeted(channel, decoder, key, hello, _highest_common(ours.versions, hello.versions), messages[1:])


def _highest_common(ours: tuple[int, ...], theirs: tuple[int, ...]) -> int:
    common = set(ours) & set(theirs)
    if not common:
        raise NoCommonVersion(f"no common version: it speaks {theirs}, we {ours}")
    return max(common)


def _read_hello(message: Message) -> Hello:
    if message.kind is Kind.BYE:
        bye = decode(message.body, Bye, size_max=HELLO_MAX)
        raise Unreachable(f"the other side refused: {bye.detail}")
    if message.kind is not Kind.HELLO:
        raise Malformed(f"{message.kind.name} instead of a hello")
    return decode(message.body, Hello, size_max=HELLO_MAX)
