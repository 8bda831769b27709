"""``python -m tests.e2e.kills``: a network of real daemons whose members are killed at chosen moments.

Each run tells the story of the demo: barter, backup, a second backup after changes, audit, loss, restore. In each
phase one daemon, chosen by the seed like the moment, gets SIGKILL and is started again at once; whatever command was
cut off is typed again, as a person would. Then everything must add up: see ``books`` for notes and leases.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from nanobarter.cli.demo_cast import KIND, name_of, owner_config, peer_config
from nanobarter.cli.demo_folder import differences, survey
from nanobarter.cli.demo_nodes import Node, Stage, free_address, nbctl, remove_tree
from nanobarter.cli.estimate import expected_plan
from nanobarter.cli.exits import CommandFailed
from nanobarter.cli.node import wait_until
from nanobarter.core.ids import parse_node
from tests.e2e.books import Books, contradictions, draft_states, read_books, unsettled

NODES: Final = 6
FOLDER_BYTES: Final = 8_000_000
TRIES_MAX: Final = 6  # of one command; a person gives up later
UP_SECONDS: Final = 60.0
READY_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 180.0
PROVEN_SECONDS: Final = 120.0
BOOKS_SECONDS: Final = 30.0
SLOW_SECONDS: Final = 20.0  # a phase that took longer is told: the machine was busy, or something waited in vain

OWNER_STATES: Final = ("Gathering", "Collecting", "Committing", "Opened")  # the peers of the demo never propose
PEER_STATES: Final = ("Approved", "Locking", "Voted", "Opened")
ENDED_TOO: Final = 0.05  # how often a look that finds only ended drafts strikes: the wanted state may never show

WINDOWS: Final = {
    "start": 4.0,  # the whole making of keysets on a busy machine
    "barter": 0.02,
    "backup": 1.2,
    "publish": 0.3,
    "audit": 0.6,
    "restore": 1.2,
}
"""How long after the beginning of each phase the kill may come, in seconds."""


class WentWrongError(Exception):
    """The run did not end well; the text says how."""


@dataclass
class Told:
    """What one run showed."""

    seed: str
    kills: list[str] = field(default_factory=list[str])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    retries: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    slow: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


class Run:
    """One network and its story."""

    def __init__(self, seed: str, phases: Sequence[str], folder: Path) -> None:
        self.luck, self.told, self.armed = random.Random(seed), Told(seed), set(phases)
        self.stage = Stage(folder)
        self.folder = folder / "her folder"

    def play(self) -> Told:
        """Tell the story; what went wrong is in the answer."""
        name = ""
        try:
            for act in (self._start, self._barter, self._backup, self._publish, self._audit, self._settle, self._lose):
                began, name = time.monotonic(), act.__name__.strip("_")
                try:
                    act()
                finally:
                    self.told.seconds[name] = round(time.monotonic() - began, 1)
                self._look_alive()
                if name != "settle" and self.told.seconds[name] > SLOW_SECONDS:
                    self.told.slow.append(f"{name} took {self.told.seconds[name]} s")
        except (WentWrongError, CommandFailed) as wrong:
            self.told.problems.append(f"in {name}: {wrong}")
        self._read_logs()
        return self.told

    @property
    def _owner(self) -> Node:
        return self.stage.nodes[0]

    def _look_alive(self) -> None:
        for node in self.stage.nodes:
            code = None if node.process is None else node.process.poll()
            if code not in (None, -signal.SIGKILL):
                self.told.problems.append(f"{node.name} exited by itself ({code}): {_last_words(node)}")

    def _read_logs(self) -> None:
        for node in self.stage.nodes:
            log = node.home.log_path
            for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
                if any(word in line for word in ("ERROR", "WARNING", "CRITICAL", "Traceback")):
                    self.told.notes.append(f"log of {node.name}: {line[:300]}")

    @contextmanager
    def _kill_in(
        self, phase: str, among: Sequence[Node], ready: Callable[[Node], bool] | None = None
    ) -> Generator[threading.Event]:
        """Kill one of these nodes while the body runs; without ``ready``, from when the body sets the event."""
        victim, delay = self.luck.choice(list(among)), self.luck.uniform(0, WINDOWS[phase])
        go = threading.Event()

        def strike() -> None:
            wait_until(go.is_set if ready is None else partial(ready, victim), READY_SECONDS, every=0.002)
            time.sleep(delay)
            self._look_alive()
            victim.kill()
            found = ", ".join(sorted(draft_states(victim.home.state_path)))
            self.told.kills.append(f"{phase}: {victim.name} after {delay:.2f} s, its drafts {found or 'none'}")
            victim.start()

        thread = threading.Thread(target=strike, daemon=True)
        if phase in self.armed:
            thread.start()
        try:
            yield go
        finally:
            go.set()
            if phase in self.armed:
                thread.join()
                self._up([victim])

    def _up(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if not wait_until(lambda node=node: node.ask("/v1/status") is not None, UP_SECONDS):
                raise WentWrongError(f"{node.name} does not answer: {_last_words(node)}")

    # -- the acts

    def _start(self) -> None:
        _write_files(self.folder / "first", self.luck, FOLDER_BYTES)
        plan = expected_plan(2 * FOLDER_BYTES, KIND, NODES - 1)
        hers = free_address()
        owner = self.stage.add("owner", owner_config(self.folder, plan, hers, ()), hers)
        for name in map(name_of, range(NODES - 1)):
            address = free_address()
            # As in the demo: cleo takes only bruno's notes, so that one agreement needs three partners.
            wants = self.stage.nodes[1].node if name == "cleo" else owner.node
            self.stage.add(name, peer_config(plan, address, (hers,), wants), address)
        with self._kill_in("start", self.stage.nodes) as go:
            for node in self.stage.nodes:
                node.start()
            go.set()

    def _barter(self) -> None:
        """Kill as soon as a draft of the victim is in some state, which lasts for some milliseconds."""
        owners, peers = self.luck.choice(OWNER_STATES), self.luck.choice(PEER_STATES)

        def reached(victim: Node) -> bool:
            found = draft_states(victim.home.state_path)
            wanted = owners if victim is self._owner else peers
            return wanted in found or (found == {"Ended"} and self.luck.random() < ENDED_TOO)

        with self._kill_in("barter", self.stage.nodes, reached):
            self._up(self.stage.nodes)

    def _backup(self) -> None:
        with self._kill_in("backup", self.stage.nodes) as go:
            go.set()
            self._again("backup")

    def _publish(self) -> None:
        _write_files(self.folder / "second", self.luck, FOLDER_BYTES // 4)
        with self._kill_in("publish", self.stage.nodes) as go:
            self._again("backup", watch=("publishing", go))

    def _audit(self) -> None:
        with self._kill_in("audit", self.stage.nodes) as go:
            go.set()
            self._again("audit")
        if not wait_until(self._proven, PROVEN_SECONDS, every=0.5):
            nbctl("--home", str(self._owner.home.path), "audit")
        health = self._owner.ask("/v1/health") or {}
        if not self._proven():
            raise WentWrongError(f"not all shares are proven: {json.dumps(health)[:600]}")

    def _proven(self) -> bool:
        """Tell whether every pack has all its shares, proven ("thin": with so few peers, that is the best there is)."""
        health = self._owner.ask("/v1/health")
        return (
            health is not None
            and health["state"] in ("good", "thin")
            and 0 < health["shares_placed"] == health["shares_proven"]
        )

    def _again(
        self, *arguments: str, watch: tuple[str, threading.Event] | None = None, whose: str = ""
    ) -> dict[str, Any]:
        """Type a command until it succeeds; its answer. ``watch`` sets an event when progress shows a word."""
        for attempt in range(TRIES_MAX):
            code, done, said = _type("--home", whose or str(self._owner.home.path), *arguments, watch=watch)
            if code == 0:
                return done
            self.told.retries.append(
                f"{arguments[0]} ended with exit {code}: {' / '.join(said[-3:])} {done.get('problems', '')}"[:500]
            )
            if not whose:
                self._up([self._owner])
            if arguments[0] == "restore" and attempt == 0:
                arguments = (*arguments, "--overwrite")
        raise WentWrongError(f"{arguments[0]} did not succeed in {TRIES_MAX} tries: {self.told.retries[-1]}")

    def _settle(self) -> None:
        """Let every draft end; then no mint may contradict itself, nor any wallet a mint."""
        self._up(self.stage.nodes)
        if not wait_until(lambda: not self._open_ends(), SETTLE_SECONDS, every=0.5):
            self.told.problems.append(f"after {SETTLE_SECONDS:g} s: {self._open_ends()}")
        if not wait_until(lambda: not self._wrong(), BOOKS_SECONDS, every=0.5):  # six files are not read in one instant
            self.told.problems += self._wrong()
        for node in self.stage.nodes:
            code, answer, _said = _type("--home", str(node.home.path), "mint", "audit")
            if code:
                self.told.problems.append(f"nbctl mint audit of {node.name}: exit {code}: {answer}")

    def _books(self) -> dict[bytes, Books]:
        return {parse_node(node.node): read_books(node.home.state_path) for node in self.stage.nodes}

    def _open_ends(self) -> str:
        return unsettled(self._books().values())

    def _wrong(self) -> list[str]:
        return contradictions(self._books())

    def _lose(self) -> None:
        before = survey(self.folder)
        health = self._owner.ask("/v1/health") or {"holders": (), "packs": 0}
        full = {row["node"] for row in health["holders"] if row["packs"] >= health["packs"] > 0}
        gone = [node for node in self.stage.nodes[1:] if node.node in full][-2:]
        if len(gone) < 2:
            raise WentWrongError(f"only {len(gone)} peers hold a share of every pack")
        phrase, target = self.stage.folder / "phrase", self.stage.folder / "restored"
        phrase.write_text(self._owner.phrase + "\n")
        for node in (*gone, self._owner):
            node.kill()
        remove_tree(self._owner.home.path)
        remove_tree(self.folder)
        living = [node for node in self.stage.nodes[1:] if node not in gone]
        with self._kill_in("restore", living) as go:
            go.set()
            way = [word for node in living for word in ("--bootstrap", node.address)]
            nowhere = str(self.stage.folder / "nowhere")
            self._again("restore", "--phrase-file", str(phrase), "--target", str(target), *way, whose=nowhere)
        self.told.problems += [f"differs: {line}" for line in differences(before, survey(target))[:10]]
        for node in living:
            code, answer, _said = _type("--home", str(node.home.path), "mint", "audit")
            if code:
                self.told.problems.append(f"nbctl mint audit of {node.name} at the end: exit {code}: {answer}")


def _type(*arguments: str, watch: tuple[str, threading.Event] | None = None) -> tuple[int, dict[str, Any], list[str]]:
    """Run nbctl; return its exit code, its JSON answer and what it said beside it."""
    command = [sys.executable, "-m", "nanobarter.cli.main", *arguments, "--json"]
    said = list[str]()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line.strip())
            if watch is not None and watch[0] in line:
                watch[1].set()
        lines = process.stdout.read().strip().splitlines()
    try:
        return process.returncode, json.loads(lines[-1]) if lines else {}, said
    except ValueError:
        return process.returncode, {}, said


def _write_files(folder: Path, luck: random.Random, size: int) -> None:
    while size > 0:
        where = folder / f"part {luck.randrange(8)}"
        where.mkdir(parents=True, exist_ok=True)
        body = luck.randbytes(luck.randrange(200_000))
        (where / f"{size}.bin").write_bytes(body)
        size -= len(body) + 1


def _last_words(node: Node) -> str:
    try:
        return (node.home.path / "log" / "start.log").read_text(errors="replace")[-800:]
    except OSError:
        return ""


def campaign(runs: int, seed: str, phases: Sequence[str], *, keep: bool, tell: Callable[[Told], None]) -> list[Told]:
    """Play so many runs one after the other; each leaves no process and no folder, unless a wrong one is kept."""
    told = list[Told]()
    for number in range(runs):
        folder = Path(tempfile.mkdtemp(prefix="nanobarter-kills-"))
        run = Run(f"{seed}-{number}", phases, folder)
        try:
            told.append(run.play())
        finally:
            run.stage.close(keep=keep and bool(run.told.problems))
        if keep and run.told.problems:
            run.told.notes.append(f"left behind: {folder}")
        tell(run.told)
    return told


def main() -> int:
    """Run the campaign; 0 only when nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--phases", default=",".join(WINDOWS), help="in which phases a daemon is killed")
    parser.add_argument("--keep", action="store_true", help="leave the folders of wrong runs behind")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a time limit leaves no daemons behind

    def tell(told: Told) -> None:
        if asked.json:
            print(json.dumps({"type": "kills_run", **asdict(told)}), flush=True)  # noqa: T201 - the report
            return
        for line in (f"run {told.seed}: {told.seconds}", *told.kills, *told.retries, *told.slow, *told.notes):
            print(f"  {line}", flush=True)  # noqa: T201 - the report
        print("\n".join(f"  WRONG {p}" for p in told.problems) or "  ok", flush=True)  # noqa: T201 - the report

    told = campaign(asked.runs, asked.seed, asked.phases.split(","), keep=asked.keep, tell=tell)
    kills = Counter(kill.partition(":")[0] for each in told for kill in each.kills)
    wrong = sum(bool(each.problems) for each in told)
    slow = [each.slow for each in told]
    summary = {"type": "kills", "runs": len(told), "wrong": wrong, "slow": sum(map(bool, slow)), "kills": dict(kills)}
    print(json.dumps(summary) if asked.json else summary)  # noqa: T201 - the report
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
