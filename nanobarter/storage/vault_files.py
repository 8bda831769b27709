"""The disk side of the vault: other people's shares as files, whole or not at all.

    home/vault/<lease id, hex>/<root, hex>         a committed share
    home/vault/<lease id, hex>/<root, hex>.part    one that is being written; of no worth after a crash

Names are hex of 32 bytes, so no name from outside reaches the file system. A file gets its final name only after its
bytes are checked and on disk, then the directory is synced (rename is atomic, POSIX 2017; that the directory needs
its own fsync: Pillai et al., "All file systems are not created equal", OSDI 2014). All methods block: call them in a
worker thread.
"""

import errno
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nanobarter.core.durable import sync_entry
from nanobarter.core.errors import LocalFault
from nanobarter.core.ids import Hash, LeaseId
from nanobarter.storage.share import BLOCK_BYTES, Tree, block_count

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PART: Final = ".part"
_ID_BYTES: Final = 32
_FRESH_MAX: Final = 32  # trees of committed shares that wait for their first proof, 100 KiB each


class DiskFull(Exception):
    """The disk has no room for this; nothing of it is left behind."""


@dataclass(frozen=True)
class Shown:
    """A block of a share, and the hashes beside its way to the root."""

    block: bytes
    path: tuple[Hash, ...]


class ShareFiles:
    """The files under one folder, made at need with access for the owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lasting = set[LeaseId]()  # leases whose own folder is known to be on disk
        self._fresh = OrderedDict[tuple[LeaseId, Hash], Tree]()  # committed, and not proven yet
        self._fresh_lock = threading.Lock()  # used from several worker threads

    def free_bytes(self) -> int:
        """Return what the disk could still take."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return shutil.disk_usage(self._folder).free

    def path(self, lease: LeaseId, share: Hash) -> Path:
        """Return where a committed share is."""
        if len(lease) != _ID_BYTES or len(share) != _ID_BYTES:
            raise ValueError("ids have 32 bytes")
        return self._folder / lease.hex() / share.hex()

    def write(self, lease: LeaseId, share: Hash, size: int, offset: int, data: bytes | memoryview) -> None:
        """Write a range of an unfinished share. Raises DiskFull, and LocalFault for other trouble of the disk."""
        part = self._part(lease, share)
        try:
            part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                there = os.fstat(fd).st_size
                if there > size:  # left by a longer one; setting aside never shortens
                    os.ftruncate(fd, size)
                elif there < size:
                    self.reserve(fd, size)  # all of it at once: a full disk is met before the first byte
                _pwrite_all(fd, data, offset)
            finally:
                os.close(fd)
        except OSError as error:
            raise self._given_up(part, error) from error

    def commit(self, lease: LeaseId, share: Hash, size: int) -> bool:
        """Give a written share its final name, durably.

        Returns False, and drops it, when its root or its length is another: what is promised is what was counted.
        """
        part, final = self._part(lease, share), self.path(lease, share)
        try:
            tree = _tree_of(final, share, size)
            if tree is not None:  # an earlier commit got this far
                part.unlink(missing_ok=True)
                self._sync_folders(lease)
            elif (tree := _tree_of(part, share, size)) is not None:
                self._make_last(lease, part, final)
            else:
                self.delete(lease, share)
                return False
        except OSError as error:
            raise self._given_up(part, error) from error
        with self._fresh_lock:
            self._fresh[lease, share] = tree
            if len(self._fresh) > _FRESH_MAX:
                self._fresh.popitem(last=False)
        return True

    def place(self, lease: LeaseId, share: Hash, data: bytes | memoryview, block_index: int) -> Shown | None:
        """Put a whole share on the disk, durably, and show a block of it as it is there.

        Returns None, with nothing written, when its root is another. Raises as ``write``.
        """
        tree = Tree(data)
        if tree.root != share:
            return None
        part, final = self._part(lease, share), self.path(lease, share)
        try:
            part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                self.reserve(fd, len(data))
                _pwrite_all(fd, data, 0)
            finally:
                os.close(fd)
            self._make_last(lease, part, final)
        except OSError as error:
            raise self._given_up(part, error) from error
        block = self.read(lease, share, block_index * BLOCK_BYTES, BLOCK_BYTES)
        if not block or not tree.holds(block_index, block):
            raise LocalFault(f"{self._folder} gave other bytes than it took", hint="check the disk")
        return Shown(block, tree.path(block_index))

    def _make_last(self, lease: LeaseId, part: Path, final: Path) -> None:
        self.sync(part)
        part.replace(final)
        self._sync_folders(lease)

    def _sync_folders(self, lease: LeaseId) -> None:
        self.sync(self.folder(lease))
        if lease not in self._lasting:
            self.sync(self._folder)
            self._lasting.add(lease)

    def prove(self, lease: LeaseId, share: Hash, size: int, block_index: int) -> Shown | None:
        """Return a block as it is on the disk and its path; None when the file is gone or not the share any more.

        A file of another length than the promised ``size`` is none: its proof would speak against this node.

        The whole file is read each time, since only so the path is known to be the disk's; but for the first proof
        after the commit, which has read it a moment ago.
        """
        with self._fresh_lock:
            tree = self._fresh.pop((lease, share), None)
        if tree is not None:
            block = self.read(lease, share, block_index * BLOCK_BYTES, BLOCK_BYTES)
            return Shown(block, tree.path(block_index)) if block and tree.holds(block_index, block) else None
        raw = self.read(lease, share)
        if not raw or len(raw) != size or block_index >= block_count(size):
            return None
        tree = Tree(raw)
        if tree.root != share:  # a disk that rots is a loss; a signed block that is not the share's is a lie
            return None
        return Shown(raw[block_index * BLOCK_BYTES :][:BLOCK_BYTES], tree.path(block_index))

    def read(self, lease: LeaseId, share: Hash, offset: int = 0, length: int = -1) -> bytes | None:
        """Return a range of a committed share, or None when the file is gone."""
        try:
            with self.path(lease, share).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EIO:  # a dead sector is a lost share, not a dead node
                return None
            raise LocalFault(f"the vault cannot read {self._folder}: {error}", hint="check the disk") from error

    def delete(self, lease: LeaseId, share: Hash) -> None:
        """Remove whatever there is of a share. Raises LocalFault when the disk does not let go of it."""
        part = self._part(lease, share)
        try:
            part.unlink(missing_ok=True)
            self.path(lease, share).unlink(missing_ok=True)
        except OSError as error:
            raise self._given_up(part, error) from error

    def names(self) -> dict[LeaseId, set[Hash]]:
        """Return the shares of which there is any file, whole or unfinished, by lease."""
        found = dict[LeaseId, set[Hash]]()
        for folder in _folders(self._folder):
            if (lease := id_of(folder.name)) is not None:
                ids = (id_of(file.name.removesuffix(_PART)) for file in folder.iterdir())
                found[LeaseId(lease)] = {Hash(share) for share in ids if share is not None}
        return found

    def folder(self, lease: LeaseId) -> Path:
        """Return where the shares under a lease are."""
        return self._folder / lease.hex()

    def delete_lease(self, lease: LeaseId) -> None:
        """Remove everything under a lease."""
        self._lasting.discard(lease)
        shutil.rmtree(self._folder / lease.hex(), ignore_errors=True)

    def tidy(
        self, committed: dict[LeaseId, set[Hash]], orphans: Collection[LeaseId] = ()
    ) -> list[tuple[LeaseId, Hash]]:
        """Remove what no committed row names; return the committed shares whose file is gone. For the start.

        The folders of ``orphans`` are left alone: a rebuilt database does not know what they hold.
        """
        for folder in _folders(self._folder):
            lease = id_of(folder.name)
            if lease is None or LeaseId(lease) in orphans:
                continue  # not ours, or not known yet
            keep = committed.get(LeaseId(lease), set())
            for file in folder.iterdir():
                if (share := id_of(file.name)) is None or Hash(share) not in keep:
                    file.unlink()
            if not keep:
                folder.rmdir()
        return [
            (lease, share)
            for lease, shares in committed.items()
            for share in shares
            if not self.path(lease, share).exists()
        ]

    # -- the three calls that a full or failing disk answers; tests stand in for it here

    def reserve(self, fd: int, size: int) -> None:
        """Set the whole file's space aside. Raises OSError with ENOSPC when there is none."""
        os.posix_fallocate(fd, 0, size)

    def sync(self, path: Path) -> None:
        """Return once a file or directory is on disk."""
        sync_entry(path)

    def _part(self, lease: LeaseId, share: Hash) -> Path:
        final = self.path(lease, share)
        return final.with_name(final.name + _PART)

    def _given_up(self, part: Path, error: OSError) -> Exception:
        if error.errno in _FULL:
            part.unlink(missing_ok=True)
            return DiskFull(str(error))
        return LocalFault(f"the vault cannot use {self._folder}: {error}", hint="check the disk and the folder's owner")


def _pwrite_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _tree_of(file: Path, share: Hash, size: int) -> Tree | None:
    """Return the tree over a file that is this share with this length."""
    try:
        raw = file.read_bytes() if file.stat().st_size == size else b""
    except FileNotFoundError:
        return None
    tree = Tree(raw) if raw else None
    return tree if tree is not None and tree.root == share else None


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())


def id_of(name: str) -> bytes | None:
    """Return the id that a file or folder of the vault is named after; None for any other name."""
    try:
        data = bytes.fromhex(name)
    except ValueError:
        return None
    return data if len(data) == _ID_BYTES and data.hex() == name else None
