"""``python -m tests.daemon.damage --runs 500 --seed 1``: what a disk may do to a home, and what must hold afterwards.

Each run harms the database of a home with a past, closed or killed, in one of six ways at a random place, and rebuilds
it. Where nothing is named nothing may be missing; else the mint's books add up, no note is honoured twice, every share
of others is served or waits for its owner, and the damaged file is still there.
"""

import argparse
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest.mock import patch

import trio

from nanobarter.core.damage import problem_of
from nanobarter.core.errors import Reason, UsageError
from nanobarter.core.ids import LeaseId
from nanobarter.core.soundness import wal_path
from nanobarter.core.store import Store
from nanobarter.core.units import MIB, Instant
from nanobarter.daemon import rebuild as rebuilding
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.home import Home
from nanobarter.daemon.rebuild_state import rebuilt
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.mint import rows as mint_rows
from nanobarter.mint.answer_messages import Contract, Leased, LockAnswer, Minted, Refusal
from nanobarter.mint.audit import audit
from nanobarter.storage import vault_rows
from nanobarter.storage.vault_access import lease_of
from tests.mint.purse import NODE, START, Bench, Held, Purse, key_of, stored_keys

PAGE: Final = 4096
SHARES: Final = 3
CONFIG: Final = Config(offer=Offer(space="270MiB", kinds=("30d", "7d 15MiB")))
NOW: Final = Instant(START + 1000)
INDEX: Final = ("storage_packs", "storage_chunks", "storage_snapshots", "storage_placed_packs")


@dataclass(frozen=True)
class Original:
    """A home with a past, closed or as its process left it when it was killed."""

    home: Path
    leases: tuple[Contract, ...]
    spent: Held
    unspent: Held
    index: list[object]

    @property
    def files(self) -> set[str]:
        return {str(path.relative_to(self.home)) for path in (self.home / "vault").rglob("*")}

    def copied(self, to: Path) -> Home:
        shutil.copytree(self.home, to)
        home = Home(to)
        home.write_mark(1)
        return home


async def live(path: Path, keys: list[bytes]) -> tuple[tuple[Contract, ...], Held, Held]:
    """Let a mint issue, spend, lease and lock."""
    bench = Bench(path, keys)
    async with bench.open() as mint:
        peer = Purse(bench)
        for number in range(12):
            assert isinstance(await peer.redeem(await peer.issue(2), key_of(f"holder {number}")), Leased)
        assert isinstance(await peer.lock(peer.terms("ring", 16)), LockAnswer)
        (spent, unspent) = await peer.issue(8, 4)
        assert isinstance(await peer.swap([spent], 4, 4), Minted)
        return tuple(mint.leases()), spent, unspent


def furnish(home: Home, leases: tuple[Contract, ...]) -> None:
    """Put shares into the vault and an index of own backups into the catalog."""

    def change(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO mint_memory VALUES (1, 1)")
        for contract in leases:
            folder = home.vault_path / contract.lease_id.hex()
            folder.mkdir()
            for number in range(SHARES):
                name = bytes([number]) * 32
                (folder / name.hex()).write_bytes(bytes(1000))
                vault_rows.allocate(db, lease_of(contract), name, 1000, START)  # pyright: ignore[reportArgumentType]
                vault_rows.commit(db, contract.lease_id, name)  # pyright: ignore[reportArgumentType]
        for number in range(300):
            pack = number.to_bytes(32, "big")
            db.execute("INSERT INTO storage_packs VALUES (?, ?, 'data', 65536, 2, 5)", (number, pack))
            db.execute("INSERT INTO storage_chunks VALUES (?, ?, 1000)", (pack, number))
            db.execute("INSERT INTO storage_placed_packs VALUES (?, 'data', 2, 5, 65536, 0, 0)", (pack,))

    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    store.write_now(change)
    store.close()


def index_of(path: Path) -> list[object]:
    store = Store.open(path, ALL_TABLES)
    try:
        return [store.read_now(lambda db, sql=f"SELECT * FROM {t}": db.execute(sql).fetchall()) for t in INDEX]  # noqa: S608 - our tables
    finally:
        store.close()


def make_originals(folder: Path, keys: list[bytes]) -> dict[bool, Original]:
    """Return a home as it is closed, and as it is left by a kill, by whether it was killed."""
    home = Home.create(folder / "home", b"s" * 64, "")
    leases, spent, unspent = trio.run(live, home.state_path, keys)
    furnish(home, leases)
    shutil.copytree(home.path, folder / "closed")
    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    for number in range(5):
        store.write_now(lambda db, n=number: db.execute("INSERT INTO net_friends VALUES (?, 0)", (bytes([n]) * 32,)))
    shutil.copytree(home.path, folder / "killed")
    store.close()
    index = index_of(home.state_path)
    return {
        killed: Original(folder / ("killed" if killed else "closed"), leases, spent, unspent, index)
        for killed in (False, True)
    }


def rebuild(home: Home) -> rebuilding.Rebuild:
    """Rebuild a home whose mint signed under the key of the bench."""
    with patch.object(rebuilding, "identity_of", return_value=NODE):
        return rebuilding.rebuild(home, CONFIG, NOW)


@dataclass(frozen=True)
class Harm:
    """What the disk did."""

    how: str
    place: float
    seed: int

    def do(self, home: Home) -> None:
        path = home.state_path
        wal = wal_path(path)
        raw = bytearray(path.read_bytes())
        at = int(self.place * len(raw))
        page = at // PAGE * PAGE
        match self.how:
            case "flip":
                raw[at] ^= self.seed
            case "zeros":
                raw[page : page + PAGE] = bytes(PAGE)
            case "garbage":
                raw[page : page + PAGE] = bytes(i * self.seed % 251 for i in range(PAGE))
            case "cut":
                del raw[at:]
            case "gone":
                path.unlink()
                wal.unlink(missing_ok=True)
                return
            case _:  # the log
                if wal.exists():
                    log = bytearray(wal.read_bytes())
                    log[int(self.place * len(log))] ^= self.seed
                    wal.write_bytes(log)
                    if self.seed % 2:
                        wal.unlink()
                return
        path.write_bytes(raw)


HARMS: Final = ("flip", "zeros", "garbage", "cut", "gone", "log")


def run(originals: dict[bool, Original], keys: list[bytes], seed: int) -> str:
    """Do what a seed says and check what must hold; return in a word how it went."""
    dice = random.Random(seed)
    was_killed = dice.random() < 0.5
    original = originals[was_killed]
    harm = Harm(HARMS[seed % len(HARMS)], dice.random(), dice.randrange(1, 256))
    home = original.copied(original.home.with_name(f"try{seed}"))
    harm.do(home)
    damaged = home.state_path.read_bytes() if home.state_path.exists() else None
    try:
        done = rebuild(home)
    except UsageError:
        same_as_before(home, original, index=harm.how != "flip" or not was_killed)
        return "nothing was seen, and nothing was missing"
    if damaged is not None:
        assert done.aside is not None
        assert done.aside.read_bytes() == damaged  # as it was found, for whoever can still read it
    assert rebuilding.examine(home) == ""
    assert original.files == {str(path.relative_to(home.path)) for path in home.vault_path.rglob("*")}
    store = Store.open(home.state_path, ALL_TABLES, guarded=True)
    try:
        store.read_now(lambda db: promises_hold(db, original))
        state = store.read_now(rebuilt)
    finally:
        store.close()
    assert state is not None
    whole = done.saved.carried is None
    trio.run(notes_are_not_honoured_twice, home.state_path, keys, original, whole)
    shutil.rmtree(home.path)
    return f"the mint {'is whole' if whole else 'begins anew'}, the index is {state.index}"


def same_as_before(home: Home, original: Original, *, index: bool) -> None:
    """Nothing was named, so nothing may be missing or different.

    But for a changed letter of the index in a file that no closing has noted: it is met where its chunk or pack is.
    """
    assert problem_of(home.state_path, thorough=True) == ""
    assert not index or index_of(home.state_path) == original.index
    store = Store.open(home.state_path, ALL_TABLES)
    assert sorted(store.read_now(mint_rows.live_leases), key=lambda c: c.lease_id) == list(original.leases)
    store.close()


def promises_hold(db: sqlite3.Connection, original: Original) -> None:
    assert audit(db) == []
    known = {contract.lease_id: contract for contract in original.leases}
    for contract in mint_rows.live_leases(db):
        assert known[contract.lease_id] == contract
    assert vault_rows.check(db) == []
    waiting = {LeaseId(row[0]) for row in db.execute("SELECT lease_id FROM storage_vault_orphans")}
    served = vault_rows.committed(db)
    for lease_id in known:
        assert (lease_id in waiting) != (len(served.get(lease_id, ())) == SHARES)
    assert sum(row[0] for row in db.execute("SELECT leased FROM mint_totals")) * MIB <= 24 * MIB


async def notes_are_not_honoured_twice(path: Path, keys: list[bytes], original: Original, whole: bool) -> None:  # noqa: FBT001
    bench = Bench(path, keys)
    async with bench.open():
        peer = Purse(bench)
        no = await peer.swap([original.spent], 8)
        assert isinstance(no, Refusal)
        assert no.reason in ((Reason.SPENT,) if whole else (Reason.UNKNOWN_KEYSET, Reason.RETIRED_KEYSET))
        again = await peer.swap([original.unspent], 4)
        assert isinstance(again, Minted if whole else Refusal)


def main(arguments: list[str]) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    keys, went = list(stored_keys()), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="nb-damage-") as folder:
        originals = make_originals(Path(folder), keys)
        for seed in range(asked.seed, asked.seed + asked.runs):
            print(f"seed {seed}", end="\r", file=sys.stderr, flush=True)  # noqa: T201 - a campaign tells where it is
            went[run(originals, keys, seed)] += 1
    for how, count in sorted(went.items()):
        print(f"{count:5d}  {how}")  # noqa: T201 - its result
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
