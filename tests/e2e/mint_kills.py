"""``python -m tests.e2e.mint_kills --runs N --seed S``: a real mint, asked over TLS by wallets, and killed N times.

In each run many customers go through chains of operations at once, and thieves pay with each note twice. As soon as
enough requests are on the line, the daemon gets SIGKILL; it is started again, and everyone goes on until served.
Then nothing may be lost, stuck or doubled: what the wallets have is what the mint owes, every second payment was
refused with the first one's witness, and ``nbctl mint audit`` finds nothing.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import trio

from nanobarter.cli.demo_nodes import Node, Stage, free_address, nbctl
from nanobarter.core.keys import SigningKey, identity_of
from nanobarter.core.limits import Limits
from nanobarter.core.phrase import seed_of
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import LeaseKind, Span
from nanobarter.daemon.config import Config, Offer
from nanobarter.daemon.config_network import Network
from nanobarter.mint.notes import Keyset
from nanobarter.net.network import MIGRATIONS as NET_TABLES
from nanobarter.net.network import Network as Net
from nanobarter.net.network import parse_address
from nanobarter.wallet.tables import MIGRATIONS as WALLET_TABLES
from tests.e2e.mint_customers import Customer, Line, Ports, Thief, WentWrongError, insist

KINDS: Final = (LeaseKind("7d"), LeaseKind("30d"))
SPACE: Final = "32GB"
CUSTOMERS: Final = 12
CHAINS: Final = 36  # at once, beside the thieves; one wallet pays one sum after the other of each kind
THIEVES: Final = 6
SERVED: Final = (0, 200)  # so many requests are served before, so that every kind is under way at some kill
WANTED: Final = (8, 20)  # so many requests are on the line when the mint is killed
WANTED_SECONDS: Final = 4.0
MORE_SECONDS: Final = 0.05  # and up to so much later
SERVED_SECONDS: Final = 180.0
AGAIN: Final = 3  # old notes that each thief spends again after each kill
LIMITS: Final = Limits(
    backoff_first=Span(100), backoff_last=Span(300), wallet_backoff=Span(50), wallet_tries_max=3
)  # a person would wait longer for a mint that is down


@dataclass
class Told:
    """What one kill showed."""

    run: int
    seconds: float = 0.0
    in_flight: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])


class Campaign:
    """One mint and its customers."""

    def __init__(self, seed: str, folder: Path) -> None:
        self.luck, self.folder = random.Random(seed), folder
        self.stage = Stage(folder)
        address = free_address()
        offer = Offer(space=SPACE, kinds=tuple(KINDS))
        self.mint: Node = self.stage.add(
            "mint", Config(offer=offer, network=Network(listen=address, same_host_ok=True)), address
        )
        self.key = identity_of(seed_of(self.mint.phrase))
        self.customers = list[Customer]()
        self.thieves = list[Thief]()
        self.line: Line

    async def play(self, runs: int, tell: Callable[[Told], None]) -> None:
        """Kill the mint so many times."""
        self.mint.start()
        await trio.to_thread.run_sync(self.mint.wait_up)
        stores = [Store.open(self.folder / f"customer{n}", (*NET_TABLES, *WALLET_TABLES)) for n in range(CUSTOMERS + 1)]
        try:
            async with trio.open_nursery() as nursery:
                for store in stores:
                    await nursery.start(store.run)
                net = Net(
                    key=SigningKey(os.urandom(32)),
                    listen=None,
                    bootstrap=[parse_address(self.mint.address)],
                    store=stores[-1],
                    clock=SystemClock(),
                    entropy=SystemEntropy(),
                    limits=LIMITS,
                    same_host_ok=True,
                )
                await nursery.start(net.run)
                self.line = Line(net)
                ports = Ports(self.key, self.line, SystemClock(), SystemEntropy(), LIMITS)
                self.customers = [Customer(f"customer {n}", ports, store) for n, store in enumerate(stores[:-1])]
                self.thieves = [Thief(f"thief {n}", ports, KINDS[n % len(KINDS)]) for n in range(THIEVES)]
                for number in range(runs):
                    tell(await self._run(number))
                nursery.cancel_scope.cancel()
        finally:
            for store in stores:
                store.close()

    async def _run(self, number: int) -> Told:
        told, began = Told(number), time.monotonic()
        try:
            with trio.fail_after(SERVED_SECONDS):
                async with trio.open_nursery() as nursery:
                    for chain in range(CHAINS):
                        nursery.start_soon(self._chain, f"{number}/{chain}", random.Random(self.luck.random()))
                    for thief in self.thieves:
                        nursery.start_soon(self._theft, thief)
                    nursery.start_soon(self._strike, told)
                for thief in self.thieves:
                    await thief.try_again(await self._keyset(thief.kind), self.luck, AGAIN)
            told.problems += self._books()
            code, answer = await trio.to_thread.run_sync(nbctl, "--home", str(self.mint.home.path), "mint", "audit")
            if code:
                told.problems.append(f"nbctl mint audit: exit {code}: {answer}")
        except* WentWrongError as group:
            told.problems += [str(error) for error in _leaves(group)]
        except* trio.TooSlowError:
            told.problems.append(f"not everyone was served in {SERVED_SECONDS:g} s: {self.line.under_way}")
        told.seconds = round(time.monotonic() - began, 1)
        return told

    async def _chain(self, label: str, luck: random.Random) -> None:
        mine, other = luck.sample(self.customers, 2)
        await mine.shop(label, luck, luck.choice(KINDS), other)

    async def _theft(self, thief: Thief) -> None:
        await thief.steal(await self._keyset(thief.kind))

    async def _keyset(self, kind: LeaseKind) -> Keyset:
        keysets = self.customers[0].wallet.keysets
        await insist(lambda: keysets.fetch(self.key.node_id))
        now = SystemClock().now()
        return next(k for k in keysets.of(self.key.node_id) if k.quality.kind == kind and k.issuing(now))

    async def _strike(self, told: Told) -> None:
        served, wanted = self.line.served + self.luck.randint(*SERVED), self.luck.randint(*WANTED)
        with trio.move_on_after(WANTED_SECONDS):
            while self.line.served < served or len(self.line.under_way) < wanted:  # noqa: ASYNC110 - a moment, no event
                await trio.sleep(0.002)
        await trio.sleep(self.luck.uniform(0, MORE_SECONDS))
        if self.mint.process is None or self.mint.process.poll() is not None:
            raise WentWrongError(f"the mint exited by itself: {self.mint.process and self.mint.process.returncode}")
        os.kill(self.mint.process.pid, signal.SIGKILL)
        told.in_flight = dict(Counter(self.line.under_way.values()))
        await trio.to_thread.run_sync(self.mint.kill)
        await trio.to_thread.run_sync(self.mint.start)

    def _books(self) -> list[str]:
        """Compare what the mint owes with what its customers have; all is quiet now."""
        db = sqlite3.connect(f"file:{self.mint.home.state_path}?mode=ro", uri=True)
        totals = {
            kind: row for kind, *row in db.execute("SELECT kind, outstanding, locked, leased, pledged FROM mint_totals")
        }
        db.close()
        wrong = list[str]()
        for kind in KINDS:
            outstanding, locked, leased, pledged = totals[kind]
            notes = sum(c.held(kind) for c in self.customers) + sum(t.gains for t in self.thieves if t.kind == kind)
            contracts = [c for customer in self.customers for c in customer.leased.values() if c.terms.kind == kind]
            leases = sum(c.terms.quantity for c in contracts)
            if (outstanding, locked, leased) != (notes, 0, leases) or outstanding + leased > pledged:
                wrong.append(
                    f"{kind}: the mint owes {outstanding} MiB in notes, {locked} in locks, {leased} in leases of "
                    f"{pledged}; its customers have {notes}, none, {leases}"
                )
        stuck = sum(c.unsettled() for c in self.customers)
        return wrong + ([f"{stuck} bodies were never settled"] if stuck else [])


def _leaves(group: BaseExceptionGroup[WentWrongError]) -> list[BaseException]:
    return [x for e in group.exceptions for x in (_leaves(e) if isinstance(e, BaseExceptionGroup) else [e])]


def main() -> int:
    """Run the campaign; 0 only when nothing went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.mint_kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a time limit leaves no daemon behind
    told = list[Told]()

    def tell(one: Told) -> None:
        told.append(one)
        print(json.dumps({"type": "mint_kill", **asdict(one)}), flush=True)  # noqa: T201 - the report

    with tempfile.TemporaryDirectory(prefix="nb-mint-kills-") as folder:
        campaign = Campaign(asked.seed, Path(folder))
        try:
            trio.run(campaign.play, asked.runs, tell)
        finally:
            campaign.stage.close(keep=True)
        print(json.dumps(summary(campaign, told)), flush=True)  # noqa: T201 - the report
    return 1 if len(told) < asked.runs or any(one.problems for one in told) else 0


def summary(campaign: Campaign, told: list[Told]) -> dict[str, object]:
    """Return what a campaign came to."""
    return {
        "type": "mint_kills",
        "kills": len(told),
        "in_flight": sum(sum(one.in_flight.values()) for one in told),
        "in_flight_by_operation": _sum(one.in_flight for one in told),
        "done": _sum(c.done for c in campaign.customers),
        "double_spends_refused_with_witness": sum(t.refusals for t in campaign.thieves),
        "wrong": sum(bool(one.problems) for one in told),
    }


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for count in counts:
        total.update(count)
    return dict(total)


if __name__ == "__main__":
    sys.exit(main())
