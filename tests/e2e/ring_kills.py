"""``python -m tests.e2e.ring_kills``: a ring of five real daemons, and kill -9 of each role at each step in turn.

Five daemons trade round a ring; one of them gives notes of a sixth, so that there is an issuer that is no party. In
each round one daemon is told where it will die (``doomed``), all post a bid, and when it has died it is started again.
The bids stand, so the ring comes about in the end. Then every file of every node is read: no note may be lost or lie
in two wallets, nothing be locked, each have got just what it bargained for, and each mint's own audit find nothing.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from nanobarter.cli.demo_nodes import Node, Stage, free_address, nbctl
from nanobarter.cli.exits import CommandFailed
from nanobarter.cli.last_words import said_path
from nanobarter.cli.node import wait_until
from nanobarter.core.ids import parse_node
from nanobarter.daemon.config import Config, Market, Offer, Swap
from nanobarter.daemon.config_network import Network
from tests.e2e.books import Books, contradictions, read_books, unsettled
from tests.e2e.doomed import POINTS

PARTIES: Final = 5
LOT_MIB: Final = 8
STOCK_MIB: Final = 32 * LOT_MIB * PARTIES
SWAP: Final = Swap(approve="5s", lock="8s", vote="12s", delta="3s")
"""D_0 is 27 s after the agreement: what a dead ring has locked is free again in half a minute."""

UP_SECONDS: Final = 60.0
DEATH_SECONDS: Final = 90.0
SETTLE_SECONDS: Final = 240.0
BOOKS_SECONDS: Final = 30.0


class WentWrongError(Exception):
    """A round did not end well; the text says how."""


@dataclass
class Round:
    """What one kill showed."""

    point: str
    victim: str
    seconds: float = 0.0
    rings: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])


class Scene:
    """Six daemons, who live through all rounds."""

    def __init__(self, seed: str, folder: Path) -> None:
        self.luck, self.stage = random.Random(seed), Stage(folder)
        self._bootstrap = free_address()
        for number in range(PARTIES):
            self._add(f"party{number}", self._bootstrap if number == 0 else free_address())
        self._add("issuer", free_address())

    def _add(self, name: str, address: str) -> None:
        config = Config(
            offer=Offer(space=f"{4 * STOCK_MIB}MiB", kinds=("30d",)),
            market=Market(reserve="0B", bid_span="10min"),
            network=Network(
                listen=address,
                bootstrap=() if address == self._bootstrap else (self._bootstrap,),
                same_host_ok=True,
            ),
            swap=SWAP,
        )
        self.stage.add(name, config, address)

    @property
    def parties(self) -> list[Node]:
        return self.stage.nodes[:PARTIES]

    @property
    def issuer(self) -> Node:
        return self.stage.nodes[PARTIES]

    def open(self) -> None:
        """Start all, and let the party in the middle get a stock of the issuer's notes, in a ring of two."""
        for node in self.stage.nodes:
            node.start()
        self._up(self.stage.nodes)
        middle = self.parties[PARTIES // 2]
        self._bid(middle, middle, self.issuer, STOCK_MIB)
        self._bid(self.issuer, self.issuer, middle, STOCK_MIB)
        if not wait_until(lambda: self._held(middle, self.issuer) == STOCK_MIB, SETTLE_SECONDS):
            raise WentWrongError("the party in the middle got no notes of the issuer")

    def play(self, point: str) -> Round:
        """Kill at one point, let everything end, and check."""
        began, role = time.monotonic(), point.split(":", maxsplit=1)[0]
        victim = {
            "proposer": self.parties[0],
            "party": self.luck.choice(self.parties[1:]),
            "issuer": self.issuer,
        }[role]
        told = Round(point, victim.name)
        before = self._all_held()
        try:
            self._ring(point, victim)
        except (WentWrongError, CommandFailed) as wrong:
            told.problems.append(str(wrong))
        told.problems += self._check(before)
        told.rings = self._agreements(self.parties[1])
        told.seconds = round(time.monotonic() - began, 1)
        return told

    def _ring(self, point: str, victim: Node) -> None:
        self._arm(victim, point)
        ring = self.parties
        for number in (*range(1, PARTIES), 0):  # the newest bid is the proposer's
            self._bid(ring[number], self._gives(number), self._gives(number - 1), LOT_MIB)
        process = victim.process
        if process is None or not wait_until(lambda: process.poll() is not None, DEATH_SECONDS):
            raise WentWrongError(f"{victim.name} never came to {point}")
        if process.returncode != -signal.SIGKILL:
            raise WentWrongError(f"{victim.name} ended by itself ({process.returncode}): {_log(victim)}")
        victim.start()
        self._up([victim])

    def _gives(self, number: int) -> Node:
        """Return whose notes a party gives: its own, but the one in the middle those of the issuer."""
        return self.issuer if number % PARTIES == PARTIES // 2 else self.parties[number % PARTIES]

    def _arm(self, victim: Node, point: str) -> None:
        """Start a daemon anew, as one that will die at a point."""
        victim.kill()
        command = [sys.executable, "-m", "tests.e2e.doomed", point, "--home", str(victim.home.path)]
        with said_path(victim.home).open("wb") as said:
            victim.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        self._up([victim])
        others = len(self.stage.nodes) - 1
        if not wait_until(lambda: self._connected(victim) == others, UP_SECONDS):
            raise WentWrongError(f"{victim.name} found only {self._connected(victim)} of {others}")

    def _connected(self, node: Node) -> int:
        return int((node.ask("/v1/status") or {"peers_connected": 0})["peers_connected"])

    def _up(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if not wait_until(lambda node=node: node.ask("/v1/status") is not None, UP_SECONDS):
                raise WentWrongError(f"{node.name} does not answer: {_log(node)}")

    def _bid(self, node: Node, gives: Node, wants: Node, mib: int) -> None:
        terms = {"gives": f"30d@{gives.node}", "wants": f"30d@{wants.node}", "quantity": str(mib)}
        node.client.post("/v1/market/bid", terms)

    # -- the books

    def _held(self, node: Node, issuer: Node) -> int:
        rows = (node.ask("/v1/wallet") or {"holdings": ()})["holdings"]
        return sum(row["mib"] for row in rows if row["issuer"] == issuer.node)

    def _all_held(self) -> list[int]:
        """Return what each party holds of what it gets in the ring."""
        return [self._held(node, self._gives(number - 1)) for number, node in enumerate(self.parties)]

    def _own_bids(self) -> int:
        found = [(node.ask("/v1/market/book") or {"bids": [{"own": True}]})["bids"] for node in self.parties]
        return sum(bid["own"] for bids in found for bid in bids)

    def _open_ends(self) -> str:
        bids = self._own_bids()
        return f"{bids} bids stand" if bids else unsettled(self._books().values())

    def _books(self) -> dict[bytes, Books]:
        return {parse_node(node.node): read_books(node.home.state_path) for node in self.stage.nodes}

    def _check(self, before: list[int]) -> list[str]:
        problems = list[str]()
        if not wait_until(lambda: not self._open_ends(), SETTLE_SECONDS, every=0.5):
            problems.append(f"after {SETTLE_SECONDS:g} s: {self._open_ends()}")
        got = [now - then for now, then in zip(self._all_held(), before, strict=True)]
        if got != [LOT_MIB] * PARTIES:
            problems.append(f"the parties got {got} MiB, each should have {LOT_MIB}")
        if not wait_until(lambda: not contradictions(self._books()), BOOKS_SECONDS, every=0.5):
            problems += contradictions(self._books())  # which are not read in one instant
        for node in self.stage.nodes:
            code, answer = nbctl("--home", str(node.home.path), "mint", "audit")
            if code:
                problems.append(f"nbctl mint audit of {node.name}: exit {code}: {answer}")
        return problems

    def _agreements(self, node: Node) -> dict[str, int]:
        """Return how the drafts ended that a party has seen so far."""
        found: dict[str, int] = {}
        for row in (node.ask("/v1/market") or {"agreements": ()})["agreements"]:
            found[row["state"]] = found.get(row["state"], 0) + 1
        return found


def _log(node: Node) -> str:
    try:
        return node.home.log_path.read_text(errors="replace")[-800:]
    except OSError:
        return ""


def campaign(seed: str, points: Sequence[str], *, keep: bool, tell: Callable[[Round], None]) -> list[Round]:
    """Play the points one after the other in one network; leaves no process, and no folder unless asked to."""
    folder = Path(tempfile.mkdtemp(prefix="nanobarter-ring-"))
    scene, told = Scene(seed, folder), list[Round]()
    try:
        scene.open()
        for point in points:
            told.append(scene.play(point))
            tell(told[-1])
    finally:
        scene.stage.close(keep=keep and any(r.problems for r in told))
    return told


def main() -> int:
    """Run the campaign; 0 only when nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.ring_kills", description=__doc__)
    parser.add_argument("--seed", default="1", help="chooses which party dies")
    parser.add_argument("--points", default=",".join(POINTS), help="where (default: each role at each step)")
    parser.add_argument("--keep", action="store_true", help="leave the folder of a wrong campaign behind")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a time limit leaves no daemons behind
    points = asked.points.split(",")
    if unknown := set(points) - set(POINTS):
        parser.error(f"no such point: {', '.join(sorted(unknown))}")

    def tell(told: Round) -> None:
        print(json.dumps({"type": "ring_kill", **asdict(told)}), flush=True)  # noqa: T201 - the report

    told = campaign(asked.seed, points, keep=asked.keep, tell=tell)
    wrong = [each.point for each in told if each.problems]
    report = {"type": "ring_kills", "seed": asked.seed, "kills": len(told), "wrong": wrong,
              "seconds_max": max(each.seconds for each in told)}  # fmt: skip
    print(json.dumps(report))  # noqa: T201 - the report
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
