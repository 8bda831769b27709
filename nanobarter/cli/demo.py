"""``nbctl demo``: a small network of real daemons barters space, keeps a folder, loses machines, gives it back.

It starts daemons, kills them and asks them, nothing else: whatever it shows comes from their local APIs, and the
same commands typed by hand give the same. Who wants whose notes is set so that one agreement needs three partners:
``cleo`` takes only notes of ``bruno``, and ``bruno`` only those of ``owner``; so the owner can get space at cleo
only in a ring of the three.
"""

import argparse
import json
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from nanobarter.cli.demo_cast import AUDIT, BID_SPAN, KIND, SWAP, name_of, owner_config, peer_config
from nanobarter.cli.demo_folder import Copied, Entry, copy_folder, default_folder, differences, survey
from nanobarter.cli.demo_nodes import Node, Stage, free_address, nbctl, remove_tree
from nanobarter.cli.estimate import expected_plan, show_cost
from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.node import wait_until
from nanobarter.cli.show import lines_of
from nanobarter.core.errors import UsageError
from nanobarter.core.units import show_size
from nanobarter.translator.plan import Plan

NODES_MIN: Final = 5  # an owner and four peers: 2-of-4 is the least code that outlives two deaths
NODES_MAX: Final = 26
KILLED: Final = 2

_MEET_SECONDS: Final = 60.0
_BARTER_SECONDS: Final = 90.0
_AUDIT_SECONDS: Final = 60.0
_BACKUP_TRIES: Final = 5
_LOOK_SECONDS: Final = 0.3  # every look asks all daemons, which have better things to do on two cores


def demo(asked: argparse.Namespace) -> int:
    """Run the demo; done only when everything came back identical."""
    if not NODES_MIN <= asked.nodes <= NODES_MAX:
        raise UsageError(f"--nodes {asked.nodes} is out of range", hint=f"choose from {NODES_MIN} to {NODES_MAX}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    stage = Stage(Path(tempfile.mkdtemp(prefix="nanobarter-demo-")))
    play = _Play(stage, as_json=asked.json)
    try:
        return play.run(asked.folder, asked.nodes)
    except CommandFailed as failed:
        play.last_line(ok=False, detail=str(failed))
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave daemons behind
        stage.close(keep=asked.keep)
        if asked.keep:
            play.tell(f"left behind: {stage.folder}")
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


@dataclass
class _Play:
    """The acts of the demo in order, and what was seen in them."""

    stage: Stage
    as_json: bool
    started: float = field(default_factory=time.monotonic)
    agreements: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    leases: int = 0
    shares: int = 0
    audits: int = 0
    killed: list[str] = field(default_factory=list[str])
    files: int = 0
    found: list[str] = field(default_factory=list[str])

    def run(self, folder: Path | None, nodes: int) -> int:
        copied, before = self._her_folder(folder)
        self.files = copied.files
        plan = expected_plan(copied.size_bytes, KIND, nodes - 1)
        self.tell(show_cost(plan, nodes - 1))
        self._start(plan, nodes)
        self._meet()
        self._barter(plan)
        self._back_up()
        self._audit()
        told = self._tell_books()
        phrase_file = self._lose()
        self._restore(phrase_file, before)
        for line in told:
            self.tell(line)
        ok = not self.found
        verdict = "everything is identical" if ok else "NOT identical"
        self.tell(f"{verdict}: {self.files} files, {show_size(copied.size_bytes)}")
        self.last_line(ok=ok)
        return Exit.DONE if ok else Exit.FAILED

    # -- speaking

    def tell(self, text: str) -> None:
        seconds = time.monotonic() - self.started
        if self.as_json:
            print(json.dumps({"type": "demo_event", "seconds": round(seconds, 1), "text": text}), flush=True)
        else:
            print(f"{seconds:6.1f} s  {text}", flush=True)

    def last_line(self, *, ok: bool, detail: str = "") -> None:
        """Print the line that other programs read."""
        if not self.as_json:
            return
        rings = [{"draft_id": draft, "parties": parties} for draft, parties in self.agreements.items()]
        told = {
            "type": "demo", "ok": ok, "nodes": len(self.stage.nodes), "agreements": rings, "leases": self.leases,
            "shares": self.shares, "audits_passed": self.audits, "killed": self.killed, "files": self.files,
            "differences": self.found, "seconds": round(time.monotonic() - self.started, 1),
        }  # fmt: skip
        print(json.dumps({**told, "detail": detail} if detail else told), flush=True)

    # -- the acts

    @property
    def _owner(self) -> Node:
        return self.stage.nodes[0]

    @property
    def _folder(self) -> Path:
        return self.stage.folder / "her folder"

    def _her_folder(self, folder: Path | None) -> tuple[Copied, dict[bytes, Entry]]:
        source = (folder or default_folder()).expanduser().absolute()
        copied = copy_folder(source, self._folder, is_default=folder is None)
        for line in copied.unread[:10]:
            self.tell(f"cannot be read, left out: {line}")
        self.tell(f"her folder: {copied.files} files, {show_size(copied.size_bytes)}, a copy of {source}")
        if copied.unread:
            self.tell(f"left out: {len(copied.unread)} that could not be read")
        return copied, survey(self._folder)

    def _start(self, plan: Plan, count: int) -> None:
        self.tell(
            f"shortened times: swap approve {SWAP.approve}, lock {SWAP.lock}, vote {SWAP.vote}, delta {SWAP.delta};"
            f" audit period {AUDIT.period}, grace {AUDIT.grace}; bids live {BID_SPAN}"
        )
        bruno_at, hers = free_address(), free_address()
        owner = self.stage.add("owner", owner_config(self._folder, plan, hers, (bruno_at,)), hers)
        bruno = self._add_peer("bruno", plan, bruno_at, (), wants=owner.node)
        self._add_peer("cleo", plan, free_address(), (bruno_at,), wants=bruno.node)
        for index in range(2, count - 1):
            # Owner needs plan.geometry.n peers: one fewer take her notes directly, so that a ring is never spared.
            wants = owner.node if index < plan.geometry.n else bruno.node
            self._add_peer(name_of(index), plan, free_address(), (bruno_at,), wants=wants)
        for node in self.stage.nodes[1:]:
            node.wait_up()
        owner.start()  # last, as a newcomer to a network that is there
        owner.wait_up()
        self.tell(f"{count} daemons are up: " + ", ".join(f"{n.name} {n.node[:10]}" for n in self.stage.nodes))
        self.tell(
            "cleo takes only notes of bruno, the others only notes of owner: owner reaches cleo in a ring of three"
        )

    def _add_peer(self, name: str, plan: Plan, address: str, bootstrap: tuple[str, ...], *, wants: str) -> Node:
        node = self.stage.add(name, peer_config(plan, address, bootstrap, wants), address)
        node.start()
        return node

    def _meet(self) -> None:
        wanted = len(self.stage.nodes) - 1
        if not wait_until(lambda: self._known(wanted), _MEET_SECONDS):
            raise CommandFailed(f"the daemons did not find each other within {_MEET_SECONDS:g} s")
        self.tell(f"{wanted} peers are connected to owner over TLS")
        self._await(lambda: _bids(self._owner) > 0, _MEET_SECONDS)
        self.tell(f"{_bids(self._owner)} bids heard at owner")

    def _known(self, wanted: int) -> bool:
        status = self._owner.ask("/v1/status")
        return status is not None and status["peers_connected"] >= wanted

    def _barter(self, plan: Plan) -> None:
        if self._await(lambda: self._enough_barter(plan.geometry.n), _BARTER_SECONDS):
            return
        self.tell("not every peer has bartered yet; the backup goes on with what there is")

    def _enough_barter(self, issuers_wanted: int) -> bool:
        """Tell whether owner has space at as many peers as her plan has shares, and someone needed three partners.

        In a ring each party gives to the next, so the one before owner is the one whose space she got.
        """
        mine = [parties for parties in self.agreements.values() if self._owner.node in parties]
        issuers = {parties[parties.index(self._owner.node) - 1] for parties in mine}
        ring = any(len(parties) > 2 for parties in self.agreements.values())  # noqa: PLR2004 - more than a pair
        return ring and len(issuers) >= issuers_wanted

    def _back_up(self) -> None:
        self.tell("nbctl backup")
        for attempt in range(1, _BACKUP_TRIES + 1):
            code, done = nbctl("--home", str(self._owner.home.path), "backup")
            if code in (Exit.DONE, Exit.PARTLY_READ):
                break
            self.tell(f"the backup ended with exit {code}; try {attempt} of {_BACKUP_TRIES}")
            self._await(lambda: self._owner.ask("/v1/status") is not None, _MEET_SECONDS)
        else:
            raise CommandFailed("the backup did not succeed")
        self._hear()
        for line in lines_of(done):
            self.tell(line)
        leases = self._owner.ask("/v1/leases") or {"leases": []}
        held = [lease for lease in leases["leases"] if lease["side"] == "held"]
        self.leases = len(held)
        self.tell(f"{self.leases} leases at {', '.join(sorted({self.stage.name_of(x['issuer']) for x in held}))}")

    def _audit(self) -> None:
        self.tell("nbctl audit")
        nbctl("--home", str(self._owner.home.path), "audit")
        self._await(lambda: _proven(self._health()), _AUDIT_SECONDS)
        health = self._health()
        self.shares, self.audits = int(health["shares_placed"]), int(health["audits_passed"])
        self.tell(f"{self.shares} shares placed, {health['shares_proven']} proven, {self.audits} audits passed")

    def _health(self) -> dict[str, Any]:
        return self._owner.ask("/v1/health") or {"shares_placed": 0, "shares_proven": 0, "audits_passed": 0}

    def _tell_books(self) -> list[str]:
        """Ask owner for her balance and report while she still has a machine; they are told at the end."""
        told = list[str]()
        for name in ("balance", "report"):
            if answer := self._owner.ask(f"/v1/{name}"):
                told += [f"{name} of owner, as it stood before the loss:", *(f"  {x}" for x in lines_of(answer))]
        return told

    def _lose(self) -> Path:
        victims = self._victims()
        for node in victims:
            node.kill()
            self.killed.append(node.node)
        self.tell(f"killed with SIGKILL: {', '.join(node.name for node in victims)}")
        phrase_file = self.stage.folder / "phrase"
        phrase_file.touch(mode=0o600)
        phrase_file.write_text(self._owner.phrase + "\n")
        self._owner.kill()
        remove_tree(self._owner.home.path)
        remove_tree(self._folder)
        self.tell("owner's machine is gone: daemon killed, home and folder deleted; the phrase is left")
        return phrase_file

    def _victims(self) -> list[Node]:
        """Choose two peers that hold a share of every pack."""
        health = self._health()
        full = {row["node"] for row in health.get("holders", ()) if row["packs"] >= health["packs"] > 0}
        victims = [node for node in self.stage.nodes[1:] if node.node in full][-KILLED:]
        if len(victims) < KILLED:
            raise CommandFailed(f"only {len(victims)} peers hold a share of every pack; {KILLED} are to be killed")
        return victims

    def _restore(self, phrase_file: Path, before: dict[bytes, Entry]) -> None:
        living = next(node for node in self.stage.nodes[1:] if node.node not in self.killed)
        target = self.stage.folder / "restored"
        self.tell(f"nbctl restore --phrase-file ... --bootstrap {living.address} ({living.name})")
        arguments = ("--phrase-file", str(phrase_file), "--bootstrap", living.address, "--target", str(target))
        code, done = nbctl("--home", str(self.stage.folder / "nowhere"), "restore", *arguments)
        if not done:
            raise CommandFailed(f"the restore failed with exit {code}")
        for line in lines_of(done):
            self.tell(line)
        self.found = differences(before, survey(target))
        for line in self.found[:10]:
            self.tell(f"differs: {line}")

    # -- listening

    def _await(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition while telling what the daemons agree on."""

        def look() -> bool:
            self._hear()
            return condition()

        return wait_until(look, seconds, every=_LOOK_SECONDS)

    def _hear(self) -> None:
        """Tell each settled agreement once, from whichever node shows it first."""
        for node in self.stage.nodes:
            for ring in (node.ask("/v1/market") or {"agreements": []})["agreements"]:
                if ring["state"] == "settled" and ring["draft_id"] not in self.agreements:
                    self.agreements[ring["draft_id"]] = list(ring["parties"])
                    names = " -> ".join(map(self.stage.name_of, ring["parties"]))
                    self.tell(
                        f"a cycle of {len(ring['parties'])} settled: {names}, {ring['gave_mib']} MiB of notes each"
                    )


def _bids(node: Node) -> int:
    return int((node.ask("/v1/status") or {"bids_heard": 0})["bids_heard"])


def _proven(health: dict[str, Any]) -> bool:
    return health["shares_placed"] > 0 and health["shares_proven"] >= health["shares_placed"]
