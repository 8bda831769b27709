"""The home of a node: one folder with everything it may never lose, readable by its owner alone.

Layout: ``config.toml`` (the person's), ``seed`` (the secret from which all keys grow), ``state.db``, ``vault/``
(others' shares), ``spool/``, ``log/``, ``lock`` (the pid of the running daemon), ``api.sock`` or, where that path
is too long for a socket, ``api.path`` with the place of the socket.
Beside the home lies ``.NAME.mark``, a counter that a copy of the home does not carry.

The seed lies in a file of mode 0600, wrapped by a passphrase if the person set one (``seed_file``); without one,
whoever can read this home as its owner or as root has the keys. ``phrase`` has the words under a key of the seed.
"""

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from nanobarter.core.damage import HINT_REBUILD
from nanobarter.core.durable import write_durably
from nanobarter.core.errors import Damaged, LocalFault, UsageError
from nanobarter.core.soundness import sum_path
from nanobarter.daemon.runtime_folder import runtime_folder
from nanobarter.daemon.seed_file import is_wrapped, read_plain, show_plain, unwrap

SOCKET_PATH_BYTES_MAX: Final = 107  # sun_path holds 108 with its final NUL (unix(7))
POLICIES_BYTES_MAX: Final = 256 * 1024  # as long as a config may be
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_LOCK_TRIES: Final = 5  # ``running_pid`` of another process holds the lock for some microseconds
_FOLDERS: Final = ("vault", "spool", "log")


def default_home() -> Path:
    """Return the home where no ``--home`` and no NANOBARTER_HOME names one."""
    import platformdirs  # noqa: PLC0415 - only commands that need a home pay for it

    named = os.environ.get("NANOBARTER_HOME", "")
    return Path(named) if named else Path(platformdirs.user_data_dir("nanobarter"))


@dataclass(frozen=True)
class Home:
    """One home. Make it with ``create``, find it with ``open``; ``unlocked`` where a passphrase guards its seed."""

    path: Path
    seed: bytes | None = field(default=None, repr=False)
    """The seed that a passphrase has opened."""

    @classmethod
    def create(cls, path: Path, seed: bytes, config_text: str) -> "Home":
        """Make a fresh home with its seed and config; the folder may exist if it is empty.

        Raises UsageError when something is there already (nothing is changed), LocalFault when the disk refuses.
        """
        home = cls(path.absolute())
        try:
            if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
                raise UsageError(f"{home.path} is not empty", hint="name another home: --home DIR")
            home.path.mkdir(parents=True, exist_ok=True)
            home.path.chmod(_PRIVATE_FOLDER)
            for name in _FOLDERS:
                (home.path / name).mkdir(mode=_PRIVATE_FOLDER)
            write_durably(home.config_path, config_text.encode())
            home.write_mark(0)
            write_durably(home.seed_path, show_plain(seed))  # last: a home is one that has its seed
        except OSError as error:
            raise LocalFault(
                f"cannot make the home {home.path}: {error.strerror}", hint="check the disk and the folder's owner"
            ) from None
        return home

    @classmethod
    def open(cls, path: Path) -> "Home":
        """Return the home at this path. Raises UsageError when there is none."""
        home = cls(path.absolute())
        if not home.seed_path.exists():
            raise UsageError(f"{home.path} is not a nanobarter home", hint="make one: nbctl init")
        return home

    @property
    def config_path(self) -> Path:
        """The person's settings."""
        return self.path / "config.toml"

    @property
    def seed_path(self) -> Path:
        """The secret of this node."""
        return self.path / "seed"

    @property
    def taken_path(self) -> Path:
        """What is left when another machine has become this node."""
        return self.path / "taken-over"

    @property
    def phrase_path(self) -> Path:
        """The words, under a key of the seed."""
        return self.path / "phrase"

    @property
    def state_path(self) -> Path:
        """The database."""
        return self.path / "state.db"

    @property
    def mark_path(self) -> Path:
        """The counter beside the home, by which a home that was put back from a copy is known."""
        return self.path.with_name(f".{self.path.name}.mark")

    @property
    def vault_path(self) -> Path:
        """The folder of others' shares."""
        return self.path / "vault"

    @property
    def spool_path(self) -> Path:
        """The folder for what is under way."""
        return self.path / "spool"

    @property
    def log_path(self) -> Path:
        """The daemon's log."""
        return self.path / "log" / "nanobarterd.log"

    @property
    def lock_path(self) -> Path:
        """The file that the running daemon holds locked."""
        return self.path / "lock"

    @property
    def needs_passphrase(self) -> bool:
        """Whether a passphrase is needed for the seed."""
        return self.seed is None and is_wrapped(self._seed_text())

    def unlocked(self, passphrase: str) -> "Home":
        """Return this home with its seed at hand. Raises UsageError when the passphrase is wrong."""
        text = self._seed_text()
        return replace(self, seed=unwrap(text, passphrase)) if is_wrapped(text) else self

    def write_seed(self, file: bytes) -> None:
        """Put the seed's file in the place of the one there is: after a crash it is the old or the new, whole."""
        try:
            write_durably(self.seed_path, file)
        except OSError as error:
            raise LocalFault(f"cannot write {self.seed_path}: {error.strerror}", hint="check the disk") from None

    def read_seed(self) -> bytes:
        """Return the secret seed.

        Raises UsageError when others may read it or a passphrase locks it, LocalFault when it is damaged.
        """
        if self.seed is not None:
            return self.seed
        text = self._seed_text()
        if is_wrapped(text):
            raise UsageError("the keys of this home are locked by a passphrase", hint="give it: --passphrase-file FILE")
        try:
            return read_plain(text)
        except ValueError:
            raise LocalFault(
                f"{self.seed_path} is damaged", hint="make a new home and restore into it by the phrase"
            ) from None

    def _seed_text(self) -> str:
        try:
            mode = stat.S_IMODE(self.seed_path.stat().st_mode)
            text = self.seed_path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise LocalFault(f"cannot read {self.seed_path}: {error.strerror}", hint="check its owner") from None
        if mode & 0o077:
            raise UsageError(
                f"{self.seed_path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {self.seed_path}"
            )
        return text

    def read_policies(self) -> bytes:
        """Return config.toml as it is, for the backup; nothing when it cannot be read or is no config by its size."""
        try:
            text = self.config_path.read_bytes()
        except OSError:
            return b""
        return text if len(text) <= POLICIES_BYTES_MAX else b""

    def read_mark(self) -> int | None:
        """Return the counter beside the home; None where there is none."""
        try:
            text = self.mark_path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else None

    def write_mark(self, count: int) -> None:
        """Write the counter beside the home. Where that folder is not ours to write, there is none."""
        with suppress(OSError):
            write_durably(self.mark_path, f"{count}\n".encode())

    def check_not_taken(self) -> None:
        """Raise LocalFault when another machine has become this node."""
        if self.taken_path.exists():
            raise LocalFault(
                f"another machine has taken over the node of {self.path}",
                hint="one phrase is one node: make a home for a new one with nbctl --home DIR init",
            )

    def check_database(self) -> None:
        """Raise Damaged when this node had a database and has none: a fresh one would know of no promise of before."""
        used = sum_path(self.state_path).exists() or self.read_mark() or self._keeps_shares()
        there = self.state_path.exists() and self.state_path.stat().st_size
        if used and not there:
            raise Damaged(f"the database {self.state_path} is gone", hint=HINT_REBUILD)

    def _keeps_shares(self) -> bool:
        return self.vault_path.is_dir() and any(self.vault_path.iterdir())

    def running_pid(self) -> int | None:
        """Return the pid of the daemon that holds this home, None when there is none.

        0 stands for a daemon that has not written its pid yet.
        """
        try:
            descriptor = os.open(self.lock_path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_pid(descriptor)
        finally:
            os.close(descriptor)
        return None

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold this home against any other daemon. Raises UsageError that names the pid of the one that has it.

        The lock is the kernel's (flock): it ends with the process however that dies, so a stale file means nothing.
        """
        descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            if not _lock(descriptor):
                raise UsageError(
                    f"another daemon (pid {_read_pid(descriptor)}) already serves {self.path}",
                    hint="stop it first: nbctl down",
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def place_socket(self) -> Path:
        """Return where the daemon binds its API, and say so in ``api.path`` when it is not ``api.sock`` here.

        Raises LocalFault when no short enough place of our own can be had.
        """
        path, note = self.path / "api.sock", self.path / "api.path"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            note.unlink(missing_ok=True)
            return path
        path = runtime_folder() / (hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16] + ".sock")
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
            raise LocalFault(f"no place for a socket is short enough; tried {path}", hint="use a home near the root")
        write_durably(note, os.fsencode(path) + b"\n")
        return path

    def find_socket(self) -> Path:
        """Return where a client finds the API of this home."""
        try:
            return Path(os.fsdecode((self.path / "api.path").read_bytes().rstrip(b"\n")))
        except OSError:
            return self.path / "api.sock"


def _lock(descriptor: int) -> bool:
    for attempt in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02 if attempt + 1 < _LOCK_TRIES else 0)
        else:
            return True
    return False


def _read_pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
