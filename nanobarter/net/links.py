"""The connections that are up, and which one of several to the same peer is used.

Both sides must choose the same one without asking: a direct one before a relayed one, then the one that the smaller
node id dialled, and of two from the same dialler the one with the higher serial.
"""

from collections.abc import Callable

from nanobarter.core.ids import NodeId
from nanobarter.net.connection import Connection


class Links:
    """All live connections of one node."""

    def __init__(self, own: NodeId) -> None:
        self._own = own
        self._by_peer: dict[NodeId, list[Connection]] = {}
        self._hosts: dict[Connection, str] = {}
        self.callbacks = list[Callable[[NodeId], None]]()

    def __len__(self) -> int:
        return len(self._hosts)

    def all(self) -> list[Connection]:
        """Return every live connection."""
        return list(self._hosts)

    def host_of(self, peer: NodeId) -> str:
        """Return the host at which a peer is seen; nothing when it is not connected."""
        best = self.best(peer)
        return "" if best is None else self._hosts.get(best, "")

    def from_host(self, host: str) -> int:
        """Return how many connections there are with a host."""
        return sum(other == host for other in self._hosts.values())

    def peers(self) -> list[NodeId]:
        """Return the peers that can be called now."""
        return [peer for peer in self._by_peer if self.best(peer) is not None]

    def best(self, peer: NodeId) -> Connection | None:
        """Return the connection for new calls, if one is usable."""
        up = self._by_peer.get(peer, ())
        if len(up) == 1:  # nearly always, and every call asks
            return up[0] if up[0].is_usable else None
        usable = [connection for connection in up if connection.is_usable]
        return max(usable, key=self._rank) if usable else None

    def add(self, connection: Connection, host: str) -> None:
        """Take a new connection. Those with an earlier start of the same peer are dead and closed."""
        peer = connection.peer
        is_first = self.best(peer) is None
        for older in self._by_peer.get(peer, ()):
            if older.hello.instance != connection.hello.instance:
                older.close()
                is_first = True
        self._by_peer.setdefault(peer, []).append(connection)
        self._hosts[connection] = host
        if is_first:
            for callback in list(self.callbacks):
                callback(peer)

    def remove(self, connection: Connection) -> None:
        """Drop a connection that ended."""
        self._hosts.pop(connection, None)
        left = [other for other in self._by_peer.pop(connection.peer, []) if other is not connection]
        if left:
            self._by_peer[connection.peer] = left

    async def settle(self, newcomer: Connection) -> None:
        """Retire all connections to a peer but the best.

        An older one that ranks higher must first show that it lives: the peer may have lost it and dialled
        again for that reason. Until then both stay usable, so the peer is never cut off.
        """
        best = self.best(newcomer.peer)
        if best is not None and best is not newcomer:
            await best.prove()
        best = self.best(newcomer.peer)
        for other in list(self._by_peer.get(newcomer.peer, ())):
            if other is not best:
                other.retire()

    def _rank(self, connection: Connection) -> tuple[bool, bool, int]:
        by_smaller = connection.dialled == (self._own < connection.peer)
        return connection.path != "relay", by_smaller, connection.serial
