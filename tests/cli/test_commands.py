"""At stake: what a person reads and what a script decides on: each command's words and exit code."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from nanobarter.cli.exits import Exit
from nanobarter.cli.main import READING, main
from nanobarter.core.errors import LocalFault, Reason, Unreachable
from nanobarter.core.phrase import seed_of
from nanobarter.daemon import facade as f
from nanobarter.daemon.api import refuse
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.home import Home
from tests.cli.speaking import Told, spoken
from tests.daemon.fake_node import FakeNode, serve_fake


@pytest.fixture(autouse=True)
def holes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sparse files stand for large ones."""

    def length(found: os.stat_result) -> int:
        return found.st_size

    monkeypatch.setattr("nanobarter.storage.measuring.stored_bytes", length)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", bytes(64), "")


def alone(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


async def test_every_reading_command_answers_in_words_and_in_json(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    market = [["market", *what] for what in ((), ("show",), ("book",), ("quote",), ("rates",))]
    more = [
        ["report"],
        ["ledger"],
        ["wallet"],
        ["note", "list"],
        ["note", "refresh"],
        ["offer"],
        ["mint", "keysets"],
        ["mint", "status"],
        ["mint", "audit"],
        ["audit"],
    ]
    for words in [[name] for name in READING] + market + more:
        code, out, err = await spoken(FakeNode(), home, capsys, *words)
        assert (code, err) == (Exit.DONE, ""), words
        assert out.strip(), words
        code, out, err = await spoken(FakeNode(), home, capsys, *words, "--json")
        assert (code, err) == (Exit.DONE, ""), words
        assert json.loads(out)["type"], words


async def test_status_reads_at_a_glance(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = await spoken(FakeNode(), home, capsys, "status")
    assert code == Exit.DONE
    assert out.splitlines() == [
        "node      nb1fake",
        "listens   127.0.0.1:1",
        "peers     5 connected, 5 known",
        "space     10.5 MB of 1.0 GB lent, 21.0 MB held at others",
        "market    7 bids heard, 1 agreements",
        "snapshots 1, last 1970-01-01 00:00",
        "health    backed up: every pack is proven at enough peers",
        "          2 packs, any 2 of 5 shares bring one back",
        "          10 of 10 shares proven, oldest proof never",
    ]


@pytest.mark.parametrize("command", ["status", "health", "audit"])
async def test_a_pack_below_its_threshold_is_an_exit_code(
    home: Home, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bad = f.HealthProblem(node="nb1peer", pack="ab", kind="wrong", detail="its proof does not fit")
    health = f.Health(state="below_threshold", packs=2, below_threshold=1, problems=(bad,))
    code, out, _ = await spoken(FakeNode(health_now=health), home, capsys, command)
    assert code == Exit.BELOW_THRESHOLD
    assert "in danger" in out
    assert "wrong: pack ab at nb1peer its proof does not fit" in out


async def test_an_index_on_its_way_is_not_told_as_no_backup(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = await spoken(FakeNode(health_now=f.Health(state="fetching")), home, capsys, "health")
    assert code == Exit.FAILED
    assert "nothing is backed up" not in out
    assert "the index of your backups is being fetched" in out


async def test_silence_is_not_told_as_a_loss(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    silent = f.Health(state="below_threshold", packs=29, below_threshold=29, away=29, k=2, n=5, mixed=True)
    code, out, _ = await spoken(FakeNode(health_now=silent), home, capsys, "health")
    assert code == Exit.BELOW_THRESHOLD
    assert "cannot be brought back" not in out
    assert "29 packs cannot be had now" in out
    assert "any 2 of 5 shares bring most of them back" in out


async def test_a_backup_talks_on_stderr_and_answers_on_stdout(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = await spoken(FakeNode(), home, capsys, "backup")
    assert code == Exit.DONE
    assert out.splitlines()[0] == "snapshot s1: 3 files, 5.0 MB"
    assert err.splitlines() == ["nbctl: scan 1 of 3 files", "nbctl: upload 5.0 MB of 5.0 MB"]


async def test_a_backup_that_missed_files_is_partly_read(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    partial = f.BackupDone(snapshot_id="s2", outcome="partial", unread_count=1, unread=("/f/secret",))
    code, out, _ = await spoken(FakeNode(backup_done=partial), home, capsys, "backup", "--wait")
    assert code == Exit.PARTLY_READ
    assert "1 could not be read:\n  /f/secret" in out


async def test_a_backup_tells_what_it_does_not_keep(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    done = f.BackupDone(snapshot_id="s2", outcome="complete", skipped_count=3, skipped=("/f/pipe: a FIFO",))
    code, out, _ = await spoken(FakeNode(backup_done=done), home, capsys, "backup")
    assert code == Exit.DONE
    assert "3 sockets and FIFOs are not kept, the first:\n  /f/pipe: a FIFO\n" in out
    code, out, _ = await spoken(FakeNode(backup_done=done), home, capsys, "backup", "--json")
    assert (code, json.loads(out)["skipped_count"]) == (Exit.DONE, 3)


@pytest.mark.parametrize(
    ("trouble", "code", "message"),
    [
        (refuse(Reason.NO_STOCK, "no notes to pay with"), Exit.NO_CREDIT, "no notes to pay with"),
        (Unreachable("no peers answer"), Exit.NO_CREDIT, "no peers answer"),
        (refuse(Reason.BUSY, "a backup is running"), Exit.FAILED, "a backup is running"),
        (LocalFault("the disk is full", hint="free some"), Exit.FAILED, "the disk is full"),
        (KeyError("bug"), Exit.FAILED, "the daemon failed: KeyError: 'bug'"),
    ],
)
async def test_a_failure_is_one_message_and_its_code(
    home: Home, capsys: pytest.CaptureFixture[str], trouble: Exception, code: Exit, message: str
) -> None:
    for words in (["status"], ["backup"]):
        found, out, err = await spoken(FakeNode(trouble=trouble), home, capsys, *words)
        assert (found, out) == (code, "")
        assert err.splitlines()[0] == f"nbctl: {message}"


async def test_a_restore_asks_for_what_was_said(home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    node = FakeNode()
    target = str(tmp_path / "back")
    code, out, _ = await spoken(node, home, capsys, "restore", "--target", target, "--overwrite", "--json")
    assert (code, json.loads(out)["type"]) == (Exit.DONE, "restore")
    assert node.asked == [f"restore  {target} True"]
    code, _, err = await spoken(node, home, capsys, "restore", "--target", target, "--snapshot", "none")
    assert (code, err.splitlines()[1:]) == (Exit.USAGE, ["nbctl: there is no snapshot none",
                                                         "nbctl: hint: see nbctl snapshots"])  # fmt: skip
    code, _, err = await spoken(node, home, capsys, "restore", "--target", target, "--snapshot", "late")
    assert (code, err.splitlines()[1]) == (Exit.FAILED, "nbctl: the disk is full")


def test_without_a_daemon_the_way_out_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = f"nbctl: no daemon answers for {home.path}\nnbctl: hint: start it: nbctl up\n"
    assert alone(capsys, "--home", str(home.path), "status") == (Exit.NO_DAEMON, "", told)
    code, _, err = alone(capsys, "--home", str(home.path), "down")
    assert (code, err) == (Exit.NO_DAEMON, f"nbctl: no daemon serves {home.path}\n")


def test_without_a_home_the_way_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = f"nbctl: {tmp_path} is not a nanobarter home\nnbctl: hint: make one: nbctl init\n"
    assert alone(capsys, "--home", str(tmp_path), "status") == (Exit.USAGE, "", told)


def test_init_shows_the_cost_then_the_phrase_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        file.truncate(12 * 10**9)
    home = tmp_path / "home"
    code, out, err = alone(capsys, "--home", str(home), "init", "--folder", str(folder), "--peers", "5", "--yes")
    assert code == Exit.DONE
    assert err.splitlines() == [
        "nbctl: 12.0 GB need 33.0 GB lent (2 of 5 shares on 5 peers), about 3 hours to upload at 20 Mbit/s",
        "nbctl: this node will lend 40GB",  # what they cost at the prices of a machine that is always on
        (
            "nbctl: beside that up to 20.0 GB of your space goes for a reserve of others' space, at par, which renews"
            " leases; `reserve` in [market] sets it"
        ),
        (
            "nbctl: all together that may come to 59.6 GB of your space (folders 39.6 GB, reserve 20.0 GB), of which no"
            " more than the 40.0 GB that you offer is given; folders are ordered first"
        ),
    ]
    words = [word for word in out.split() if word.isalpha()]
    assert len(words) > 24
    assert load_config(home / "config.toml").backup.folders == (str(folder),)
    assert b"abandon" not in (home / "seed").read_bytes()
    code, _, err = alone(capsys, "--home", str(home), "init", "--yes")
    assert (code, err.splitlines()[0]) == (Exit.USAGE, f"nbctl: {home} is not empty")


def test_init_writes_the_phrase_to_a_private_file_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out_file = tmp_path / "phrase"
    code, out, _ = alone(
        capsys, "--home", str(tmp_path / "h"), "init", "--yes", "--phrase-out", str(out_file), "--json"
    )
    assert (code, json.loads(out)["phrase"]) == (Exit.DONE, None)
    assert len(out_file.read_text().split()) == 24
    assert out_file.stat().st_mode & 0o777 == 0o600
    code, _, err = alone(capsys, "--home", str(tmp_path / "h2"), "init", "--yes", "--phrase-out", str(out_file))
    assert (code, "exists already" in err) == (Exit.USAGE, True)
    assert not (tmp_path / "h2").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--space", "1MB"], '[offer] space = "1MB": too little space to barter with'),
        (["--space", "lots"], '[offer] space = "lots": not a size'),
        (["--folder", "/nowhere/at/all"], '[backup] folders = "/nowhere/at/all": no such folder'),
        (["--listen", "x"], '[network] listen = "x": not an address'),
        (["--bootstrap", "x"], '[network] bootstrap = "x": not an address'),
        (["--peers", "0"], "--peers 0: a backup needs another node"),
    ],
)
def test_init_that_cannot_work_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    code, out, err = alone(capsys, "--home", str(tmp_path / "h"), "init", "--yes", *flags)
    assert (code, out) == (Exit.USAGE, "")
    assert message in err
    assert "bug" not in err
    assert not (tmp_path / "h").exists()


def test_init_that_cannot_write_the_phrase_makes_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--yes", "--phrase-out", str(tmp_path / "missing" / "phrase"))
    code, out, _ = alone(capsys, "--home", str(tmp_path / "h"), "init", *flags)
    assert (code, out) == (Exit.FAILED, "")
    assert not (tmp_path / "h").exists()


def test_a_phrase_may_be_typed_with_the_numbers_of_the_sheet() -> None:
    words = ["abandon"] * 23 + ["art"]
    assert seed_of(" ".join(f"{place} {word}" for place, word in enumerate(words, 1))) == seed_of(" ".join(words))


def test_init_with_less_space_than_the_folders_need_says_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    with (tmp_path / "docs" / "big").open("wb") as file:
        file.truncate(10**9)
    flags = ("--folder", str(tmp_path / "docs"), "--space", "1GB", "--yes")
    code, _, err = alone(capsys, "--home", str(tmp_path / "h"), "init", *flags)
    assert code == Exit.USAGE
    assert err.splitlines()[2:] == [
        "nbctl: too little space: 2.3 GB are needed, 1.0 GB offered",
        "nbctl: hint: lend more: --space 2253MB",
    ]
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        ("abandon " * 3, "the phrase has 3 words instead of 24"),
        ("abandon " * 24, "the words do not fit together (wrong checksum)"),
        ("zzz " + "abandon " * 23, "word 1, 'zzz', is not in the word list"),
    ],
)
def test_a_wrong_phrase_is_told_before_anything_is_dialled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], phrase: str, message: str
) -> None:
    (tmp_path / "p").write_text(phrase)
    flags = ("--phrase-file", str(tmp_path / "p"), "--bootstrap", "127.0.0.1:1", "--target", str(tmp_path / "t"))
    code, out, err = alone(capsys, "restore", *flags)
    assert (code, out, err.splitlines()[0]) == (Exit.USAGE, "", f"nbctl: {message}")
    assert not (tmp_path / "t").exists()


def test_a_wrong_month_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = alone(capsys, "--home", str(home.path), "report", "--month", "13")
    assert (code, err.splitlines()[0]) == (Exit.USAGE, "nbctl: '13' is not a month")


def test_an_option_before_its_command_is_told_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = alone(capsys, "--json", "report")
    where = "; options of a command come after it: nbctl report ... --json"
    assert (code, err.splitlines()[-1]) == (Exit.USAGE, f"nbctl: error: unrecognized arguments: --json{where}")
    code, _, err = alone(capsys, "report", "--jason")
    assert (code, err.splitlines()[-1]) == (Exit.USAGE, "nbctl: error: unrecognized arguments: --jason")


def test_a_daemon_that_cannot_start_says_why_through_up(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.config_path.write_text('[offer]\nspase = "1GB"')
    code, _, err = alone(capsys, "--home", str(home.path), "up")
    assert code == Exit.USAGE
    assert f'nbctl: {home.config_path}:2: [offer] spase = "1GB": unknown key' in err


def test_a_second_daemon_is_refused_before_it_starts(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with home.locked():
        code, _, err = alone(capsys, "--home", str(home.path), "up")
        daemon = subprocess.run(
            [sys.executable, "-m", "nanobarter.daemon.main", "--home", str(home.path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (code, f"a daemon (pid {os.getpid()}) already serves" in err) == (Exit.USAGE, True)
    assert daemon.returncode == Exit.USAGE
    assert f"nanobarterd: another daemon (pid {os.getpid()}) already serves {home.path}" in daemon.stderr


def test_the_version_is_cheap() -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nanobarter.cli.main", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.split("|")[-1].strip() for line in said.stderr.splitlines() if line.startswith("import time:")}
    assert not loaded & {"trio", "msgspec", "rich", "numpy", "h11", "cryptography", "platformdirs"}


def test_completion_knows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = alone(capsys, "completion", "bash")
    assert code == Exit.DONE
    assert "snapshots" in out


async def test_an_interrupted_job_is_cancelled_and_says_so(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    node = FakeNode(hang=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_fake, home, node)
        command = [sys.executable, "-m", "nanobarter.cli.main", "--home", str(home.path), "backup"]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = await process.stderr.receive_some(1000)
        assert said.startswith(b"nbctl: scan")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(2)
        code = await process.wait()
        with trio.fail_after(60):
            await node.closed.wait()
        nursery.cancel_scope.cancel()
    assert code == Exit.INTERRUPTED
