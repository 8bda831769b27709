"""From nothing: the phrase's keys and one reachable peer are enough to find the catalog and all packs again.

Every peer that can be reached, and every peer of those, is asked for the head; so are the nodes that a found head
names, and those that the vault's pointer in the hash table names (pointer.py). The highest sequence that opens with the
vault's keys is followed; when its packs cannot be had, the next one. Only the keys decide what is believed: peers can
hold back a head, but not make or change one.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed, PeerFault, Unreachable
from nanobarter.core.ids import NodeId, PackId
from nanobarter.core.keys import Signed
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Instant
from nanobarter.net.address import Address
from nanobarter.storage.head import (
    CATALOG_TEXT_MAX,
    CatalogFile,
    HeadBody,
    HeadPlain,
    NodeAddress,
    head_id_of,
    open_head,
    read_catalog_file,
    unseal_part,
)
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.leases import keep_contract, read_contract
from nanobarter.storage.ports import PackMissing
from nanobarter.storage.publish import adopt, keep_head
from nanobarter.storage.reading import HostPort, PackReader
from nanobarter.storage.vault_asking import get_head
from nanobarter.storage.vault_client import VaultClient


class NothingFound(Unreachable):
    """No peer that could be reached gave a head that opens with these keys, or not enough of its packs.

    ``later``: a head was found, and peers who are away would make it enough.
    """

    def __init__(self, told: str, *, later: bool = False) -> None:
        super().__init__(told)
        self.later = later


class KnownNode(Protocol):
    """A node that the network knows of, connected or not."""

    @property
    def node(self) -> NodeId:
        """Its id."""
        ...


class Reach(Caller, Protocol):
    """What recovery asks of the network. ``net.Network`` without a listening address is enough."""

    def connected(self) -> Sequence[NodeId]:
        """Return the peers that can be called now."""
        ...

    def known(self) -> Sequence[KnownNode]:
        """Return all nodes known of: grows as peers tell of theirs."""
        ...

    def address_of(self, node: NodeId) -> HostPort | None:
        """Return where a node was last reached."""
        ...

    def host_of(self, node: NodeId) -> str | None:
        """Return at which host a node is, as far as was seen or said."""
        ...

    def learn(self, node: NodeId | None, address: Address) -> None:
        """Take an address to be dialled."""
        ...


@dataclass(frozen=True)
class FoundHead:
    """A head that opened with our keys, and who gave it."""

    head: Signed
    body: HeadBody
    plain: HeadPlain
    kept_by: NodeId


@dataclass(frozen=True)
class Recovered:
    """What came back: the engine's catalog (``Catalog.import_``), as of when, from how many packs and peers.

    ``policies`` is the text of the lost node's config.toml; empty when it published none.
    """

    catalog: bytes
    sequence: int
    at: Instant
    packs: int
    peers_asked: int
    policies: bytes = b""


Elsewhere = Callable[[], Awaitable[Sequence[NodeAddress]]]
"""Tells of nodes that keep the head, from somewhere else than peers: the pointer in the hash table."""


async def nowhere() -> Sequence[NodeAddress]:
    """Know of no other place."""
    await trio.lowlevel.checkpoint()
    return ()


async def find_heads(
    *, keys: VaultKeys, network: Reach, limits: Limits = LIMITS, elsewhere: Elsewhere = nowhere
) -> tuple[list[FoundHead], int]:
    """Return all distinct heads found, the newest first, and how many peers answered."""
    looked = trio.Event()

    async def look() -> None:
        with trio.move_on_after(limits.recovery_elsewhere / SECOND):
            for holder in await elsewhere():
                network.learn(holder.node, Address(holder.host, holder.port))
        looked.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        found = await _ask_around(keys, network, limits, looked)
        nursery.cancel_scope.cancel()
    return found


async def _ask_around(
    keys: VaultKeys, network: Reach, limits: Limits, looked: trio.Event
) -> tuple[list[FoundHead], int]:
    """Ask all that are known, and whom these tell of, until heads are found or there is nobody else to ask."""
    found = dict[int, FoundHead]()
    tried, answered = set[NodeId](), set[NodeId]()
    gate = trio.CapacityLimiter(limits.recovery_asks_parallel)

    async def ask(node: NodeId) -> None:
        async with gate:
            try:
                head = await get_head(network, node, head_id_of(keys), limits)
                answered.add(node)
                if head is None:
                    return
                body, plain = open_head(keys, head, limits.vault_head_bytes_max)
            except (Unreachable, PeerFault, Malformed):
                return
        found.setdefault(body.sequence, FoundHead(head, body, plain, node))
        for a in plain.addresses:
            network.learn(a.node, Address(a.host, a.port))

    rounds = 0
    while rounds < limits.recovery_rounds_max:
        rounds += looked.is_set()  # what is learned elsewhere comes in time for a round
        if found:  # its holders have the newest one; strangers need not be waited for
            fresh = {a.node for head in found.values() for a in head.plain.addresses} - tried
        else:  # who did not answer may be dialled by now
            fresh = ({peer.node for peer in network.known()} | set(network.connected())) - answered
        fresh -= {network.node_id}
        if found and not fresh:
            break
        tried |= fresh
        async with trio.open_nursery() as nursery:
            for node in fresh:
                nursery.start_soon(ask, node)
        if not found:
            await trio.sleep(limits.recovery_pause / SECOND)  # peers tell of theirs meanwhile
    return sorted(found.values(), key=lambda f: -f.body.sequence), len(answered)


async def recover(
    *,
    keys: VaultKeys,
    network: Reach,
    store: Store,
    clock: Clock,
    entropy: Entropy,
    limits: Limits = LIMITS,
    elsewhere: Elsewhere = nowhere,
) -> Recovered:
    """Fill an empty store with the placements and leases of the vault, and return the engine's catalog.

    Afterwards a ``PackReader`` (``reader_for``) over the same store reads every pack. The store must be running.
    Raises NothingFound.
    """
    heads, answered = await find_heads(keys=keys, network=network, limits=limits, elsewhere=elsewhere)
    if not heads:
        raise NothingFound(f"{answered} peers answered, and none of them keeps a backup for this phrase")
    reader = reader_for(keys=keys, network=network, store=store, clock=clock, entropy=entropy, limits=limits)
    problems, later = list[str](), False
    for found in heads:
        try:
            file, packs = await _follow(found.plain, keys, reader, store, limits)
        except (PackMissing, Malformed) as error:
            problems.append(str(error))
            later = later or (isinstance(error, PackMissing) and error.later)
            continue
        await store.write(lambda db, f=file: adopt(db, f.packs))
        await _adopt_leases(file, keys, store)
        await store.write(lambda db, f=found, ids=packs: keep_head(db, f.body.sequence, f.head, ids))
        return Recovered(file.catalog, found.body.sequence, found.body.at, len(file.packs), answered, file.policies)
    told = f"a backup for this phrase is known, but its catalog cannot be had now: {problems[0]}"
    raise NothingFound(told, later=later)


def reader_for(
    *, keys: VaultKeys, network: Reach, store: Store, clock: Clock, entropy: Entropy, limits: Limits = LIMITS
) -> PackReader:
    """Return the PackSource of a vault whose placements are in the store: reading needs no wallet and no mint."""
    client = VaultClient(caller=network, holder=keys.signing, clock=clock, entropy=entropy, limits=limits)
    return PackReader(store=store, keys=keys, client=client, directory=network, clock=clock, limits=limits)


async def _follow(
    plain: HeadPlain, keys: VaultKeys, reader: PackReader, store: Store, limits: Limits
) -> tuple[CatalogFile, list[PackId]]:
    """Return the catalog file that a head leads to, through the levels, and the ids of the packs on the way."""
    ids = list[PackId]()
    for _ in range(limits.recovery_levels_max):
        await store.write(lambda db, p=plain: adopt(db, p.packs))
        parts = list[bytes]()
        for pack in plain.packs:
            ids.append(pack.pack)
            parts.append(unseal_part(keys, await reader.get(pack.pack)))
        text = b"".join(parts)
        if len(text) != plain.size:
            raise Malformed(f"the catalog has {len(text)} bytes instead of {plain.size}")
        if plain.level == 0:
            return await trio.to_thread.run_sync(read_catalog_file, text), ids
        below = decode(text, HeadPlain, size_max=CATALOG_TEXT_MAX)
        if below.level != plain.level - 1:
            raise Malformed(f"level {below.level} below level {plain.level}")
        plain = below
    raise Malformed("the head has too many levels")


async def _adopt_leases(file: CatalogFile, keys: VaultKeys, store: Store) -> None:
    for signed in file.leases:
        try:
            contract = read_contract(signed, keys.signing.public)
        except PeerFault as error:
            raise Malformed(str(error)) from None
        await store.write(lambda db, s=signed, c=contract: keep_contract(db, s, c))
