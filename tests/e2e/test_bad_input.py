"""At stake: a mistake costs one clear message and nothing else; the home still starts when it is put right."""

import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from nanobarter.cli.demo_nodes import free_address
from nanobarter.cli.exits import Exit
from nanobarter.core.phrase import make_phrase
from nanobarter.core.system import SeededEntropy, SystemEntropy
from tests.e2e.village import Machine, Village, daemon, finish, nbctl, start, village

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made() -> Generator[Village]:
    with village() as here:
        yield here


@pytest.fixture
def alone(made: Village) -> Generator[Machine]:
    """A home whose daemon does not run, put right again by the test that broke it."""
    if not made.machines:
        folder = made.folder / "folder"
        folder.mkdir()
        (folder / "file").write_text("something\n")
        made.init("alone", folder)
    machine = made.machines[0]
    machine.kill()
    yield machine
    machine.kill()


def still_fine(machine: Machine) -> None:
    """Check that nothing was damaged: the daemon starts, answers, and stops."""
    machine.up()
    assert machine.ok("mint", "audit")["ok"]
    assert machine.nbctl("down").code == Exit.DONE


def test_no_home(made: Village) -> None:
    for command in (("up",), ("status",), ("backup",), ("down",)):
        nbctl("--home", str(made.folder / "none"), *command).refused(
            Exit.USAGE, "is not a nanobarter home", "nbctl init"
        )
    assert not (made.folder / "none").exists()


def test_no_daemon(alone: Machine) -> None:
    alone.nbctl("status").refused(Exit.NO_DAEMON, "no daemon answers", "nbctl up")
    alone.nbctl("down").refused(Exit.NO_DAEMON, "no daemon serves")


@pytest.mark.parametrize(
    ("was", "is_now", "words"),
    [
        ("space = ", "spase = ", ("[offer] spase", "unknown key", "did you mean space?")),
        ('space = "1GB"', "space = 1000", ("[offer] space = 1000", "a text is wanted", "quotes")),
        ("same_host_ok = true", 'same_host_ok = "yes"', ("[network] same_host_ok", "true or false")),
        ("[offer]", "[offers]", ("[offers]", "not a known section", "[offer]")),
        ('schedule = "off"', 'schedule = "often"', ("[backup] schedule", "every 6h")),
        ('space = "1GB"', 'space = "1MB"', ("[offer] space", "too little space")),
        ("[backup]", "[backup", ("not TOML",)),
    ],
)
def test_a_mistake_in_the_config(alone: Machine, was: str, is_now: str, words: tuple[str, ...]) -> None:
    right = alone.home.config_path.read_text()
    assert was in right
    wrong = right.replace(was, is_now)
    line = next(i for i, (a, b) in enumerate(zip(right.splitlines(), wrong.splitlines(), strict=True), 1) if a != b)
    alone.home.config_path.write_text(wrong)
    try:
        where = f"{alone.home.config_path}:{line}"
        alone.nbctl("up").refused(Exit.USAGE, where, *words)
        daemon(alone.path).refused(Exit.USAGE, where, *words)
    finally:
        alone.home.config_path.write_text(right)
    still_fine(alone)


def test_a_folder_that_is_not_there(made: Village, alone: Machine) -> None:
    missing = made.folder / "missing"
    asked = nbctl("--home", str(made.folder / "other"), "init", f"--folder={missing}", "--yes")
    asked.refused(Exit.USAGE, str(missing), "no such folder")
    assert not (made.folder / "other").exists()
    alone.up()
    alone.nbctl("backup", str(missing)).refused(Exit.USAGE, str(missing), "is not a folder")
    assert alone.nbctl("down").code == Exit.DONE
    folder = made.folder / "folder"
    folder.rename(missing)
    try:
        alone.up()  # others' shares are still served while a disk is away
        alone.nbctl("backup").refused(Exit.USAGE, str(folder), "is not there", "mount its disk")
    finally:
        missing.rename(folder)
    still_fine_after_stop(alone)


def test_a_phrase_that_is_wrong(made: Village, alone: Machine) -> None:
    words = make_phrase(SeededEntropy(1, "phrase")).split()  # of which none is a word of the messages
    mixed = ["zoo"] * 23 + ["abandon"]  # its checksum would want another last word
    cases = {
        " ".join(words[:-1]): "23 words instead of 24",
        " ".join(["plumtree", *words[1:]]): "word 1, 'plumtree', is not in the word list",
        " ".join(mixed): "wrong checksum",
    }
    for text, told in cases.items():
        file = made.folder / "wrong phrase"
        file.write_text(text + "\n")
        target = made.folder / "from a wrong phrase"
        asks = ("--target", str(target), "--phrase-file", str(file), "--bootstrap", alone.address)
        ended = nbctl("restore", *asks)
        ended.refused(Exit.USAGE, told)
        assert text.split()[2] not in ended.err.split()  # a phrase, even a wrong one, is nobody's to read
        assert not target.exists()


def test_a_phrase_that_nobody_knows_and_a_node_that_does_not_answer(made: Village, alone: Machine) -> None:
    file, target = made.folder / "phrase of a stranger", made.folder / "nothing"
    file.write_text(make_phrase(SystemEntropy()) + "\n")
    restore = ("restore", "--target", str(target), "--phrase-file", str(file), "--bootstrap")
    patient = start(*restore, free_address())  # waits for a sleeping disk, while the rest goes on
    alone.up()
    nbctl(*restore, alone.address).refused(Exit.NO_CREDIT, "none of them keeps a backup for this phrase")
    assert alone.nbctl("down").code == Exit.DONE
    nbctl(*restore, "nowhere").refused(Exit.USAGE, "--bootstrap", "is not an address")
    finish(patient).refused(Exit.NO_CREDIT, "none of the named nodes answers")
    assert not target.exists()


def test_a_port_that_is_in_use(alone: Machine) -> None:
    host, port = alone.address.split(":")
    with socket.create_server((host, int(port))):
        for ended in (alone.nbctl("up"), daemon(alone.path)):
            ended.refused(Exit.USAGE, alone.address, "is in use", "choose another port")
    still_fine(alone)


def test_a_second_daemon_on_one_home(alone: Machine) -> None:
    alone.up()
    pid = str(alone.home.running_pid())
    alone.nbctl("up").refused(Exit.USAGE, "already serves", pid)
    daemon(alone.path, "--listen", free_address()).refused(Exit.USAGE, "already serves", pid, "nbctl down")
    assert alone.ask("/v1/status")["pid"] == int(pid)
    still_fine_after_stop(alone)


def still_fine_after_stop(machine: Machine) -> None:
    assert machine.nbctl("down").code == Exit.DONE
    still_fine(machine)


def test_no_peers(alone: Machine) -> None:
    alone.configure(backup={"patience": "1s"})
    alone.up()
    alone.nbctl("backup").refused(Exit.NO_CREDIT, "no peer answers", "bootstrap")
    assert alone.ok("snapshots")["snapshots"] == []
    still_fine_after_stop(alone)


def test_nothing_to_restore(made: Village, alone: Machine) -> None:
    alone.up()
    target = made.folder / "from nothing"
    alone.nbctl("restore", "--target", str(target)).refused(Exit.USAGE, "no snapshot")
    assert not target.exists()
    still_fine_after_stop(alone)


def test_init_with_too_little_space(made: Village) -> None:
    folder = made.folder / "large"
    folder.mkdir()
    with (folder / "file").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 300 * 1024 * 1024)  # holes would cost nothing
    home = made.folder / "small offer"
    asked = nbctl("--home", str(home), "init", f"--folder={folder}", "--space=100MB", "--yes")
    asked.refused(Exit.USAGE, "too little space", "are needed", "--space")
    assert not home.exists()


@pytest.mark.parametrize("damage", ["first page", "later page", "not a database", "cut short"])
def test_a_damaged_database(alone: Machine, damage: str) -> None:
    state = alone.home.state_path
    if not state.exists():
        still_fine(alone)
    whole = state.read_bytes()
    broken = {
        "first page": bytes(100) + whole[100:],
        "later page": whole[:4096] + bytes(range(256)) * (len(whole) // 256 - 16),
        "not a database": b"these are my recipes\n" * 1000,
        "cut short": whole[: len(whole) // 2],
    }[damage]
    state.write_bytes(broken)
    try:
        alone.nbctl("up").refused(Exit.FAILED, str(state), "is damaged", "nbctl rebuild")
        daemon(alone.path).refused(Exit.FAILED, str(state), "is damaged", "nbctl rebuild")
        assert state.read_bytes() == broken  # left as it was found, for whoever can still read it
    finally:
        state.write_bytes(whole)
        for rest in ("state.db-wal", "state.db-shm"):
            Path(alone.path / rest).unlink(missing_ok=True)
    still_fine(alone)


def test_ctrl_c_of_a_command_is_no_bug(alone: Machine) -> None:
    alone.configure(backup={"patience": "10min"})
    alone.up()
    process = start("--home", str(alone.path), "backup")
    assert process.stderr is not None
    assert "measuring" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    finish(process).refused(Exit.INTERRUPTED, "interrupted")
    still_fine_after_stop(alone)
