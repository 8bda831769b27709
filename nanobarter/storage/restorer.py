"""The restorer: takes the steps of a walk through a snapshot and does each below the target.

Work inside a directory changes its times, so attributes are set from the inside out. A file gets its name only when
it is whole. What cannot be restored is noted, and the rest goes on.
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.errors import Malformed, Unreachable
from nanobarter.core.limits import Limits
from nanobarter.storage.attributes import set_attributes, set_special, text_of
from nanobarter.storage.browse import Step
from nanobarter.storage.fetch import ChunkReader
from nanobarter.storage.filling import Filler
from nanobarter.storage.places import Parts, Places
from nanobarter.storage.ports import PackMissing, may_come
from nanobarter.storage.renaming import rename_new
from nanobarter.storage.resume import part_name
from nanobarter.storage.tree import Device, Directory, File, LinkGroup, Symlink

_TICK_FILES: Final = 64
_OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PART_NAMES_MAX: Final = 16  # unfinished files of others under the very names that we want: one would be a wonder
_HOPELESS: Final = (OSError, OverflowError, Malformed)
_TROUBLES: Final = (*_HOPELESS, PackMissing, Unreachable)


@dataclass(frozen=True)
class Lost:
    """A path that is not back as it was, and why. ``away``: its content may be had later."""

    path: bytes
    detail: str
    away: bool = False


@dataclass
class Restorer:
    """One root on its way back. ``resumed``: an earlier attempt may have left some of it here."""

    reader: ChunkReader
    places: Places
    overwrite: bool
    resumed: bool
    digest: str
    limits: Limits
    tick: Callable[[int, int], None]
    path_of: Callable[[Parts], bytes]
    finish: Callable[[], None]
    """Called before the target itself gets its attributes, if it does, when nothing is away."""
    links: dict[tuple[int, int], Parts] = field(default_factory=dict[tuple[int, int], Parts])
    lost: list[Lost] = field(default_factory=list[Lost])
    files: int = 0
    kept_files: int = 0
    directories: int = 0

    def __post_init__(self) -> None:
        self.filler = Filler(self.reader)

    @property
    def away(self) -> bool:
        """Whether something may be had later."""
        return any(one.away for one in self.lost)

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
        # What is there already needs no pack; what is not is asked for at its turn.
        if step.kind == "entry" and isinstance(step.entry, File) and step.entry.content.ids and not self.resumed:
            content = step.entry.content
            if content.depth == 0:
                self.reader.expect(content.ids[0])

    def _take(self, step: Step) -> None:
        try:
            if step.kind == "lost":
                self.lost.append(Lost(self.path_of(step.parts), step.detail, step.away))
            elif step.kind == "leave":
                self._leave(step)
            elif isinstance(step.entry, Directory):
                self.directories += 1
                if step.parts:
                    self.places.make(step.parts, replace=self.overwrite)
            else:
                self._leaf(step.parts, step.entry)
        except _TROUBLES as error:
            self.lost.append(Lost(self.path_of(step.parts), _told(error), may_come(error)))

    def _missed(self, parts: Parts, missed: list[str]) -> None:
        self.lost += [Lost(self.path_of(parts), detail) for detail in missed]

    def _leave(self, step: Step) -> None:
        if not step.parts and not self.away:
            self.finish()
        handle = self.places.handle(step.parts)
        self._missed(step.parts, set_attributes(handle, step.entry.attributes))

    def _leaf(self, parts: Parts, entry: File | Symlink | Device) -> None:
        self.files += 1
        if self.files % _TICK_FILES == 0:
            self.tick(self.files, self.filler.fetched + self.filler.kept)
        if self._linked(parts, entry.link):
            return
        if isinstance(entry, File):
            self._file(parts, entry)
        else:
            self._special(parts, entry)
        if entry.link is not None:
            self.links[entry.link] = parts

    def _linked(self, parts: Parts, link: LinkGroup) -> bool:
        """Make a further name of a file that is restored already; tells whether it did."""
        if link is None or link not in self.links:
            return False
        first = self.links[link]
        # The second look-up may close the first handle, so the first is doubled.
        source = os.dup(self.places.handle(first[:-1]))
        try:
            parent = self.places.handle(parts[:-1])
            self._drop_part(parent, parts[-1])
            if self.resumed and _is_same_file(source, first[-1], parent, parts[-1]):
                self.kept_files += 1
                return True
            self._clear(parent, parts[-1])
            os.link(first[-1], parts[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)
        return True

    def _drop_part(self, parent: int, name: bytes) -> None:
        """Remove what an earlier attempt left of a file that comes back another way."""
        if self.resumed:
            with suppress(FileNotFoundError):
                os.unlink(part_name(self.digest, name), dir_fd=parent)

    def _clear(self, parent: int, name: bytes) -> None:
        if self.overwrite:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)

    def _special(self, parts: Parts, entry: Symlink | Device) -> None:
        parent, name = self.places.handle(parts[:-1]), parts[-1]
        if self.resumed and _is_such(parent, name, entry):
            self.kept_files += 1
        else:
            self._clear(parent, name)
            if isinstance(entry, Symlink):
                os.symlink(entry.target, name, dir_fd=parent)
            else:
                kind = stat.S_IFBLK if entry.kind == "block" else stat.S_IFCHR
                os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)
        self._missed(parts, set_special(parent, name, entry))

    def _file(self, parts: Parts, entry: File) -> None:
        parent, name = self.places.handle(parts[:-1]), parts[-1]
        if (self.resumed or self.overwrite) and self._is_back(parent, parts, entry):
            self._drop_part(parent, name)
            return
        handle, made, begun = self._open_part(parent, name)
        try:
            try:
                self.filler.fill(handle, entry, begun=begun)
                self._missed(parts, set_attributes(handle, entry.attributes))
            finally:
                os.close(handle)
            if self.overwrite:
                os.rename(made, name, src_dir_fd=parent, dst_dir_fd=parent)
            else:
                rename_new(made, name, parent)
        except _TROUBLES as error:
            if not may_come(error):  # else what is here of it is worth a resumed restore
                with suppress(OSError):
                    os.unlink(made, dir_fd=parent)
            raise

    def _open_part(self, parent: int, name: bytes) -> tuple[int, bytes, bool]:
        """Return a handle of an unfinished file, its name, and whether an earlier attempt began it.

        A file that is there under such a name is ours only if this restore was begun before; another is not touched.
        """
        for other in range(_PART_NAMES_MAX):
            made = part_name(self.digest, name, other)
            with suppress(FileExistsError):
                return os.open(made, _CREATE, 0o600, dir_fd=parent), made, False
            if self.resumed and not other:
                with suppress(OSError):
                    handle = os.open(made, _OPEN, dir_fd=parent)
                    if _is_plain(os.fstat(handle)):
                        return handle, made, True
                    os.close(handle)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _is_back(self, parent: int, parts: Parts, entry: File) -> bool:
        """Tell whether a file is there as it was. Raises FileExistsError for another that must not be replaced."""
        try:
            found = os.lstat(parts[-1], dir_fd=parent)
        except FileNotFoundError:
            return False
        # A further name elsewhere must not get what belongs to this one, unless both came from here.
        alone = found.st_nlink == 1 or (self.resumed and entry.link is not None)
        if stat.S_ISREG(found.st_mode) and found.st_size == entry.size and alone:
            with suppress(PermissionError):  # one that we may not read is not known to be right
                handle = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
                try:
                    if self.filler.holds(handle, entry):
                        self._missed(parts, set_attributes(handle, entry.attributes))
                        self.kept_files += 1
                        return True
                finally:
                    os.close(handle)
        if not self.overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        return False


def _told(error: BaseException) -> str:
    if isinstance(error, FileExistsError):
        return "another file is there; --overwrite replaces it"
    return text_of(error)


def _is_plain(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _is_same_file(source: int, first: bytes, parent: int, name: bytes) -> bool:
    try:
        one, other = os.lstat(first, dir_fd=source), os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _is_such(parent: int, name: bytes, entry: Symlink | Device) -> bool:
    """Tell whether a link or device is there just so."""
    try:
        found = os.lstat(name, dir_fd=parent)
        if isinstance(entry, Symlink):
            return stat.S_ISLNK(found.st_mode) and os.readlink(name, dir_fd=parent) == entry.target
    except FileNotFoundError:
        return False
    kind = stat.S_ISBLK if entry.kind == "block" else stat.S_ISCHR
    return kind(found.st_mode) and found.st_rdev == os.makedev(entry.major, entry.minor)
