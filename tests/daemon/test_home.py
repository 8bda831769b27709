"""At stake: two daemons on one home would spend the same notes twice; a readable seed gives everything away."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.daemon.home import SOCKET_PATH_BYTES_MAX, Home

SEED = bytes(range(64))
HOLDER = """
import sys, os
from pathlib import Path
from nanobarter.daemon.home import Home
with Home(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", SEED, "")


def test_the_home_is_the_owners_alone(home: Home) -> None:
    assert Home.open(home.path).read_seed() == SEED
    for path in (home.path, *home.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_used_folder_is_never_taken(home: Home) -> None:
    before = home.seed_path.read_bytes()
    with pytest.raises(UsageError, match="is not empty"):
        Home.create(home.path, bytes(64), "")
    assert home.seed_path.read_bytes() == before


def test_a_folder_without_seed_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a nanobarter home"):
        Home.open(tmp_path)


def test_a_seed_that_others_may_read_is_refused(home: Home) -> None:
    home.seed_path.chmod(0o640)
    with pytest.raises(UsageError, match=r"can be read by others \(mode 0640\)") as caught:
        home.read_seed()
    assert caught.value.hint == f"chmod 600 {home.seed_path}"


@pytest.mark.parametrize("text", ["", "zz", SEED.hex()[:-2], "\xff"])
def test_a_damaged_seed_is_a_fault_of_this_machine(home: Home, text: str) -> None:
    home.seed_path.write_text(text)
    with pytest.raises(LocalFault, match="is damaged"):
        home.read_seed()


def test_a_second_daemon_is_refused_by_pid_and_a_dead_one_leaves_the_home_free(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert home.running_pid() == other.pid
        with pytest.raises(UsageError, match=rf"another daemon \(pid {other.pid}\) already serves"), home.locked():
            pass
        other.kill()
    assert home.running_pid() is None
    with home.locked():
        assert home.running_pid() == os.getpid()
    assert home.running_pid() is None


def test_a_home_too_deep_for_a_socket_has_it_elsewhere_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Path("/tmp") / f"nbt-{os.getpid()}"  # noqa: S108 - tmp_path is too long for a socket, which is the point
    runtime.mkdir(mode=0o700)
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        home = Home.create(tmp_path / ("d" * 120), SEED, "")
        place = home.place_socket()
        assert len(os.fsencode(place)) <= SOCKET_PATH_BYTES_MAX
        assert place.parent == runtime / "nanobarter"
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert home.find_socket() == place
    finally:
        (runtime / "nanobarter").rmdir()
        runtime.rmdir()


def test_a_runtime_folder_of_anothers_making_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nanobarter").mkdir(mode=0o777)
    (tmp_path / "nanobarter").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    home = Home.create(tmp_path / ("d" * 120), SEED, "")
    with pytest.raises(LocalFault, match="is not a private folder of ours"):
        home.place_socket()
