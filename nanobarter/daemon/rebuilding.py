"""After a rebuild, or on a machine that takes a node over: fetches from peers what the database does not have.

The index of the own backups comes from the vault's head, or from the shares themselves where no peer has a head; until
it is here nothing may be stored, forgotten or published, since a head that names less would take the place of the one
that names all. The wallet's notes come from their issuers by the phrase. Everything else of the node runs meanwhile,
the vault above all.
"""

import logging
import tempfile
from pathlib import Path
from typing import Final

import trio

from nanobarter.core.errors import NanobarterError, PeerFault, Reason, Unreachable
from nanobarter.core.ids import NodeId, short_node
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, MINUTE, SECOND, Span, after
from nanobarter.daemon import rebuild_state
from nanobarter.daemon.api import refuse
from nanobarter.daemon.rebuild_state import IndexIs, NotesAre, Rebuilt
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.index_swap import swap_index
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.publish import last_head
from nanobarter.storage.recovery import NothingFound, Reach, recover
from nanobarter.storage.search import Search
from nanobarter.storage.tables import MIGRATIONS as STORAGE_TABLES
from nanobarter.wallet import archive
from nanobarter.wallet.service import Wallet

AGAIN_MAX: Final = Span(5 * MINUTE)  # between two tries, which begin a few seconds apart
AGAIN_MIN: Final = Span(2 * SECOND)
UNSURE_SPAN: Final = Span(30 * MINUTE)  # so long after a start an index that was taken over waits for a head to compare
NOTES_SPAN: Final = Span(7 * DAY)  # issuers who were away until then are asked by hand: nbctl wallet restore
_SEARCH_AFTER: Final = 3  # tries without a head before the shares themselves are looked through
_log = logging.getLogger(__name__)


class Rebuilding:
    """See the module. ``run`` does the work; ``demand`` refuses what has to wait for it."""

    def __init__(  # noqa: PLR0913 - ports, keyword only
        self,
        *,
        store: Store,
        keys: VaultKeys,
        network: Reach,
        wallet: Wallet,
        catalog: Catalog,
        scratch: Path,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store, self._keys, self._network, self._wallet = store, keys, network, wallet
        self._catalog, self._scratch = catalog, scratch
        self._clock, self._entropy, self._limits = clock, entropy, limits
        self._state: Rebuilt | None = store.read_now(rebuild_state.rebuilt)
        self._whole = trio.Event()
        self._said = ""
        self._asked = set[NodeId]()
        if self._state is None or self._state.index == "here":
            self._whole.set()

    @property
    def index_is_here(self) -> bool:
        """Whether the index of the own backups is complete."""
        return self._whole.is_set()

    def demand(self) -> None:
        """Raise RefusedError while the index is not complete."""
        if not self.index_is_here:
            raise refuse(Reason.NOT_YET, f"the index of your backups is being fetched ({self._said or 'asking peers'})")

    async def wait_whole(self) -> None:
        """Return once the index is complete."""
        await self._whole.wait()

    def problems(self) -> list[str]:
        """Return what a person should know of it."""
        if self._state is None or self.index_is_here:
            return []
        told = "the database was made anew; the index of your backups is fetched from peers"
        if not self._said:
            return [told]
        told += f" ({self._said})"
        if self._state.index == "missing":
            told += "; only if none of them will ever have it: nbctl down, nbctl rebuild --give-up-snapshots, nbctl up"
        return [told]

    # -- the work

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fetch what is missing; ends when everything is here."""
        task_status.started()
        state = self._state
        if state is None:
            return
        async with trio.open_nursery() as nursery:
            if state.index != "here":
                nursery.start_soon(self._fetch_index, state.index)
            if state.notes != "here":
                nursery.start_soon(self._fetch_notes, state)

    async def _fetch_index(self, was: IndexIs) -> None:
        gives_up = trio.current_time() + UNSURE_SPAN / SECOND if was == "unsure" else float("inf")
        pause, tries = AGAIN_MIN, 0
        while not self.index_is_here and trio.current_time() < gives_up:
            if self._network.connected():
                tries += 1
                try:
                    await self._try(search=was == "missing" and tries > _SEARCH_AFTER)
                except NanobarterError as error:  # peers come and go: what is wrong now may be right in a minute
                    if self._said != str(error):
                        _log.info("the index is not back yet: %s", error)
                    self._said = str(error)
                else:
                    return
                pause = Span(min(2 * pause, AGAIN_MAX))
            with trio.move_on_after(pause / SECOND):
                await self._whole.wait()
        if not self.index_is_here and self._state is not None:
            _log.warning("no peer shows an index; the one that was in the damaged database stays")
            await self._note("here", self._state.notes)

    async def _try(self, *, search: bool) -> None:
        with tempfile.TemporaryDirectory(prefix="index-", dir=self._scratch) as folder:
            path = Path(folder) / "index.db"
            store = Store.open(path, STORAGE_TABLES)
            try:
                sequence = await self._look(store, search=search)
            finally:
                store.close()
            await self._take(path, sequence)

    async def _look(self, store: Store, *, search: bool) -> int:
        """Fill a store with what peers have; return the sequence of the head, 0 without one."""
        catalog, sequence, failed = Catalog(store, self._limits), 0, list[NanobarterError]()
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            try:
                found = await recover(
                    keys=self._keys, network=self._network, store=store,
                    clock=self._clock, entropy=self._entropy, limits=self._limits,
                )  # fmt: skip
                sequence = found.sequence
                await catalog.import_(found.catalog)
            except NothingFound as error:
                if not search or error.later:
                    failed.append(error)
                else:
                    await self._search(store, catalog, failed)
            nursery.cancel_scope.cancel()
        if failed:
            raise failed[0]
        return sequence

    async def _search(self, store: Store, catalog: Catalog, failed: list[NanobarterError]) -> None:
        search = Search(
            keys=self._keys, network=self._network, store=store,
            clock=self._clock, entropy=self._entropy, limits=self._limits,
        )  # fmt: skip
        try:
            found = await search.run(catalog)
        except Unreachable as error:
            failed.append(error)
            return
        if not found.snapshots:
            failed.append(Unreachable(f"{found.packs} packs are at peers, and no snapshot among them"))

    async def _take(self, path: Path, sequence: int) -> None:
        async with self._catalog.turn:
            own = await self._store.read(last_head)
            if own is not None and own[0] > sequence:
                _log.info("the index that was taken over is newer than what peers have")
            else:
                await self._store.write(lambda db: self._swap(db, path))
                _log.warning("the index of the backups is back")
            notes: NotesAre = self._state.notes if self._state is not None else "here"
            await self._note("here", notes)

    def _swap(self, db: rebuild_state.Db, path: Path) -> int:
        leases = swap_index(db, path, self._keys.signing.public)
        for signed, contract in leases:  # the wallet shows them to their mints, should those have forgotten them
            archive.put_lease(db, contract, signed)
        return len(leases)

    async def _note(self, index: IndexIs, notes: NotesAre) -> None:
        if self._state is not None:
            state = Rebuilt(self._state.at, self._state.why, index, notes)
            await self._store.write(lambda db: rebuild_state.keep(db, state))
            self._state = state
        if index == "here":
            self._whole.set()

    async def _fetch_notes(self, state: Rebuilt) -> None:
        ends = after(state.at, NOTES_SPAN)
        while self._clock.now() < ends:
            for node in [*self._network.connected()]:
                if node not in self._asked:
                    try:
                        found = await self._wallet.restore(node)
                    except (Unreachable, PeerFault) as error:
                        _log.info("%s does not say which of its notes are ours: %s", short_node(node), error)
                        continue
                    self._asked.add(node)
                    if found:
                        _log.info("%d MiB of notes of %s are back", found, short_node(node))
            await trio.sleep(AGAIN_MAX / SECOND if self._asked else AGAIN_MIN / SECOND)
        if self._state is not None:
            await self._note(self._state.index, "here")
