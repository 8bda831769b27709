"""``python -m tests.e2e.misbehaviour --scenario NAME --seed S --json``: peers that misbehave, on real daemons.

An owner and seven peers, 3-of-6. Some peers do what peers do: hang, fill up, die, rot, lie, come back from an old
copy, lose everything. Each time it is measured how long the owner takes to tell of it and to have all shares at others
again, and what the owner says is compared with what really lies on the peers' disks. ``all`` runs every scenario.
"""

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from nanobarter.cli.exits import Exit
from nanobarter.cli.node import wait_until
from tests.e2e import truth
from tests.e2e.mischief import SCENARIOS
from tests.e2e.test_by_hand import same
from tests.e2e.village import READY_SECONDS, Ended, Machine, Village, issuers, village

PEERS: Final = 7
K, N = 3, 6
PERIOD_SECONDS: Final = 20.0
"""Within it each share is challenged, and a round of audits comes every quarter of it."""

GRACE_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 180.0
FOLDER_BYTES: Final = 12_000_000


@dataclass
class Told:
    """What one scenario showed. ``seconds`` are from the misdeed on, ``problems`` what should not have been."""

    scenario: str
    seed: int
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    said: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])


@dataclass
class Scene:
    """The village after a first backup that all peers have proven."""

    village: Village
    owner: Machine
    folder: Path
    draw: random.Random
    told: Told
    began: float = 0.0
    restores: int = 0

    @property
    def peers(self) -> list[Machine]:
        return self.village.machines[1:]

    def begin(self) -> None:
        """Start the clock: the misdeed is done."""
        self.began = time.monotonic()

    def mark(self, name: str) -> None:
        self.told.seconds[name] = round(time.monotonic() - self.began, 1)

    def wait(self, name: str, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Measure until something holds; that it never does is a problem."""
        if wait_until(condition, seconds, every=0.2):
            self.mark(name)
        else:
            self.fail(f"not within {seconds:g} s: {name}; {json.dumps(self.owner.try_ask('/v1/health'))[:1500]}")

    def fail(self, problem: str) -> None:
        self.told.problems.append(problem)

    def expect(self, *, that: bool, problem: str) -> None:
        if not that:
            self.fail(problem)

    def health(self) -> dict[str, Any]:
        return self.owner.ask("/v1/status")["health"]

    def change(self, size: int = FOLDER_BYTES) -> None:
        """Write new files into the folder."""
        (self.folder / f"more {self.draw.random()}").write_bytes(self.draw.randbytes(size))

    def names(self, peer: Machine, kind: str = "") -> bool:
        """Tell whether the status speaks of this peer."""
        return any(p["node"] == peer.node and kind in p["kind"] for p in self.health()["problems"])

    def status(self) -> Ended:
        return self.owner.nbctl("status", "--json")

    def restores_identically(self, when: str) -> None:
        self.restores += 1
        target = self.village.folder / f"back{self.restores}"
        ended = self.owner.nbctl("restore", "--target", str(target), "--json")
        if ended.code:
            self.fail(f"the restore {when} ended with {ended.code}: {ended.err[-500:]}")
        else:
            same(self.folder, target)
        shutil.rmtree(target, ignore_errors=True)

    def says_no_more_than_true(self, when: str) -> None:
        """Compare the proven shares with those that lie whole on the disks of peers who answer."""
        said = {pack: len(nodes) for pack, nodes in truth.proven(self.owner).items()}
        real = {pack: len(nodes) for pack, nodes in truth.whole(self.owner, self.peers).items()}
        for pack, count in said.items():
            if count > real.get(pack, 0):
                self.fail(f"{when} pack {pack[:8]} counts as proven by {count}, and {real.get(pack, 0)} have it")

    def all_is_well(self, *without: Machine) -> bool:
        """Tell whether every pack lies whole at six distinct peers, none of them ``without``, and the owner says so."""
        gone = {peer.node for peer in without}
        real = truth.whole(self.owner, self.peers)
        whole = bool(real) and all(len(nodes - gone) >= N for nodes in real.values())
        proven = truth.proven(self.owner)
        said = all(len(nodes - gone) >= N for nodes in proven.values()) and not any(n & gone for n in proven.values())
        return whole and said and self.status().code == Exit.DONE

    def heals(self, *without: Machine) -> None:
        self.wait("repaired", lambda: self.all_is_well(*without))
        self.says_no_more_than_true("after the repair")
        self.restores_identically("after the repair")


def play(scenario: str, seed: int) -> Told:
    """Run one scenario in a village of its own."""
    told, draw = Told(scenario, seed), random.Random(f"{scenario} {seed}")
    with village() as made:
        folder = made.folder / "folder"
        (folder / "sub").mkdir(parents=True)
        for number in range(20):
            (folder / "sub" / f"{number}").write_bytes(draw.randbytes(1000 * number))
        scene = Scene(made, _start(made, folder), folder, draw, told)
        scene.change()
        act = SCENARIOS[scenario]
        with act.prepared(scene):
            _first_backup(scene)
            try:
                act.play(scene)
            except AssertionError as error:
                scene.fail(str(error)[:2000])
            scene.expect(that=scene.owner.home.running_pid() is not None, problem="the owner's daemon died")
            told.said = sorted({p["detail"] for p in scene.health()["problems"]})[:5] or told.said
    return told


def _start(made: Village, folder: Path) -> Machine:
    owner = made.init("owner", folder)
    peers = [made.init(f"peer{n}", bootstrap=owner.address) for n in range(1, PEERS + 1)]
    for peer in peers:
        peer.configure(market={"reserve": "400MB"})
    owner.configure(audit={"period": f"{PERIOD_SECONDS:g}s", "grace": f"{GRACE_SECONDS:g}s"})
    return owner


def _first_backup(scene: Scene) -> None:
    scene.village.up(scene.village.machines)
    owner = scene.owner
    assert wait_until(lambda: len(issuers(owner)) >= N, 2 * READY_SECONDS), owner.ask("/v1/market")
    began = time.monotonic()
    done = owner.ok("backup")
    scene.told.seconds["a backup in peace takes"] = round(time.monotonic() - began, 1)
    scene.expect(that=(done["k"], done["n"]) == (K, N), problem=f"the code is {done['k']}-of-{done['n']}")
    owner.ok("audit")
    scene.says_no_more_than_true("in peace")


def main(arguments: list[str]) -> int:
    """Run scenarios and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=[*SCENARIOS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    failed = False
    for name in SCENARIOS if asked.scenario == "all" else [asked.scenario]:
        told = play(name, asked.seed)
        failed |= bool(told.problems)
        if asked.json:
            print(json.dumps({"type": "misbehaviour", **asdict(told)}), flush=True)  # noqa: T201 - a command
            continue
        print(f"{name}: {', '.join(f'{what} {s} s' for what, s in told.seconds.items())}", flush=True)  # noqa: T201
        for line in (*told.said, *(f"WRONG: {problem}" for problem in told.problems)):
            print(f"    {line}", flush=True)  # noqa: T201 - as above
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
