"""Weeks of life of a small market, on real daemons whose days are short; nobody touches anything.

    python -m tests.e2e.week [--day-seconds 30] [--days 26] [--keep]

Leases of thirty days, keysets, pings, audits and scores go by the day, so with days of 30 seconds three weeks take ten
minutes; deadlines of the network are what they always are, so that a swap takes a good part of a day. A machine that is
busy with other things needs longer days. Everybody keeps a folder. ada also has a trader and an arbitrageur. vito is
off every other half day; before anybody knows him, ada takes a stock of his notes by hand, and later somebody whose
notes her trader would rather have wants some, at par. nora comes later. What must be seen, or the command ends with 1:
leases are lengthened in place; vito is found out, his notes are sold by the bots, and his shares are elsewhere; nora is
vetted; after vito has gone for good all is well; nothing was lost on the way; the mints' books are in order.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nanobarter.cli.demo_nodes import Node, Stage, free_address, nbctl
from nanobarter.cli.show import lines_of
from nanobarter.core.units import LeaseKind
from nanobarter.daemon.config import Audit, Backup, Config, Market, Offer, Swap
from nanobarter.daemon.config_bots import Bots
from nanobarter.daemon.config_network import Network

DAY_VARIABLE: Final = "NANOBARTER_TEST_DAY_SECONDS"
KIND: Final = LeaseKind("30d")  # half a term is time for swaps that take hours of such a day
FOLDER_BYTES: Final = 60_000_000
PEERS: Final = ("bruno", "cleo", "dara", "fatima", "goran")
LOOK_SECONDS: Final = 1.0
FOUND_OUT: Final = 0.6  # of the least of the others' reliabilities
KNOWN_WINDOWS: Final = 12
WANTED: Final = (
    "leases were lengthened in place",
    "vito is found out",
    "no share is at vito any more",
    "nora is vetted",
    "notes of vito were sold",
    "without vito all is well",
)
LOST: Final = "packs could not be brought back for a while"
TOLD: Final = ("bots", "report", "rates", "health", "peers reliability")


@dataclass
class Weeks:
    """The village, and what was seen of it."""

    stage: Stage
    day_seconds: float
    started: float = field(default_factory=time.monotonic)
    ends: dict[str, int] = field(default_factory=dict[str, int])
    seen: dict[str, float] = field(default_factory=dict[str, float])
    gone_at: float = 0.0
    asked_at: float = 0.0
    lost_at: float = 0.0

    @property
    def day(self) -> float:
        """How many days have passed."""
        return (time.monotonic() - self.started) / self.day_seconds

    def tell(self, text: str) -> None:
        """Say what happens, with its day."""
        print(f"day {self.day:5.1f}  {text}", flush=True)  # noqa: T201 - it is a command

    def note(self, what: str, detail: str) -> None:
        """Tell once that something has happened."""
        if what not in self.seen:
            self.seen[what] = round(self.day, 1)
            self.tell(f"{what}: {detail}")

    # -- who is there

    def add(self, name: str, bootstrap: tuple[str, ...], *, bots: Bots | None = None) -> Node:
        """Make the home of one who keeps a folder."""
        folder, address = self.stage.folder / f"folder of {name}", free_address()
        folder.mkdir()
        for number in range(6):
            (folder / f"file {number}").write_bytes(os.urandom(FOLDER_BYTES // 6))
        day = self.day_seconds
        config = Config(
            backup=Backup(folders=(str(folder),), schedule=f"every {int(3 * day)}s", drill="off"),
            offer=Offer(space="12GB", kinds=(KIND,)),
            market=Market(bid_span=f"{int(5 * day)}s", reserve="600MB"),
            network=Network(listen=address, bootstrap=bootstrap, same_host_ok=True),
            swap=Swap(approve="5s", lock="10s", vote="15s", delta="15s", ask=f"{int(day)}s"),
            audit=Audit(period=f"{int(day)}s", grace=f"{int(2 * day)}s"),
            bots=bots or Bots(),
        )
        return self.stage.add(name, config, address)

    def swing(self, vito: Node) -> None:
        """Let vito be off every other half day, and for good once his notes are sold and nora is vetted."""
        if self.gone_at:
            return
        if {"notes of vito were sold", "nora is vetted"} <= self.seen.keys():
            self.gone_at = self.day
            vito.kill()
            self.tell("vito is gone for good")
            return
        off, running = int(self.day * 2) % 2 == 1, vito.process is not None and vito.process.poll() is None
        if off and running:
            vito.kill()
        elif not off and not running:
            vito.start()

    def ask_for_vitos(self, ada: Node, vito: Node) -> None:
        """Let the peer whose notes ada's trader wants for vito's ask for some by hand, at par, once a day."""
        if (
            "vito is found out" not in self.seen
            or "notes of vito were sold" in self.seen
            or self.day < self.asked_at + 1
        ):
            return
        if self.day < self.asked_at + 1 or int(self.day * 2) % 2:  # vito is off: an issuer must answer a last look
            return
        for row in _rows(ada, "/v1/market", "bids"):
            wanted = next((node for node in self.stage.nodes if row["wants"] == f"{KIND} at {node.node}"), None)
            if row["own"] and row["gives"] == f"{KIND}:{vito.node}" and wanted is not None:
                self.asked_at = self.day
                code, _ = bid(wanted, vito, "24MiB")
                self.tell(f"{wanted.name} asks for 24 MiB of vito's notes, at par (exit {code})")
                return

    # -- what ada's node tells

    def look(self, ada: Node, others: list[Node], vito: Node, nora: Node | None) -> None:
        """Look for what must be seen."""
        self._leases(ada)
        known = {row["node"]: row for row in _rows(ada, "/v1/peers/reliability", "peers")}
        found = [known[node.node]["r"] for node in others if node.node in known]
        row = known.get(vito.node)
        if row and found and row["windows"] > KNOWN_WINDOWS and row["r"] < FOUND_OUT * min(found):
            self.note("vito is found out", f"r {row['r']:.2f}, the others {min(found):.2f} to {max(found):.2f}")
        new = known.get(nora.node) if nora is not None else None
        if new and new["vetted"]:
            self.note("nora is vetted", f"r {new['r']:.2f} after {new['windows']} windows and {new['audits']} audits")
        for ring in _rows(ada, "/v1/market", "agreements"):
            if ring["state"] == "settled" and ring["gave_issuer"] == vito.node:
                got = f"{ring['got_mib']} MiB of {self.stage.name_of(ring['got_issuer'])}"
                self.note("notes of vito were sold", f"{ring['gave_mib']} MiB for {got}")
        self._health(ada, vito)

    def _leases(self, ada: Node) -> None:
        for lease in _rows(ada, "/v1/leases", "leases"):
            if lease["side"] == "held" and lease["end"] > self.ends.setdefault(lease["lease_id"], lease["end"]):
                detail = f"{lease['mib']} MiB at {self.stage.name_of(lease['issuer'])}"
                self.note("leases were lengthened in place", detail)

    def _health(self, ada: Node, vito: Node) -> None:
        health = ada.ask("/v1/health") or {}
        packs, placed = health.get("packs", 0), health.get("shares_placed", 0)
        if health.get("lost"):
            self.lost_at = self.day
            self.note(LOST, f"{health['lost']} of {packs} packs; they may come back as long as peers keep ended leases")
        whole = packs and placed == packs * health["n"] == health["shares_proven"]
        at_vito = any(holder["node"] == vito.node and holder["packs"] for holder in health.get("holders", ()))
        if whole and not at_vito and "vito is found out" in self.seen:
            self.note("no share is at vito any more", f"{packs} packs, all {placed} shares proven elsewhere")
            if self.gone_at and self.day > self.gone_at + 1:
                self.note("without vito all is well", f"{packs} packs, all {placed} shares proven")

    @property
    def is_done(self) -> bool:
        """Whether all was seen."""
        return all(what in self.seen for what in WANTED)


def _rows(node: Node, path: str, key: str) -> list[dict[str, Any]]:
    return (node.ask(path) or {key: []})[key]


def bid(who: Node, whose: Node, quantity: str) -> tuple[int, dict[str, Any]]:
    """Bid by hand for somebody's notes, at par."""
    want = ("--wants", f"{KIND}@{whose.node}", "--quantity", quantity)
    return nbctl("--home", str(who.home.path), "market", "bid", *want)


def back_up(who: Node) -> int:
    """Back up by hand; return the exit code."""
    return nbctl("--home", str(who.home.path), "backup")[0]


def live(weeks: Weeks, days: float) -> int:
    """Let them live until all was seen, or the days are over; return the exit code."""
    ada = weeks.add("ada", (), bots=Bots(trader="on", arbitrageur="on"))
    first = (ada.address,)
    peers = [weeks.add(name, first) for name in PEERS]
    vito = weeks.add("vito", first)
    for node in weeks.stage.nodes:
        node.start()
    for node in weeks.stage.nodes:
        node.wait_up()
    weeks.tell(f"{len(weeks.stage.nodes)} daemons are up; a day takes {weeks.day_seconds:g} s")
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(back_up, (ada, *peers, vito)))
        weeks.tell(f"all have backed up (exits {', '.join(map(str, codes))})")
    weeks.started = time.monotonic()  # on a busy machine all that took days
    code, _ = bid(ada, vito, "120MiB")
    weeks.tell(f"ada asks for 120 MiB of vito's notes by hand (exit {code})")
    nora = weeks.add("nora", first)
    nora.start()
    nora.wait_up()
    weeks.tell("nora joins, whom nobody knows")
    while weeks.day < days and not weeks.is_done:
        weeks.swing(vito)
        weeks.ask_for_vitos(ada, vito)
        weeks.look(ada, peers, vito, nora)
        time.sleep(LOOK_SECONDS)
    return end(weeks, [ada, *peers, nora])


def end(weeks: Weeks, nodes: list[Node]) -> int:
    """Print what ada is told, check the books, and return the exit code."""
    for command in TOLD:
        weeks.tell(f"nbctl {command}")
        _, told = nbctl("--home", str(nodes[0].home.path), *command.split())
        for line in lines_of(told) if told else ():
            print(f"    {line}")  # noqa: T201 - it is a command
    audits = [nbctl("--home", str(node.home.path), "mint", "audit")[0] for node in nodes]
    weeks.tell(f"{audits.count(0)} of {len(audits)} mints' books are in order")
    missing = [what for what in WANTED if what not in weeks.seen]
    missing += [f"nothing lost since day {weeks.lost_at:.1f}"] if LOST in weeks.seen else []
    for what in missing:
        weeks.tell(f"NOT SEEN: {what}")
    return 1 if missing or any(audits) else 0


def main(argv: list[str] | None = None) -> int:
    """Run the weeks; 0 when all was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.week")
    parser.add_argument("--day-seconds", type=float, default=30.0)
    parser.add_argument("--days", type=float, default=26.0)
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args(argv)
    os.environ[DAY_VARIABLE] = str(asked.day_seconds)  # for the daemons; this process has nothing to do with days
    stage = Stage(Path(tempfile.mkdtemp(prefix="nanobarter-week-")))
    try:
        return live(Weeks(stage, asked.day_seconds), asked.days)
    finally:
        stage.close(keep=asked.keep)


if __name__ == "__main__":
    sys.exit(main())
