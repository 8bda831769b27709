"""From the phrase and one living node to the folders: what ``nbctl restore --phrase-file`` runs, without a daemon.

It reads with the vault's keys under a network identity made for this one time, so it can never be mistaken for the
lost node, and keeps what it learns in a temporary store.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

from nanobarter.core.errors import Unreachable
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import SECOND, Span
from nanobarter.daemon.restoring import Supply, restore_wish
from nanobarter.daemon.shape import Progress
from nanobarter.daemon.storage_facade import RestoreDone, RestoreWish
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.net.tables import MIGRATIONS as NET_TABLES
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.concurrent import one_error
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.recovery import NothingFound, Recovered, reader_for, recover
from nanobarter.storage.tables import MIGRATIONS as STORAGE_TABLES

AGAIN_SECONDS: Final = 5.0  # until peers who are away are asked again
MEET_SECONDS: Final = 20.0
"""How long the named nodes may take to answer at first; a home line and a sleeping disk need some seconds."""


async def recover_and_restore(
    seed: bytes, bootstrap: Sequence[tuple[str, int]], wish: RestoreWish, say: Callable[[Progress], None]
) -> RestoreDone:
    """Find the vault's head, its catalog and its packs, and restore what is wished.

    ``say`` is told progress and must not wait. Raises Unreachable when nobody answers or nobody knows the vault,
    UsageError for a wrong snapshot or a target that holds files.
    """
    clock, entropy = SystemClock(), SystemEntropy()
    with tempfile.TemporaryDirectory(prefix="nanobarter-restore-") as folder:
        store = Store.open(Path(folder) / "state.db", (*NET_TABLES, *STORAGE_TABLES))
        network = Network(
            key=SigningKey(entropy.token(32)),
            listen=None,
            bootstrap=[Address(*where) for where in bootstrap],
            store=store,
            clock=clock,
            entropy=entropy,
            same_host_ok=True,
        )
        try:
            with one_error():
                async with trio.open_nursery() as nursery:
                    await nursery.start(store.run)
                    await nursery.start(network.run)
                    done = await _restore(seed, network, store, wish, say)
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


async def _restore(
    seed: bytes, network: Network, store: Store, wish: RestoreWish, say: Callable[[Progress], None]
) -> RestoreDone:
    keys = VaultKeys.from_seed(seed)
    catalog = Catalog(store, LIMITS)
    say(Progress(phase="looking for peers"))
    await _meet(network)
    say(Progress(phase="looking for the vault"))
    found = await _recover(keys, network, store, Span(wish.patience_ms), say)
    await catalog.import_(found.catalog)
    reader = reader_for(keys=keys, network=network, store=store, clock=SystemClock(), entropy=SystemEntropy())
    return await restore_wish(wish, Supply(keys, catalog, reader, reader.forgive, LIMITS), say)


async def _recover(
    keys: VaultKeys, network: Network, store: Store, patience: Span, say: Callable[[Progress], None]
) -> Recovered:
    """Find the catalog; wait while peers are away without whom a known one cannot be had."""
    ends = trio.current_time() + patience / SECOND
    while True:
        try:
            return await recover(keys=keys, network=network, store=store, clock=SystemClock(), entropy=SystemEntropy())
        except NothingFound as error:
            left = ends - trio.current_time()
            if not error.later or left <= 0:
                raise
            say(Progress(phase="waiting for peers who are away", note=f"{error}; {left:.0f} s more"))
        await trio.sleep(min(AGAIN_SECONDS, left))
