"""Whom we know: kademlia's routing table, with three rules that it lacks. Pure, but for its look at the clock.

At most two contacts of one /24 (or /48) in a bucket, so that a house full of addresses cannot fill it. Old contacts are
preferred, as in section 4.2 of the paper: a full bucket keeps what answers. And it never starts an asyncio task: the
head of a full bucket, which kademlia would ping, is left to fail when it is next asked.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUntypedBaseClass=false
# kademlia has no annotations; this file is its edge.

import ipaddress
from typing import Any, Final

from kademlia.node import Node
from kademlia.routing import RoutingTable

from nanobarter.core.ids import NodeId
from nanobarter.net.dht.wire import KEY_BYTES, Contact

BUCKET_SIZE: Final = 8  # Kademlia's k as BitTorrent has it
PER_SUBNET_MAX: Final = 2
_IPV4_BYTES: Final = 4


def is_usable(contact: Contact, *, same_host_ok: bool) -> bool:
    """Tell whether a contact is somewhere that datagrams of strangers may be sent to."""
    if len(contact.host) not in (_IPV4_BYTES, 16):
        return False
    address = ipaddress.ip_address(contact.host)
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        return False
    return same_host_ok or not address.is_loopback


def subnet_of(contact: Contact) -> bytes:
    """Return what addresses of one owner share: a /24 or a /48."""
    return contact.host[:3] if len(contact.host) == _IPV4_BYTES else contact.host[:6]


class _Held(Node):
    def __init__(self, contact: Contact) -> None:
        super().__init__(contact.node[:KEY_BYTES], contact.host, contact.port)
        self.contact = contact


class _Quiet(RoutingTable):
    def add_contact(self, node: Any) -> None:
        """Add a contact as kademlia does; a full bucket keeps it as a replacement and pings nobody."""
        index = self.get_bucket_for(node) or 0  # it finds one for every id
        bucket = self.buckets[index]
        if bucket.add_node(node):
            return
        if bucket.range[1] - bucket.range[0] > 1 and (bucket.has_in_range(self.node) or bucket.depth() % 5 != 0):
            self.split_bucket(index)
            self.add_contact(node)


class Table:
    """The contacts of one node."""

    def __init__(self, own: NodeId, *, same_host_ok: bool) -> None:
        self._own, self._same_host_ok = own, same_host_ok
        self._table = _Quiet(None, BUCKET_SIZE, Node(own[:KEY_BYTES]))
        self._failures: dict[NodeId, int] = {}

    def __len__(self) -> int:
        return sum(self.bucket_sizes)

    def __contains__(self, node: NodeId) -> bool:
        wanted = Node(node[:KEY_BYTES])
        return not self._table.is_new_node(wanted)

    @property
    def bucket_sizes(self) -> list[int]:
        """How many contacts each bucket holds, from the smallest ids to the largest."""
        return [len(bucket) for bucket in self._table.buckets]

    def answered(self, contact: Contact) -> bool:
        """Take a contact that has just answered at its address; tell whether it was taken."""
        if contact.node == self._own or not is_usable(contact, same_host_ok=self._same_host_ok):
            return False
        held = _Held(contact)
        bucket = self._table.buckets[self._table.get_bucket_for(held) or 0]
        if not self._same_host_ok:
            near = [*bucket.nodes.values(), *bucket.replacement_nodes.values()]
            others = [node for node in near if node.id != held.id and subnet_of(node.contact) == subnet_of(contact)]
            if len(others) >= PER_SUBNET_MAX:
                return False
        known = bucket[held.id]
        if known is not None and known.contact != contact and not self._failures.get(contact.node):
            return False  # it answers where it was; who took its key elsewhere waits until it does not
        self._failures.pop(contact.node, None)
        self._table.add_contact(held)
        return True

    def failed(self, node: NodeId) -> None:
        """Note that a contact did not answer; the second time in a row it is dropped, and a replacement moves up."""
        self._failures[node] = self._failures.get(node, 0) + 1
        if self._failures[node] > 1:
            del self._failures[node]
            held = Node(node[:KEY_BYTES])
            self._table.remove_contact(held)

    def near(self, key: bytes, count: int = BUCKET_SIZE) -> list[Contact]:
        """Return the contacts nearest to a key."""
        target = int.from_bytes(key, "big")

        def distance(contact: Contact) -> int:
            return int.from_bytes(contact.node[:KEY_BYTES], "big") ^ target

        return sorted(self.everyone(), key=distance)[:count]

    def everyone(self) -> list[Contact]:
        """Return all contacts."""
        return [node.contact for bucket in self._table.buckets for node in bucket.nodes.values()]
