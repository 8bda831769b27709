"""At stake: the demo's word. It may say "identical" only of what came back, and must leave nothing behind."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from nanobarter.core.ids import parse_node
from tests.e2e.folders import odd_folder
from tests.e2e.village import READY_SECONDS, finish, place, start

pytestmark = pytest.mark.e2e

LAST_LINE = {
    "type", "ok", "nodes", "agreements", "leases", "shares", "audits_passed", "killed", "files", "differences",
    "seconds",
}  # fmt: skip


@pytest.fixture
def stage() -> Iterator[Path]:
    """A folder in which the demo makes all of its folders."""
    with place() as folder:
        (folder / "tmp").mkdir()
        yield folder


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes that name this folder."""
    found = list[str]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended
            if os.fsencode(folder) in line:
                found.append(line.decode(errors="replace").replace("\0", " "))
    return found


def nothing_left(stage: Path) -> None:
    assert wait_until(lambda: not processes_in(stage / "tmp"), READY_SECONDS), processes_in(stage / "tmp")
    assert list((stage / "tmp").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found through /proc")
def test_the_demo_brings_an_odd_folder_back_and_leaves_nothing(stage: Path) -> None:
    folder = odd_folder(stage / "odd")
    process = start("demo", str(folder), "--json", TMPDIR=str(stage / "tmp"))
    ended = finish(process)
    assert ended.code == 0, ended
    told = ended.answer
    assert told.keys() == LAST_LINE
    assert (told["type"], told["ok"], told["nodes"], told["differences"]) == ("demo", True, 6, [])
    assert max(len(ring["parties"]) for ring in told["agreements"]) >= 3
    assert {len(bytes.fromhex(ring["draft_id"])) for ring in told["agreements"]} == {32}
    assert len({parse_node(node) for node in told["killed"]}) == 2
    assert told["leases"] >= 5
    assert told["audits_passed"] >= told["shares"] >= 5
    assert told["files"] > 20
    assert all(json.loads(line)["type"] == "demo_event" for line in ended.out.strip().splitlines()[:-1])
    nothing_left(stage)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found through /proc")
def test_ctrl_c_in_the_middle_leaves_nothing(stage: Path) -> None:
    folder = stage / "small"
    folder.mkdir()
    (folder / "file").write_text("small\n")
    process = start("demo", str(folder), "--json", TMPDIR=str(stage / "tmp"))
    heard = _hear_until(process, "bids heard")
    assert processes_in(stage / "tmp")
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to everyone in front
    ended = finish(process)
    assert ended.code == Exit.INTERRUPTED, (heard, ended)
    assert "Traceback" not in ended.err
    nothing_left(stage)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found through /proc")
def test_a_daemon_that_is_killed_and_started_again_does_not_spoil_the_demo(stage: Path) -> None:
    folder = odd_folder(stage / "odd")
    process = start("demo", str(folder), "--json", TMPDIR=str(stage / "tmp"))
    _hear_until(process, "bids heard")
    home = next((stage / "tmp").iterdir()) / "dara"
    os.kill(int((home / "lock").read_text()), signal.SIGKILL)
    revived = finish(start("--home", str(home), "up"))
    assert revived.code == 0, revived
    ended = finish(process)
    assert ended.code == 0, ended
    assert (ended.answer["ok"], ended.answer["differences"]) == (True, [])
    nothing_left(stage)


def _hear_until(process: subprocess.Popen[str], words: str) -> list[dict[str, Any]]:
    heard = list[dict[str, Any]]()
    assert process.stdout is not None
    for line in process.stdout:
        heard.append(json.loads(line))
        if words in heard[-1].get("text", ""):
            return heard
    pytest.fail(f"the demo ended before it told of {words!r}: {heard[-3:]}")
