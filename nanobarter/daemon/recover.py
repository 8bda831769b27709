"""From the phrase and one living node to the folders: what ``nbctl restore --phrase-file`` and ``nbctl recover`` run.

No daemon is needed.

It reads with the vault's keys under a network identity made for this one time, so it can never be mistaken for the
lost node, and keeps what it learns in a temporary store.
"""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import trio

from nanobarter.core.errors import Unreachable, UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey, identity_of
from nanobarter.core.limits import LIMITS
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import SECOND
from nanobarter.daemon.fates import snapshot_row
from nanobarter.daemon.jobs import Say
from nanobarter.daemon.lookup import Seeker
from nanobarter.daemon.restoring import Supply, restore_wish
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import PATIENCE_MS, RecoverDone, RestoreDone, RestoreWish
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.net.tables import MIGRATIONS as NET_TABLES
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.concurrent import one_error
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.recovery import NothingFound, Recovered, reader_for, recover
from nanobarter.storage.search import Found, Search
from nanobarter.storage.snapshot import open_snapshot
from nanobarter.storage.tables import MIGRATIONS as STORAGE_TABLES

T = TypeVar("T")
AGAIN_SECONDS: Final = 5.0  # until peers who are away are asked again
ALIVE_SECONDS: Final = 10.0  # peers tell of the node within a second, and it is dialled at once
MEET_SECONDS: Final = 20.0
"""How long the named nodes may take to answer at first; a home line and a sleeping disk need some seconds."""


@dataclass(frozen=True)
class Phrase:
    """What a recovery starts from: the seed of the phrase, nodes to ask, and whether to search without a head."""

    seed: bytes
    bootstrap: Sequence[tuple[str, int]]
    scan: bool = False
    patience_ms: int = PATIENCE_MS


Work = Callable[[Supply, bytes], Awaitable[T]]
"""What is done with a vault that was found; the bytes are the policies of the lost node, if they were found too."""


async def recover_and_restore(phrase: Phrase, wish: RestoreWish, say: Say) -> RestoreDone:
    """Find the vault's head, its catalog and its packs, and restore what is wished.

    ``say`` is told progress and must not wait. Raises Unreachable when nobody answers or nobody knows the vault,
    UsageError for a wrong snapshot or a target that holds files.
    """

    async def work(supply: Supply, _policies: bytes) -> RestoreDone:
        return await restore_wish(wish, supply, say)

    return await with_vault(phrase, say, work)


async def recover_only(phrase: Phrase, say: Say, *, take_over: bool = False) -> RecoverDone:
    """Find the vault and tell what it offers, and what the lost node was told to do.

    With ``take_over`` raises UsageError when the node of the phrase answers: then it is not lost.
    """
    met = list[Network]()

    async def work(supply: Supply, policies: bytes) -> RecoverDone:
        if take_over:
            say(Progress(phase="looking whether the node still runs"))
            await _refuse_living(met[0], identity_of(phrase.seed).node_id)
        lines = sorted(await supply.catalog.snapshots(), key=lambda line: line.started)
        return RecoverDone(
            snapshots=tuple(snapshot_row(line, open_snapshot(line.body, supply.keys)) for line in lines),
            policies=policies.decode("utf-8", "replace"),
            scanned=supply.scanned,
        )

    return await with_vault(phrase, say, work, met.append)


async def _refuse_living(network: Network, node: NodeId) -> None:
    met = trio.Event()
    network.on_connect(lambda other: met.set() if other == node else None)
    if node in network.connected():
        met.set()
    with trio.move_on_after(ALIVE_SECONDS):
        await met.wait()
        address = network.address_of(node)
        raise UsageError(
            f"the node of this phrase runs{f' at {address.show()}' if address else ''}",
            hint="stop it there first (nbctl down), or leave the node where it is and only restore",
        )


async def with_vault(
    phrase: Phrase, say: Say, work: Work[T], met: Callable[[Network], None] = lambda _network: None
) -> T:
    """Find a vault by its phrase, over a network identity and a store that last only as long as the work."""
    clock, entropy = SystemClock(), SystemEntropy()
    with tempfile.TemporaryDirectory(prefix="nanobarter-restore-") as folder:
        store = Store.open(Path(folder) / "state.db", (*NET_TABLES, *STORAGE_TABLES))
        network = Network(
            key=SigningKey(entropy.token(32)),
            listen=None,
            bootstrap=[Address(*where) for where in phrase.bootstrap],
            store=store,
            clock=clock,
            entropy=entropy,
            same_host_ok=True,
        )
        met(network)
        try:
            with one_error():
                async with trio.open_nursery() as nursery:
                    await nursery.start(store.run)
                    await nursery.start(network.run)
                    done = await work(*await _find(phrase, network, store, say))
                    nursery.cancel_scope.cancel()
        finally:
            store.close()
    return done


async def _meet(network: Network) -> None:
    met = trio.Event()
    network.on_connect(lambda _node: met.set())
    with suppress(trio.TooSlowError):
        with trio.fail_after(MEET_SECONDS):
            await met.wait()
        return
    raise Unreachable("none of the named nodes answers; name another living one: --bootstrap HOST:PORT")


async def _find(phrase: Phrase, network: Network, store: Store, say: Say) -> tuple[Supply, bytes]:
    keys = VaultKeys.from_seed(phrase.seed)
    catalog = Catalog(store, LIMITS)
    say(Progress(phase="looking for peers"))
    await _meet(network)
    say(Progress(phase="looking for the vault"))
    try:
        found = await _recover(phrase, network, store, say)
    except NothingFound as error:
        if not phrase.scan:
            raise Unreachable(f"{error}; --scan looks for what is left of it") from None
        return await _search(keys, network, store, catalog, say)
    await catalog.import_(found.catalog)
    reader = reader_for(keys=keys, network=network, store=store, clock=SystemClock(), entropy=SystemEntropy())
    return Supply(keys, catalog, reader, reader.forgive, LIMITS), found.policies


async def _search(keys: VaultKeys, network: Network, store: Store, catalog: Catalog, say: Say) -> tuple[Supply, bytes]:
    def tell(found: Found) -> None:
        note = f"{found.peers} peers, {found.shares} shares, {found.packs} packs, {found.snapshots} snapshots"
        say(Progress(phase="searching without a head", note=note))

    search = Search(keys=keys, network=network, store=store, clock=SystemClock(), entropy=SystemEntropy(), tell=tell)
    found = await search.run(catalog)
    supply = Supply(keys, catalog, search.source(), search.reader.forgive, LIMITS, scanned=True)
    return supply, found.policies


async def _recover(phrase: Phrase, network: Network, store: Store, say: Say) -> Recovered:
    """Find the catalog; wait while peers are away without whom a known one cannot be had."""
    keys, clock, entropy = VaultKeys.from_seed(phrase.seed), SystemClock(), SystemEntropy()
    seeker = Seeker(network, [Address(*where) for where in phrase.bootstrap], clock=clock, entropy=entropy)
    ends = trio.current_time() + phrase.patience_ms / SECOND
    while True:
        try:
            return await recover(
                keys=keys,
                network=network,
                store=store,
                clock=clock,
                entropy=entropy,
                elsewhere=lambda: seeker.holders(keys),
            )
        except NothingFound as error:
            left = ends - trio.current_time()
            if not error.later or left <= 0:
                raise
            say(Progress(phase="waiting for peers who are away", note=f"{error}; {left:.0f} s more"))
        await trio.sleep(min(AGAIN_SECONDS, left))
