"""Everything by which this node reaches others and is reached: dials, a proxy, neighbours, common peers, relays."""

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.keys import SigningKey
from nanobarter.core.ports import Caller
from nanobarter.net.address import Address, is_loopback
from nanobarter.net.beacon import GROUP, PORT, LanBeacon
from nanobarter.net.calls import Retired
from nanobarter.net.connection import Connection
from nanobarter.net.dialling import Dialling, dial_directly
from nanobarter.net.doors import Doors
from nanobarter.net.entry import Entry
from nanobarter.net.exchange import Exchange
from nanobarter.net.meeting import Meeting
from nanobarter.net.methods import Methods
from nanobarter.net.pcp import NONCE_BYTES
from nanobarter.net.portmap import keep_mapped
from nanobarter.net.relay import Policy, Relay
from nanobarter.net.socks import Proxy, dial_through, parse_proxy
from nanobarter.net.stream import Stream
from nanobarter.net.tls import Transport
from nanobarter.net.ways import Ways


class Reach:
    """The ways out of one node and into it. What the person chooses is said before ``open``."""

    def __init__(self, *, key: SigningKey, caller: Caller, doors: Doors, exchange: Exchange, entry: Entry) -> None:
        self._key, self._doors, self._exchange, self._limits = key, doors, exchange, doors.limits
        self._proxy: Proxy | None = None
        self._policy: Policy = "friends"
        self._beacon: LanBeacon | None = None
        self._maps = False
        self._gateway: tuple[str, int] | None = None
        self._neighbours = set[NodeId]()
        self._dialling = Dialling(doors, self._dial)
        self._relay = Relay(
            open_stream=self._open_direct, serves=self._relays_for, welcome=entry.welcome, limits=doors.limits
        )
        self._meeting = Meeting(
            doors=doors,
            dialling=self._dialling,
            caller=caller,
            port=lambda: 0 if doors.hidden else exchange.bound_port,
            welcome=entry.welcome,
            limits=doors.limits,
        )
        self._ways = Ways(
            meet=self._meeting.meet,
            doors=doors,
            dialling=self._dialling,
            caller=caller,
            own_record=exchange.own_record,
            open_stream=self._open_direct,
            clock=doors.clock,
            limits=doors.limits,
        )

    def serve(self, methods: Methods) -> None:
        """Answer what other nodes ask of these ways."""
        self._relay.serve(methods)
        self._ways.serve(methods)
        self._meeting.serve(methods)

    def open(self, nursery: trio.Nursery) -> None:
        """Start dialling, and speaking to neighbours, in the nursery."""
        self._dialling.open(nursery)
        self._meeting.open(nursery)
        if self._beacon is not None and self._exchange.is_near_reachable:
            nursery.start_soon(self._beacon.run)
        if self._maps and self._exchange.is_near_reachable:
            port, mapped, nonce = (
                self._exchange.bound_port,
                self._exchange.mapped,
                self._doors.entropy.token(NONCE_BYTES),
            )
            nursery.start_soon(keep_mapped, port, mapped, self._limits, self._gateway, nonce)

    # -- what the person chooses

    def find_neighbours(self, *, group: tuple[str, int] = (GROUP, PORT)) -> None:
        """Look for nodes on the local network, and let them find this one."""
        port = self._exchange
        self._beacon = LanBeacon(self._key, lambda: port.bound_port, self._hear, self._limits, group=group)

    def map_port(self, gateway: tuple[str, int] | None = None) -> None:
        """Ask the router (the default one unless it is named) to forward our port."""
        self._maps, self._gateway = True, gateway

    def go_through(self, proxy: str) -> None:
        """Dial through this SOCKS5 proxy; nothing: directly. Raises UsageError."""
        self._proxy = parse_proxy(proxy) if proxy else None
        self._doors.hidden = bool(proxy)

    def relay_for(self, policy: Policy) -> None:
        """Carry bytes between peers that cannot dial each other: for ``open`` anyone, ``friends``, or nobody."""
        self._policy = policy

    # -- what the network asks

    async def to(self, peer: NodeId) -> Connection:
        """Return a connection to a peer, by whatever way works. Raises Unreachable; the caller bounds the time."""
        if not self._doors.book.due_at(peer, trio.current_time()) and not self._dialling.is_dialling(peer):
            await self._exchange.look_up(peer)
        return await self._ways.reach(peer)

    def _open_direct(self, peer: NodeId, method: str, body: bytes) -> Stream:
        """Open a stream to a peer that is connected, and not through a relay itself: relays are not chained."""
        connection = self._doors.links.best(peer)
        if connection is None or connection.path == "relay":
            raise Unreachable(f"{short_node(peer)} is not connected here")
        try:
            return connection.open_stream(method, body)
        except Retired:
            raise Unreachable(f"{short_node(peer)} is changing its connection") from None

    def _relays_for(self, asker: NodeId) -> bool:
        return self._policy == "open" or (self._policy == "friends" and asker in self._doors.circle.friends)

    async def _dial(self, address: Address) -> Transport:
        if self._proxy is None or is_loopback(address.host):
            return await dial_directly(address)
        return await dial_through(self._proxy, address)

    def _hear(self, node: NodeId, address: Address) -> bool:
        doors = self._doors
        known = doors.book.get(node)
        if not doors.circle.admits(node) or (known is not None and address in known.addresses):
            return False
        if known is None and len(self._neighbours) >= self._limits.neighbours_max:
            return False
        self._neighbours.add(node)
        doors.book.learn(node, address)
        doors.wake()
        return True
