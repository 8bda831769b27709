"""Which peer takes the next share: never two of a pack at one issuer, one host or one network.

Peers behind one address, or in one /24 (IPv6: /48), tend to fail and to cheat together. Loopback and private
addresses say nothing about distinctness and count as one host, unless the operator says that they are distinct
(``same_host_ok``, for demonstrations and tests). Pure.
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from nanobarter.core.ids import NodeId


@dataclass(frozen=True)
class Candidate:
    """A peer that could take a share. ``resting``: it failed not long ago."""

    node: NodeId
    host: str | None
    room_bytes: int
    connected: bool
    resting: bool


def place_of(node: NodeId, host: str | None, *, same_host_ok: bool) -> str:
    """Return the name of what must differ between two shares of a pack, besides the issuer."""
    if same_host_ok or host is None:
        return node.hex()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower()  # a name: its own place
    if address.is_private or address.is_loopback or address.is_link_local:
        return "here"
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))  # noqa: PLR2004


@dataclass
class Picker:
    """Hands out the best candidate left: connected, with the most room, at a place not taken yet.

    Those that are to come ``last``, and among the others those that rest, come after all others.
    """

    candidates: list[Candidate]
    same_host_ok: bool
    last: Collection[NodeId] = ()
    _taken: set[str] = field(default_factory=set[str])
    _nodes: set[NodeId] = field(default_factory=set[NodeId])
    _left: list[Candidate] = field(default_factory=list[Candidate])

    def __post_init__(self) -> None:
        self._left = sorted(self.candidates, key=self._order)

    def _order(self, c: Candidate) -> tuple[bool, bool, bool, int, NodeId]:
        return (c.node in self.last, c.resting, not c.connected, -c.room_bytes, c.node)

    def occupy(self, peers: Iterable[tuple[NodeId, str | None]]) -> None:
        """Note peers that have a share of this pack already."""
        for node, host in peers:
            self._nodes.add(node)
            self._taken.add(place_of(node, host, same_host_ok=self.same_host_ok))

    def take(self, size: int, *, resting_too: bool) -> Candidate | None:
        """Return a candidate with room for ``size`` bytes, which is then occupied; None when none is left."""
        for candidate in self._left:
            place = place_of(candidate.node, candidate.host, same_host_ok=self.same_host_ok)
            free = candidate.node not in self._nodes and place not in self._taken
            if free and candidate.room_bytes >= size and (resting_too or not candidate.resting):
                self._left.remove(candidate)
                self.occupy([(candidate.node, candidate.host)])
                return candidate
        return None

    def give_back(self, candidate: Candidate) -> None:
        """Free the place of a candidate that failed; it is not handed out again."""
        self._nodes.discard(candidate.node)
        self._taken.discard(place_of(candidate.node, candidate.host, same_host_ok=self.same_host_ok))

    def distinct(self, size: int) -> int:
        """Return how many places could take a share of this size."""
        fitting = [c for c in self.candidates if c.room_bytes >= size]
        return len({place_of(c.node, c.host, same_host_ok=self.same_host_ok) for c in fitting})


def apart(
    offering: Sequence[NodeId],
    held: Collection[NodeId],
    needed: int,
    place: Callable[[NodeId], str],
    worth: Callable[[NodeId], float] = lambda _node: 0.0,
) -> list[NodeId]:
    """Return whose notes are of use, of those who offer some: the best of each place, none where we ``held`` somebody.

    Who is ``held`` is always among them. Of a second one at a place no share of the same pack would be stored. With
    fewer than ``needed`` places the others come last instead: what is held of them is of use once more have come, or
    their addresses have changed.
    """
    taken, kept = {place(node) for node in held}, set(held)
    for node in sorted(offering, key=lambda n: -worth(n)):
        where = place(node)
        if where not in taken:
            taken.add(where)
            kept.add(node)
    first = [node for node in offering if node in kept]
    return first if len(taken) >= needed else [*first, *(node for node in offering if node not in kept)]
