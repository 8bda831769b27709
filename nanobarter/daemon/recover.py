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
from nanobarter.daemon import facade
from nanobarter.daemon.jobs import pick_snapshot, restored_row
from nanobarter.net.address import Address
from nanobarter.net.network import Network
from nanobarter.net.tables import MIGRATIONS as NET_TABLES
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.concurrent import one_error
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.recovery import reader_for, recover
from nanobarter.storage.restore import restore
from nanobarter.storage.tables import MIGRATIONS as STORAGE_TABLES

MEET_SECONDS: Final = 20.0
"""How long the named nodes may take to answer at first; a home line and a sleeping disk need some seconds."""


async def recover_and_restore(
    seed: bytes,
    bootstrap: Sequence[tuple[str, int]],
    target: Path,
    *,
    snapshot: str,
    overwrite: bool,
    say: Callable[[facade.Progress], None],
) -> facade.RestoreDone:
    """Find the vault's head, its catalog and its packs, and write a snapshot (the newest when empty) to ``target``.

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
                    done = await _restore(seed, network, store, target, snapshot, overwrite=overwrite, say=say)
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
    seed: bytes,
    network: Network,
    store: Store,
    target: Path,
    wanted: str,
    *,
    overwrite: bool,
    say: Callable[[facade.Progress], None],
) -> facade.RestoreDone:
    started, keys = trio.current_time(), VaultKeys.from_seed(seed)
    clock, entropy, catalog = SystemClock(), SystemEntropy(), Catalog(store, LIMITS)
    say(facade.Progress(phase="looking for peers"))
    await _meet(network)
    say(facade.Progress(phase="looking for the vault"))
    found = await recover(keys=keys, network=network, store=store, clock=clock, entropy=entropy)
    await catalog.import_(found.catalog)
    line, snapshot = pick_snapshot(await catalog.snapshots(), wanted, keys)
    total = snapshot.stats.seen_bytes

    def moved(files: int, size_bytes: int) -> None:
        say(facade.Progress(phase="restoring", done=size_bytes, total=total, unit="bytes", note=f"{files} files"))

    restored = await restore(
        snapshot,
        target,
        keys=keys,
        catalog=catalog,
        source=reader_for(keys=keys, network=network, store=store, clock=clock, entropy=entropy),
        overwrite=overwrite,
        progress=moved,
    )
    return restored_row(line, target, restored, trio.current_time() - started)
