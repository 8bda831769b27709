"""At stake: who waits for an index that no peer has must hear it, and what can be done about it."""

from pathlib import Path
from typing import Any, cast

import pytest
import trio

from nanobarter.core.store import Store
from nanobarter.core.units import Instant
from nanobarter.daemon import rebuild_state
from nanobarter.daemon.api import RefusedError
from nanobarter.daemon.rebuild_state import IndexIs, Rebuilt
from nanobarter.daemon.rebuilding import Rebuilding
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.daemon.view import NodeView
from nanobarter.storage.catalog import Catalog
from tests.daemon.test_desk import a_node
from tests.storage.vaults import Town, town


def rebuilding(here: Town, index: IndexIs) -> Rebuilding:
    store = Store.open(here.folder / f"{index}.db", ALL_TABLES)
    here.stores.append(store)
    store.write_now(lambda db: rebuild_state.keep(db, Rebuilt(Instant(1), "it was damaged", index, "here")))
    return Rebuilding(
        store=store,
        keys=here.keys,
        network=here.directory,
        wallet=cast("Any", None),  # not asked
        catalog=Catalog(store),
        scratch=here.folder,
        clock=here.clock,
        entropy=here.entropy,
        limits=here.limits,
    )


async def test_nobody_hears_that_nothing_is_backed_up_before_peers_have_told_what_is(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        assert (await view.health()).state == "none"
        assert (await view.snapshots()).snapshots == ()
        await node.store.write(lambda db: rebuild_state.keep(db, Rebuilt(Instant(1), "damaged", "missing", "here")))
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        assert (await view.health()).state == (await view.status()).health.state == "fetching"
        with pytest.raises(RefusedError, match="the index of your backups is being fetched"):
            await view.snapshots()


async def test_an_index_that_no_peer_has_is_waited_for_and_the_way_on_is_told(tmp_path: Path) -> None:
    async with town(tmp_path, 2) as (here, nursery):
        missing, unsure = rebuilding(here, "missing"), rebuilding(here, "unsure")
        assert "give-up" not in missing.problems()[0]  # nobody was asked yet
        for work in (missing, unsure):
            await nursery.start(work.run)
        with trio.fail_after(60):
            while any(work.problems()[0].endswith("from peers") for work in (missing, unsure)):  # noqa: ASYNC110 - they say nothing when they are told no
                await trio.sleep(0.01)
        assert "nbctl rebuild --give-up-snapshots" in missing.problems()[0]
        assert "give-up" not in unsure.problems()[0]  # it has one, which it will go on with
        assert not missing.index_is_here
