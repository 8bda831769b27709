"""The hash table in the daemon: one UDP socket beside the TCP one, for finding nodes whom no peer can name."""

import logging

import trio

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.net.address import Address
from nanobarter.net.dht.service import Dht
from nanobarter.net.dht.udp import UdpDatagrams
from nanobarter.net.finder import Finder
from nanobarter.net.network import Network

_log = logging.getLogger(__name__)


class Directory:
    """Keeps this node in the table while it runs.

    Not among friends only, for it would tell strangers of us, and not behind a proxy (``hidden``), which datagrams
    do not pass: they would show where we are.
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
        hidden: bool = False,
    ) -> None:
        self._hidden = hidden
        self._network, self._key, self._clock, self._entropy = network, key, clock, entropy
        self._limits, self._same_host_ok = limits, same_host_ok
        self._finder: Finder | None = None
        network.look_beyond(self._find)
        network.on_connect(self._met)

    async def run(self, bound: Address | None, bootstrap: tuple[Address, ...]) -> None:
        """Serve until cancelled; without a UDP port to bind the node lives on without the table."""
        if bound is None or self._hidden or self._network.circle.only:
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
        for address in bootstrap:
            self._finder.met(address)
        try:
            await dht.run()
        finally:
            self._finder = None
            datagrams.close()

    def _met(self, node: NodeId) -> None:
        if self._finder is not None:
            self._finder.met(self._network.address_of(node))

    async def _find(self, node: NodeId) -> Item | None:
        if self._finder is None:
            await trio.lowlevel.checkpoint()
            return None
        return await self._finder.record_of(node)
