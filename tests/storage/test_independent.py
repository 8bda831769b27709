"""A backup that only this program can read dies with it: the pages in docs/spec must be enough to write another."""

import ast
import os
import shutil
from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.phrase import seed_of
from nanobarter.core.system import SystemClock
from nanobarter.storage import erasure
from nanobarter.storage.backup import backup
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.head import CatalogFile
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.publish import last_head
from tests.storage import independent
from tests.storage.test_backup import plant, plant_sparse, rsync_says
from tests.storage.vaults import Town, town

SEED = b"seed" * 16
PHRASE = "abandon " * 23 + "art"


async def back_up(here: Town, source: Path) -> bytes:
    """Back a folder up at the town's peers; return the head that they keep."""
    catalog = Catalog(here.store)
    geometry = here.placer.geometry()
    await backup(
        roots=[source],
        keys=here.keys,
        catalog=catalog,
        sink=here.placer,
        geometry=(geometry.k, geometry.n),
        clock=SystemClock(),
        entropy=here.entropy,
        host="here",
    )
    await here.publisher.publish(await catalog.export())
    found = await here.store.read(last_head)
    assert found is not None
    return encode(found[1])


def test_the_program_uses_nothing_of_this_one() -> None:
    tree = ast.parse(Path(independent.__file__).read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in names if name.split(".")[0] in ("nanobarter", "tests", "zfec")]


@pytest.mark.parametrize("peers", [1, 3, 6])
async def test_vault_folders_and_the_phrase_are_enough(tmp_path: Path, peers: int) -> None:
    source = plant(tmp_path / "source")
    plant_sparse(source)
    async with town(tmp_path, peers) as (here, _):
        assert VaultKeys.from_seed(SEED) == here.keys
        head = await back_up(here, source)
        vaults = [peer.home / "vault" for peer in here.peers]
        keys = independent.Keys(SEED)
        file = independent.follow(head, keys, independent.read_packs(vaults, keys))
        ours = decode(encode(file), CatalogFile, size_max=10**8)
        for vault in vaults[: peers // 2]:  # what comes back does not need them
            await trio.to_thread.run_sync(shutil.rmtree, vault)
        chunks = await trio.to_thread.run_sync(independent.restore, SEED, vaults, tmp_path / "back")
        named = {pack.pack for pack in ours.packs}
        assert named <= set(independent.read_packs(vaults, keys))
    assert len(chunks.snapshots) == 1
    assert rsync_says(source, tmp_path / "back") == ""


def test_shares_say_which_they_are_and_their_names_can_be_computed(tmp_path: Path) -> None:
    keys = independent.Keys(SEED)

    async def run() -> None:
        async with town(tmp_path, 2) as (here, _):
            await back_up(here, plant(tmp_path / "source"))
            for peer in here.peers:
                for path in peer.files():
                    assert independent.root_of(path.read_bytes()).hex() == path.name
                    assert independent.read_share(path.read_bytes(), keys) is not None

    trio.run(run)


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 5), (3, 6), (4, 10), (10, 25)])
def test_the_erasure_code_is_as_the_page_says(k: int, n: int) -> None:
    body = os.urandom(k * 64)
    shares = erasure.encode(body, k, n)
    for chosen in (range(n - k, n), range(0, 2 * k, 2), range(1, k + 1)):
        if max(chosen) < n:
            assert independent.decode({index: shares[index] for index in chosen}, k, n) == body


def test_the_phrase_gives_the_seed() -> None:
    assert independent.seed_of(PHRASE) == seed_of(PHRASE)
