"""Restore: a snapshot back into a folder, content and everything else that was kept.

The tree may come from an enemy and the target may hold links: every file is opened below the target, one name
at a time, without following a link. Each chunk is checked against its id. What cannot be restored is reported
and the rest goes on. Attributes are set from the inside out, since work inside a directory changes its times.
"""

import os
import stat
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import trio

from nanobarter.core.errors import Malformed, Unreachable, UsageError
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.storage.browse import Step, join_path, walk_entry, with_reader
from nanobarter.storage.catalog import Catalog
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.ports import PackMissing, PackSource
from nanobarter.storage.snapshot import Root, Snapshot
from nanobarter.storage.tree import Attributes, Device, Directory, File, LinkGroup, Symlink, unfold

_Parts = tuple[bytes, ...]
_NANO: Final = 1_000_000_000
_HANDLES_MAX: Final = 128  # directories kept open; far below the usual 1024 of a process
_AHEAD: Final = 8  # chunks of a large file whose packs are asked for before their turn
_TICK_FILES: Final = 64
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TROUBLES = (OSError, OverflowError, Malformed, PackMissing, Unreachable)


@dataclass(frozen=True)
class Lost:
    """A path that is not back as it was, and why."""

    path: bytes
    detail: str


@dataclass(frozen=True)
class Restored:
    """What a restore did. ``lost`` is empty when everything asked for is back."""

    files: int
    directories: int
    written_bytes: int
    lost: tuple[Lost, ...]


@dataclass
class _Places:
    """Handles of directories below the target, opened name by name without following links."""

    top: int
    held: OrderedDict[_Parts, int] = field(default_factory=OrderedDict[_Parts, int])

    def handle(self, parts: _Parts) -> int:
        """Return the handle of a directory; valid until the next call."""
        if not parts:
            return self.top
        if parts in self.held:
            self.held.move_to_end(parts)
            return self.held[parts]
        depth = next(depth for depth in range(len(parts) - 1, -1, -1) if not depth or parts[:depth] in self.held)
        at = self.handle(parts[:depth])
        for end in range(depth + 1, len(parts) + 1):
            at = os.open(parts[end - 1], _OPEN_DIRECTORY, dir_fd=at)
            self.held[parts[:end]] = at
            if len(self.held) > _HANDLES_MAX:
                os.close(self.held.popitem(last=False)[1])
        return at

    def close(self) -> None:
        """Close all but the top."""
        while self.held:
            os.close(self.held.popitem()[1])


@dataclass
class _Restorer:
    reader: ChunkReader
    places: _Places
    overwrite: bool
    limits: Limits
    tick: Callable[[int, int], None]
    path_of: Callable[[_Parts], bytes]
    links: dict[tuple[int, int], _Parts] = field(default_factory=dict[tuple[int, int], _Parts])
    lost: list[Lost] = field(default_factory=list[Lost])
    files: int = 0
    directories: int = 0
    written: int = 0

    def run(self, steps: Iterator[Step]) -> None:
        """Take the steps in order, looking ahead for the packs that will be needed."""
        ahead = deque[Step]()
        exhausted = False
        while ahead or not exhausted:
            while not exhausted and len(ahead) < self.limits.storage_lookahead_max:
                step = next(steps, None)
                if step is None:
                    exhausted = True
                    break
                self._expect(step)
                ahead.append(step)
            if ahead:
                self._take(ahead.popleft())

    def _expect(self, step: Step) -> None:
        if step.kind == "entry" and isinstance(step.entry, File) and step.entry.content.ids:
            content = step.entry.content
            if content.depth == 0:
                self.reader.expect(content.ids[0])

    def _take(self, step: Step) -> None:
        try:
            if step.kind == "lost":
                self._lose(step.parts, step.detail)
            elif step.kind == "leave":
                self._leave(step)
            elif isinstance(step.entry, Directory):
                self._enter(step.parts)
            else:
                self._leaf(step.parts, step.entry)
        except _TROUBLES as error:
            self._lose(step.parts, _text(error))

    def _lose(self, parts: _Parts, detail: str) -> None:
        self.lost.append(Lost(self.path_of(parts), detail))

    def _enter(self, parts: _Parts) -> None:
        self.directories += 1
        if not parts:
            return
        parent = self.places.handle(parts[:-1])
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.lstat(parts[-1], dir_fd=parent)
            if not stat.S_ISDIR(found.st_mode):
                if not self.overwrite:
                    raise
                os.unlink(parts[-1], dir_fd=parent)
                os.mkdir(parts[-1], 0o700, dir_fd=parent)

    def _leave(self, step: Step) -> None:
        handle = self.places.handle(step.parts)
        self._set_attributes(handle, step.parts, step.entry.attributes)

    def _leaf(self, parts: _Parts, entry: File | Symlink | Device) -> None:
        self.files += 1
        if self.files % _TICK_FILES == 0:
            self.tick(self.files, self.written)
        parent, name = self.places.handle(parts[:-1]), parts[-1]
        if self._linked(parts, entry.link):
            return
        if isinstance(entry, File):
            self._file(parts, entry)
        else:
            self._clear(parent, name)
            if isinstance(entry, Symlink):
                os.symlink(entry.target, name, dir_fd=parent)
            else:
                kind = stat.S_IFBLK if entry.kind == "block" else stat.S_IFCHR
                os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)
            self._set_special(parent, parts, entry)
        if entry.link is not None:
            self.links[entry.link] = parts

    def _linked(self, parts: _Parts, link: LinkGroup) -> bool:
        """Make a further name of a file that is restored already; tells whether it did."""
        if link is None or link not in self.links:
            return False
        first = self.links[link]
        # The second look-up may close the first handle, so the first is doubled.
        source = os.dup(self.places.handle(first[:-1]))
        try:
            parent = self.places.handle(parts[:-1])
            self._clear(parent, parts[-1])
            os.link(first[-1], parts[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)
        return True

    def _clear(self, parent: int, name: bytes) -> None:
        if self.overwrite:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)

    def _file(self, parts: _Parts, entry: File) -> None:
        parent, name = self.places.handle(parts[:-1]), parts[-1]
        # Over an existing file, the new one takes its place only when it is whole.
        made = b".nanobarter-restore" if self.overwrite else name
        if self.overwrite:
            self._clear(parent, made)
        handle = os.open(made, _CREATE, 0o600, dir_fd=parent)
        try:
            try:
                self._fill(handle, entry)
                self._set_attributes(handle, parts, entry.attributes)
            finally:
                os.close(handle)
            if self.overwrite:
                os.rename(made, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(OSError):
                os.unlink(made, dir_fd=parent)
            raise

    def _fill(self, handle: int, entry: File) -> None:
        data = self._data(entry)
        holes, at = deque(entry.holes), 0
        for piece in data:
            rest = memoryview(piece)
            while rest:
                while holes and holes[0][0] == at:
                    at += holes.popleft()[1]
                space = (holes[0][0] if holes else entry.size) - at
                if space <= 0:
                    raise Malformed("the content is longer than the file")
                done = os.pwrite(handle, rest[:space], at)
                at += done
                rest = rest[done:]
                self.written += done
        while holes and holes[0][0] == at:
            at += holes.popleft()[1]
        if at != entry.size:
            raise Malformed(f"the content ends at {at} of {entry.size} bytes")
        os.ftruncate(handle, entry.size)

    def _data(self, entry: File) -> Iterator[bytes]:
        ids = unfold(entry.content, self.reader.meta)
        coming = deque(islice(ids, _AHEAD))
        while coming:
            chunk_id = coming.popleft()
            following = next(ids, None)
            if following is not None:
                self.reader.expect(following)
                coming.append(following)
            yield self.reader.data(chunk_id)

    def _set_attributes(self, handle: int, parts: _Parts, attributes: Attributes) -> None:
        """Set what an open file or directory has: the owner first, since that clears other bits; times last."""
        mode = attributes.mode
        if os.geteuid() == 0:
            os.fchown(handle, attributes.uid, attributes.gid)
        elif attributes.uid != os.geteuid():
            mode &= ~_SET_ID  # a program that ran as somebody else must not now run as us
        os.fchmod(handle, mode)
        for name, value in attributes.xattrs:
            try:
                os.setxattr(handle, name, value)
            except OSError as error:
                self._lose(parts, f"attribute {os.fsdecode(name)}: {_text(error)}")
        os.utime(handle, ns=_times(attributes))

    def _set_special(self, parent: int, parts: _Parts, entry: Symlink | Device) -> None:
        name, attributes = parts[-1], entry.attributes
        if os.geteuid() == 0:
            os.chown(name, attributes.uid, attributes.gid, dir_fd=parent, follow_symlinks=False)
        if isinstance(entry, Device):
            os.chmod(name, attributes.mode, dir_fd=parent)
        for key, value in attributes.xattrs:
            path = f"/proc/self/fd/{parent}/".encode() + name  # setxattr takes no handle of a directory
            try:
                os.setxattr(path, key, value, follow_symlinks=False)
            except OSError as error:
                self._lose(parts, f"attribute {os.fsdecode(key)}: {_text(error)}")
        os.utime(name, ns=_times(attributes), dir_fd=parent, follow_symlinks=False)


def _times(attributes: Attributes) -> tuple[int, int]:
    time = attributes.mtime_s * _NANO + attributes.mtime_ns
    return (time, time)


def _text(error: BaseException) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


async def restore(  # noqa: PLR0913 - the ports, by name
    snapshot: Snapshot,
    target: Path,
    *,
    keys: VaultKeys,
    catalog: Catalog,
    source: PackSource,
    overwrite: bool = False,
    paths: Sequence[bytes] = (),
    limits: Limits = LIMITS,
    progress: Callable[[int, int], None] | None = None,
) -> Restored:
    """Bring a snapshot, or some absolute paths of it, back into the folder ``target``.

    A snapshot of one folder becomes the target itself; of several, or of a file, they appear below it by their
    paths or name. ``progress`` gets (files, bytes) in the event loop's thread and must not wait. Raises
    UsageError, with nothing written, when the target holds anything and ``overwrite`` is not given, or when a
    path is not in the snapshot.
    """
    _prepare(target, overwrite=overwrite)
    roots = _chosen(snapshot, paths)

    def tick(files: int, written: int) -> None:
        trio.from_thread.check_cancelled()
        if progress is not None:
            trio.from_thread.run_sync(progress, files, written)

    def work(reader: ChunkReader) -> Restored:
        done = list[_Restorer]()
        for root in roots:
            base = _base_of(snapshot, root)
            done.append(_restore_root(root, base, target, reader, overwrite, paths, limits, tick))
        if paths and not any(one.files + one.directories for one in done):
            raise UsageError("none of the paths is in the snapshot", hint="look for them with nbctl ls")
        return Restored(
            sum(one.files for one in done),
            sum(one.directories for one in done),
            sum(one.written for one in done),
            tuple(lost for one in done for lost in one.lost),
        )

    return await with_reader(keys, catalog, source, limits, work)


def _prepare(target: Path, *, overwrite: bool) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        if not overwrite and any(target.iterdir()):
            raise UsageError(f"{target} is not empty", hint="choose a new folder, or say --overwrite")
    except OSError as error:
        raise UsageError(f"{target} cannot be used: {error.strerror}", hint="choose another folder") from None


def _chosen(snapshot: Snapshot, paths: Sequence[bytes]) -> list[Root]:
    return [root for root in snapshot.roots if not paths or any(_meets(root.path, path) for path in paths)]


def _meets(one: bytes, other: bytes) -> bool:
    """Tell whether one path is the other, or above or below it."""
    first, second = one.rstrip(b"/") + b"/", other.rstrip(b"/") + b"/"
    return first.startswith(second) or second.startswith(first)


def _base_of(snapshot: Snapshot, root: Root) -> _Parts:
    """Return where below the target a root goes."""
    if len(snapshot.roots) > 1:
        return tuple(part for part in root.path.split(b"/") if part not in (b"", b".", b".."))
    return () if isinstance(root.entry, Directory) else (root.entry.name,)


def _restore_root(
    root: Root,
    base: _Parts,
    target: Path,
    reader: ChunkReader,
    overwrite: bool,  # noqa: FBT001 - one call site
    paths: Sequence[bytes],
    limits: Limits,
    tick: Callable[[int, int], None],
) -> _Restorer:
    top = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    places = _Places(top)
    restorer = _Restorer(
        reader, places, overwrite, limits, tick, lambda parts: join_path(root.path, parts[len(base) :])
    )

    def keep(parts: _Parts) -> bool:
        return not paths or any(_meets(join_path(root.path, parts), path) for path in paths)

    try:
        for depth in range(1, len(base) + isinstance(root.entry, Directory)):
            with suppress(FileExistsError):
                os.mkdir(base[depth - 1], 0o700, dir_fd=places.handle(base[: depth - 1]))
        restorer.run(_moved(walk_entry(root.entry, reader.meta, keep), base))
    finally:
        places.close()
        os.close(top)
    return restorer


def _moved(steps: Iterator[Step], base: _Parts) -> Iterator[Step]:
    return (Step(step.kind, base + step.parts, step.entry, step.detail) for step in steps)
