"""Who only looks at what is kept must be answered in seconds, also while no peer answers."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import trio

from nanobarter.core.units import Span
from nanobarter.daemon.explaining import ExplainJob
from nanobarter.daemon.jobs import Say
from nanobarter.daemon.looking import LookJob
from nanobarter.daemon.restoring import Supply
from nanobarter.daemon.shape import Progress
from nanobarter.storage.backup import backup
from nanobarter.storage.patience import PatientSource
from tests.daemon.test_desk import a_node
from tests.storage.engine import Silent

T = TypeVar("T")


async def answer(job: "AsyncGenerator[Progress | T]") -> T:
    *_, told = [one async for one in job]
    return cast("T", told)


async def test_who_looks_is_told_within_seconds_what_silent_peers_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, waits = tmp_path / "folder", list[int]()
    folder.mkdir()
    (folder / "file").write_text("kept")

    def patient(supply: Supply, patience_ms: int, _say: Say) -> PatientSource:
        waits.append(patience_ms)
        return PatientSource(supply.source, Span(0), lambda _why, _left: None, supply.again)

    monkeypatch.setattr(Supply, "patient", patient)
    async with a_node(tmp_path) as node, trio.open_nursery() as nursery:
        await nursery.start(node.jobs.run)
        await backup(
            roots=[folder],
            keys=node.vault_keys,
            catalog=node.catalog,
            sink=Silent(),
            geometry=(2, 5),
            clock=node.clock,
            entropy=node.entropy,
            host="here",
        )
        node.placer = cast("Any", Silent())
        listing = await answer(LookJob(node).ls("", str(folder)))
        elsewhere = await answer(LookJob(node).ls("", "/not/there"))
        assert (elsewhere.snapshot_id, elsewhere.rows, elsewhere.lost) == ("", (), ())
        assert (listing.lost, listing.gone) == ((str(folder),), ())
        told = await answer(ExplainJob(node).run(str(folder / "file")))
        assert [(row.lost, row.away) for row in told.snapshots] == [(str(folder), True)]
        assert (await answer(LookJob(node).check(read_data=False))).unreadable
        nursery.cancel_scope.cancel()
    assert max(waits) <= 10_000
