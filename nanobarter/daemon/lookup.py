"""The hash table in the daemon: one UDP socket beside the TCP one, for finding nodes whom no peer can name."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio

from nanobarter.core.errors import Malformed, UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import DAY, Span, after
from nanobarter.net.address import Address
from nanobarter.net.dht.records import Value, make_value
from nanobarter.net.dht.service import Dht
from nanobarter.net.dht.udp import UdpDatagrams
from nanobarter.net.finder import Finder, source_of
from nanobarter.net.network import Network
from nanobarter.storage.head import NodeAddress
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.pointer import SALT, open_pointer, pointer_key, seal_pointer

_POINTER_VALID: Final = Span(31 * DAY)  # as long as what holders keep is paid for
_log = logging.getLogger(__name__)


class Directory:
    """Keeps this node in the table while it runs.

    Not among friends only, for it would tell strangers of us, and unless it is ``wanted``: behind a proxy, which
    datagrams do not pass, they would show where we are.
    """

    def __init__(
        self,
        *,
        network: Network,
        key: SigningKey,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        same_host_ok: bool,
        wanted: bool = True,
    ) -> None:
        self._wanted = wanted
        self._tells = list[Callable[[], Value | None]]()
        self._network, self._key, self._clock, self._entropy = network, key, clock, entropy
        self._limits, self._same_host_ok = limits, same_host_ok
        self._finder: Finder | None = None
        network.look_beyond(self._find)
        network.on_connect(self._met)

    async def run(self, bound: Address | None, bootstrap: tuple[Address, ...]) -> None:
        """Serve until cancelled; without a UDP port to bind the node lives on without the table."""
        if bound is None or not self._wanted or self._network.circle.only:
            return
        try:
            datagrams = UdpDatagrams.open(bound)
        except UsageError as error:
            _log.warning("no hash table: %s", error)
            return
        dht = Dht(
            key=self._key,
            datagrams=datagrams,
            clock=self._clock,
            entropy=self._entropy,
            limits=self._limits,
            same_host_ok=self._same_host_ok,
        )
        self._finder = Finder(dht, self._key, lambda: self._network.own_record)
        for make in self._tells:
            self._finder.tell(make)
        for address in bootstrap:
            self._finder.met(address)
        try:
            await dht.run()
        finally:
            self._finder = None
            datagrams.close()

    def tell(self, make: Callable[[], Value | None]) -> None:
        """Publish what this makes in the table, every hour. Before ``run``."""
        self._tells.append(make)

    def tell_again(self) -> None:
        """Publish soon what is told, for it has changed."""
        if self._finder is not None:
            self._finder.tell_again()

    def _met(self, node: NodeId) -> None:
        if self._finder is not None:
            self._finder.met(self._network.address_of(node))

    async def _find(self, node: NodeId) -> Item | None:
        if self._finder is None:
            await trio.lowlevel.checkpoint()
            return None
        return await self._finder.record_of(node)


def pointer_value(keys: VaultKeys, holders: Sequence[NodeAddress], clock: Clock, entropy: Entropy) -> Value | None:
    """Return what tells, in the table, who keeps the head of a vault; None while nobody does."""
    if not holders:
        return None
    now = clock.now()
    return make_value(
        pointer_key(keys),
        SALT,
        sequence=max(now, 0),
        expires=after(now, _POINTER_VALID),
        body=seal_pointer(keys, holders, entropy),
    )


class Seeker:
    """For whoever has only the phrase: asks the table, without a listening port and under a key for this one time."""

    def __init__(self, network: Network, bootstrap: Sequence[Address], *, clock: Clock, entropy: Entropy) -> None:
        self._network, self._bootstrap = network, bootstrap
        self._clock, self._entropy = clock, entropy

    async def holders(self, keys: VaultKeys) -> Sequence[NodeAddress]:
        """Return who keeps the head of a vault, as its owner told the table; nothing when nobody there knows."""
        sources = [source_of(address) for address in (*self._bootstrap, *self._near())]
        try:
            datagrams = UdpDatagrams.open(Address("0.0.0.0", 0))  # noqa: S104 - any way out
        except UsageError as error:
            _log.warning("no hash table: %s", error)
            return ()
        key = SigningKey(self._entropy.token(32))
        dht = Dht(key=key, datagrams=datagrams, clock=self._clock, entropy=self._entropy, same_host_ok=True)
        found: Sequence[NodeAddress] = ()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(dht.run)
                await dht.join([source for source in dict.fromkeys(sources) if source is not None])
                body = await Finder(dht, key, lambda: None).body_of(pointer_key(keys).public, SALT)
                with suppress(Malformed):
                    found = () if body is None else open_pointer(keys, body)
                nursery.cancel_scope.cancel()
        finally:
            datagrams.close()
        return found

    def _near(self) -> list[Address]:
        near = [self._network.address_of(node) for node in self._network.connected()]
        return [address for address in near if address is not None]
