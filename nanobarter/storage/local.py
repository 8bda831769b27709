"""Packs on this machine: in memory, and as files in a folder. For drills, tools and tests; they pass the same tests."""

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from nanobarter.core.durable import sync_entry
from nanobarter.core.errors import LocalFault
from nanobarter.core.ids import PackId
from nanobarter.storage.ports import Pack, PackMissing


@dataclass
class MemoryPacks:
    """Keeps packs until the process ends. A PackSink and a PackSource."""

    packs: dict[PackId, Pack] = field(default_factory=dict[PackId, Pack])

    async def put(self, pack: Pack) -> None:
        """Keep a pack."""
        await trio.lowlevel.checkpoint()
        self.packs[pack.pack_id] = pack

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body of a pack."""
        await trio.lowlevel.checkpoint()
        if pack_id not in self.packs:
            raise PackMissing(pack_id)
        return self.packs[pack_id].body

    async def stocked(self) -> Collection[PackId]:
        """Return the packs that are kept."""
        await trio.lowlevel.checkpoint()
        return set(self.packs)

    async def remove(self, pack_id: PackId) -> None:
        """Drop a pack."""
        await trio.lowlevel.checkpoint()
        self.packs.pop(pack_id, None)


@dataclass
class DirectoryPacks:
    """Keeps each pack's body as a file named by its id. A PackSink and a PackSource."""

    folder: Path

    async def put(self, pack: Pack) -> None:
        """Keep a pack: on the disk, file and name, when this returns."""
        await trio.to_thread.run_sync(self._write, pack)

    async def get(self, pack_id: PackId) -> bytes:
        """Return the body of a pack."""
        try:
            return await trio.to_thread.run_sync(self._path(pack_id).read_bytes)
        except FileNotFoundError:
            raise PackMissing(pack_id) from None
        except OSError as error:
            raise PackMissing(pack_id, str(error)) from None

    async def stocked(self) -> Collection[PackId]:
        """Return the packs that are kept."""

        def names() -> set[PackId]:
            return {PackId(bytes.fromhex(path.name)) for path in self.folder.glob("*") if not path.suffix}

        return await trio.to_thread.run_sync(names)

    async def remove(self, pack_id: PackId) -> None:
        """Drop a pack."""
        await trio.to_thread.run_sync(lambda: self._path(pack_id).unlink(missing_ok=True))

    def _path(self, pack_id: PackId) -> Path:
        return self.folder / pack_id.hex()

    def _write(self, pack: Pack) -> None:
        path = self._path(pack.pack_id)
        if path.exists():
            return
        made = path.with_suffix(f".{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with made.open("wb") as file:
                file.write(pack.body)
                file.flush()
                os.fsync(file.fileno())
            made.rename(path)
            sync_entry(self.folder)
        except OSError as error:
            with suppress(OSError):
                made.unlink(missing_ok=True)
            raise LocalFault(f"{path} cannot be written: {error.strerror}", hint="free some space") from None
