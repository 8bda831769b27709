"""Letting others in, and the limits on strangers.

A handshake costs us memory and two signatures before we know who is there, so few may be half open at once. Under a
flood the place is taken from the host that holds most of them, its oldest first: an attacker with few hosts pushes
out himself. Of the places for connections some are kept for those we know, and a stranger who did nothing for long
gives way to another.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import trio

from nanobarter.core.errors import PeerFault, Unreachable
from nanobarter.core.ids import NodeId, node_id_of
from nanobarter.core.units import SECOND
from nanobarter.net.address import is_loopback
from nanobarter.net.circle import INVITATION_EXTENSION
from nanobarter.net.doors import Doors
from nanobarter.net.handshake import Greeted, Transport, accept, host_of, turn_away, welcome
from nanobarter.net.messages import Parting

_BACKLOG = 1024  # what the kernel keeps while we are busy; its own bound (somaxconn) may be lower


class Entry:
    """Accepts connections."""

    def __init__(self, doors: Doors, *, same_host_ok: bool) -> None:
        self._doors, self._limits, self._same_host_ok = doors, doors.limits, same_host_ok
        self._half_open: dict[trio.CancelScope, str] = {}

    def open(self, nursery: trio.Nursery, listeners: Sequence[trio.SocketListener]) -> None:
        """Start accepting in the nursery."""
        for listener in listeners:
            listener.socket.listen(_BACKLOG)
        if listeners:
            nursery.start_soon(trio.serve_listeners, self._let_in, list(listeners))

    async def _let_in(self, socket: trio.SocketStream) -> None:
        await self.welcome(socket, host_of(socket), "in")

    async def welcome(self, below: Transport, host: str, path: str) -> None:
        """Shake hands with whoever is at the other end, and serve it to the end of its connection.

        ``host`` is what the limits count: the peer's host, or the relay that it comes through.
        """
        doors = self._doors
        if self._is_full(host):
            await trio.aclose_forcefully(below)
            return
        scope = trio.CancelScope(deadline=trio.current_time() + self._limits.handshake_timeout / SECOND)
        greeted: Greeted | None = None
        with scope:
            self._make_room()
            self._half_open[scope] = host
            try:
                greeted = await self._judge(await welcome(below, doors.server, doors.ours))
            except (PeerFault, Unreachable):
                greeted = None
            finally:
                self._half_open.pop(scope, None)
        if greeted is None:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(below)
            return
        connection = doors.bring_up(greeted, serial=0, host=host, path=path, address=None)
        connection.outbox.add(accept(doors.ours, "" if path == "relay" else host), bulk=False)
        doors.register(connection, host)
        await doors.keep(connection, greeted)

    def _make_room(self) -> None:
        while len(self._half_open) >= self._limits.half_open_max:
            counts = Counter(self._half_open.values())
            worst = max(counts, key=lambda host: counts[host])
            oldest = next(scope for scope, host in self._half_open.items() if host == worst)
            del self._half_open[oldest]
            oldest.cancel()

    async def _judge(self, greeted: Greeted) -> Greeted | None:
        doors, peer = self._doors, node_id_of(greeted.key)
        away = partial(turn_away, greeted.channel)
        if doors.shunned.is_shunned(peer, trio.current_time()):
            await away(Parting.MALFORMED, "this node broke the protocol a while ago")
            return None
        await doors.circle.redeem(peer, greeted.hello.extensions.get(INVITATION_EXTENSION))
        if not doors.circle.admits(peer):
            await away(Parting.NOT_A_FRIEND, "this node talks with its friends only")
            return None
        if not self._has_place(peer):
            await away(Parting.TOO_MANY, "all places are taken")
            return None
        return greeted

    def _has_place(self, peer: NodeId) -> bool:
        links = self._doors.links
        known = self.is_familiar(peer)
        most = self._limits.connections_max
        places = most if known else most - min(self._limits.connections_reserved, most // 4)
        if len(links) < places or links.best(peer) is not None:
            return True
        now = trio.current_time()
        idle = [c for c in links.all() if not (c.dialled or self.is_familiar(c.peer)) and not c.is_busy]
        weakest = min(idle, key=lambda c: c.last_work, default=None)
        if weakest is None or now - weakest.last_work < self._limits.idle_stranger / SECOND:
            return False
        weakest.part(Parting.TOO_MANY, "another one needs the place")
        return True

    def is_familiar(self, peer: NodeId) -> bool:
        """Tell whether a place is kept for this peer: a friend, or a node that we dialled or knew at our start."""
        return peer in self._doors.circle.friends or self._doors.book.is_familiar(peer)

    def _is_full(self, host: str) -> bool:
        if self._same_host_ok and is_loopback(host):
            return False
        count = self._doors.links.from_host(host) + sum(other == host for other in self._half_open.values())
        return count >= self._limits.connections_per_address_max
