"""Who makes room when the book of known nodes is full: identities cost nothing, addresses do. Pure.

Nodes that we dialled ourselves, or knew at our start, are *familiar* and stay. The others are counted by the network
that they say they are in, a /24 or a /48, and the most crowded one makes room first; of one network no more than a few
are kept at all. So ten thousand identities at few addresses push out each other.
"""

import ipaddress
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.limits import Limits
from nanobarter.net.address import Address

_NOWHERE: Final = b""
_HOME: Final = b"home"  # private networks and this machine: whoever is there has been let in
_IPV4: Final = 4


def network_of(address: Address) -> bytes:
    """Return what addresses of one owner have in common; a name is its own network."""
    try:
        number = ipaddress.ip_address(address.host.partition("%")[0])
    except ValueError:
        return address.host.lower().encode()
    if not number.is_global:
        return _HOME
    return number.packed[:3] if number.version == _IPV4 else number.packed[:6]


class Crowds:
    """Which nodes that are not familiar are in which network, the oldest first."""

    def __init__(self, limits: Limits) -> None:
        self._most, self._familiar_most = limits.strangers_per_network_max, limits.familiar_per_network_max
        self._members: dict[bytes, dict[NodeId, None]] = {}
        self._where: dict[NodeId, bytes] = {}
        self._familiar: dict[NodeId, bytes] = {}
        self._familiar_in: dict[bytes, int] = {}

    def is_familiar(self, node: NodeId) -> bool:
        """Tell whether a node has a place for good."""
        return node in self._familiar

    def is_placed(self, node: NodeId) -> bool:
        """Tell whether a node is familiar, or one of the few that are kept of a network."""
        return node in self._familiar or self._where.get(node, _NOWHERE) not in (_NOWHERE, _HOME)

    def put(self, node: NodeId, address: Address | None) -> NodeId | None:
        """Count a node in a network; return who of it makes room, if that is crowded now."""
        if node in self._familiar:
            return None
        where = _NOWHERE if address is None else network_of(address)
        if self._where.get(node, _NOWHERE) != _NOWHERE:
            return None  # it is counted where it was found first
        self.drop(node)
        self._where[node] = where
        crowd = self._members.setdefault(where, {})
        crowd[node] = None
        if where in (_NOWHERE, _HOME) or len(crowd) <= self._most:
            return None
        return next(iter(crowd))

    def make_familiar(self, node: NodeId, address: Address) -> None:
        """Let a node stay, unless many of its network do already."""
        where = network_of(address)
        if node in self._familiar or (where != _HOME and self._familiar_in.get(where, 0) >= self._familiar_most):
            return
        self.drop(node)
        self._familiar[node] = where
        self._familiar_in[where] = self._familiar_in.get(where, 0) + 1

    def drop(self, node: NodeId) -> None:
        """Forget a node."""
        where = self._where.pop(node, None)
        if where is not None:
            del self._members[where][node]
            if not self._members[where]:
                del self._members[where]
        where = self._familiar.pop(node, None)
        if where is not None:
            self._familiar_in[where] -= 1
            if not self._familiar_in[where]:
                del self._familiar_in[where]

    def weakest(self) -> NodeId | None:
        """Return who makes room for another: one without an address, else of the largest crowd; None: all stay."""
        crowd = self._members.get(_NOWHERE) or max(self._members.values(), key=len, default=None)
        return None if crowd is None else next(iter(crowd))
