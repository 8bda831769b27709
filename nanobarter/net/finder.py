"""The hash table as a network uses it: where a node can be dialled, and our own address told to it.

Its records are the node records that peers pass on too, so a table that lies can hold one back and not make one up.
"""

import ipaddress
from collections.abc import Callable
from typing import Final

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId, PublicKey
from nanobarter.core.item import ITEM_MAX, Item
from nanobarter.core.keys import SigningKey
from nanobarter.net.address import Address
from nanobarter.net.dht.ports import Source
from nanobarter.net.dht.records import VALUE_MAX, Value, make_value, place_of
from nanobarter.net.dht.service import Dht
from nanobarter.net.dht.wire import KEY_BYTES
from nanobarter.net.records import open_record

NODE_SALT: Final = b""


def source_of(address: Address) -> Source | None:
    """Return where datagrams for a node go: its address, if that is a number; the UDP port is the TCP port."""
    try:
        return Source(ipaddress.ip_address(address.host.partition("%")[0]).packed, address.port)
    except ValueError:
        return None


class Finder:
    """Looks nodes up in the table, and keeps this node in it."""

    def __init__(self, dht: Dht, key: SigningKey, own_record: Callable[[], Item | None]) -> None:
        self._dht, self._key, self._own_record = dht, key, own_record
        dht.tell(self._own)

    def met(self, address: Address | None) -> None:
        """Take the address of a node of the network: it may be in the table too."""
        source = source_of(address) if address is not None else None
        if source is not None:
            self._dht.hint(source)

    async def record_of(self, node: NodeId) -> Item | None:
        """Return a node's record, signed by it, or None."""
        value = await self._dht.find(node[:KEY_BYTES])
        if value is None or value.salt != NODE_SALT:
            return None
        try:
            item = decode(value.body, Item, size_max=ITEM_MAX)
            open_record(item)
        except Malformed:
            return None
        return item if item.node == node else None

    def tell(self, make: Callable[[], Value | None]) -> None:
        """Publish what this makes, too, from now on; None is nothing to tell now."""
        self._dht.tell(make)

    def tell_again(self) -> None:
        """Publish soon what is told, for it has changed."""
        self._dht.tell_again()

    async def body_of(self, key: PublicKey, salt: bytes) -> bytes | None:
        """Return what the owner of a key has published under a salt, or None."""
        value = await self._dht.find(place_of(key, salt))
        return value.body if value is not None and value.key == key and value.salt == salt else None

    def _own(self) -> Value | None:
        record = self._own_record()
        if record is None:
            return None
        body = encode(record)
        if len(body) > VALUE_MAX:
            return None
        return make_value(self._key, NODE_SALT, sequence=record.sequence, expires=record.expires, body=body)
