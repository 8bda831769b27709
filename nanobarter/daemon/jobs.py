"""The long jobs of a node: a backup, from bartering for space to the last proof, and a restore.

Each runs as a task of the node that reports into a channel; whoever asked reads events until the result, and going
away cancels the task. What was stored or restored until then stays valid.
"""

import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import trio

from nanobarter.core.errors import InvariantBroken, Reason, UsageError
from nanobarter.core.heap import give_back
from nanobarter.core.ids import NodeId, PackId
from nanobarter.core.pathtext import received
from nanobarter.core.units import MIB, SECOND, show_size
from nanobarter.daemon import facade
from nanobarter.daemon.api import refuse
from nanobarter.daemon.backup_words import in_words
from nanobarter.daemon.codes import lost_of, outgrown_of, step_down, yet_to_bid
from nanobarter.storage import backup as engine
from nanobarter.translator.plan import Plan

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node

T = TypeVar("T", bound=facade.Shape)
EVENTS_MAX: Final = 16  # progress that nobody reads in time is dropped; the result never is
LISTED_MAX: Final = 100  # paths told of files that could not be read
SKIPPED_MAX: Final = 10  # sockets and FIFOs told of: programs make them anew
FILLS_MAX: Final = 3  # passes over packs that miss shares before a backup says what it has
FILL_AGAIN: Final = 2.0  # seconds between two passes: a peer that restarts needs one or two
YOUNG_SECONDS: Final = 60.0  # by then even a slow network that started with us has met
TRIM_SECONDS: Final = 300.0  # between two returns of free memory to the system; each takes milliseconds
LOOK_AGAIN: Final = 0.25  # seconds between two looks at what was bartered

Say = Callable[[facade.Progress], None]


class Jobs:
    """Runs long jobs in a nursery of the node, so that nobody who reads their events holds one open."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be the place where jobs run, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                task_status.started()
                while True:  # what peers sent, and what jobs took
                    await trio.sleep(TRIM_SECONDS)
                    await trio.to_thread.run_sync(give_back)
            finally:
                self._nursery = None

    def beside(self, work: Callable[[], Awaitable[object]]) -> None:
        """Start something short that nobody waits for."""
        if self._nursery is not None:
            self._nursery.start_soon(work)

    async def events(self, work: Callable[[Say], Awaitable[T]]) -> AsyncGenerator[facade.Progress | T]:
        """Start a job and yield its progress and its result; raise what it raised. Closing cancels it."""
        if self._nursery is None:
            raise refuse(Reason.STOPPING, "the node is stopping")
        send, receive = trio.open_memory_channel[facade.Progress | T](EVENTS_MAX)
        scope, failed = trio.CancelScope(), list[Exception]()
        self._nursery.start_soon(_job, work, send, scope, failed)
        try:
            async for event in receive:
                yield event
            if failed:
                raise failed[0]
        finally:
            scope.cancel()
            receive.close()


async def _job(
    work: Callable[[Say], Awaitable[T]],
    send: trio.MemorySendChannel[facade.Progress | T],
    scope: trio.CancelScope,
    failed: list[Exception],
) -> None:
    def say(progress: facade.Progress) -> None:
        with suppress(trio.WouldBlock, trio.BrokenResourceError):
            send.send_nowait(progress)

    with scope, send:
        try:
            result = await work(say)
            await trio.to_thread.run_sync(give_back)
            await send.send(result)
        except InvariantBroken:
            raise
        except Exception as error:  # noqa: BLE001 - handed to whoever asked for the job
            failed.append(error)


def shown(path: bytes) -> str:
    """Return a path as text that can be printed whatever bytes it has."""
    return path.decode("utf-8", "backslashreplace")


class BackupJob:
    """One backup of some folders."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def run(self, folders: tuple[str, ...]) -> AsyncGenerator[facade.Progress | facade.BackupDone]:
        """Yield progress and at last the result. Raises UsageError, RefusedError and what the disk raises."""
        return self._node.jobs.events(
            lambda say: in_words(self._work(folders or self._node.config.backup.folders, say))
        )

    async def _work(self, folders: Sequence[str], say: Say) -> facade.BackupDone:
        node, started = self._node, trio.current_time()
        node.rebuilding.demand()
        paths = [_existing(folder) for folder in folders]
        if not paths:
            raise UsageError("no folder to back up", hint="name one, or add it to [backup] folders in config.toml")
        node.folders.add(paths)
        say(facade.Progress(phase="measuring"))
        node.jobs.beside(lambda: node.reader.rests.end_of_the_living(mute_too=True))  # who failed last time may be back
        await node.folders.measure(anew=True)
        await trio.to_thread.run_sync(node.auditor.look)  # who was caught and has proven a share since counts again
        plan = await self._wait_for_space(say)
        stepped_down = await step_down(node, plan)
        if stepped_down:
            say(facade.Progress(phase="less safe than before", note=stepped_down))
        total = (await node.folders.measure()).size_bytes

        def moved(progress: engine.Progress) -> None:
            note = f"{progress.files} files, {progress.packs} packs placed"
            say(facade.Progress(phase="storing", done=progress.seen_bytes, total=total, unit="bytes", note=note))

        summary = await engine.backup(
            roots=paths,
            keys=node.vault_keys,
            catalog=node.catalog,
            sink=node.placer,
            geometry=(plan.geometry.k, plan.geometry.n),
            clock=node.clock,
            entropy=node.entropy,
            host=socket.gethostname(),
            excludes=node.excludes,
            lost=lambda: self._replaced(plan, say),
            limits=node.limits,
            progress=moved,
        )
        await self._fill(say)
        replaced = await node.catalog.drop_replaced()
        say(facade.Progress(phase="publishing the catalog"))
        await node.publish_catalog()
        for pack_id in replaced:  # not before the heads at the peers name what takes their place
            await node.placer.remove(pack_id)
        await self._fill(say)  # the catalog is in packs too, and a peer may have missed just those
        done = await self._done(summary, plan, trio.current_time() - started)
        return msgspec.structs.replace(done, stepped_down=stepped_down)

    async def _replaced(self, plan: Plan, say: Say) -> list[PackId]:
        """Return the packs whose contents are stored again: those that are lost, and those that were outgrown.

        The peers of lost ones are asked once more before. A pack is outgrown when it was made thin, for few peers,
        and more owe us enough by now: who started among two strangers shall not depend on them for ever.
        """
        auditor = self._node.auditor
        if lost_of(auditor):
            say(facade.Progress(phase="asking after lost packs"))
            await auditor.round_now(everything=True)
        again = lost_of(auditor)
        if sum(h.total >= plan.per_issuer for h in self._node.held().values()) >= plan.geometry.n:
            again += outgrown_of(auditor, plan.geometry)
        return again

    async def _wait_for_space(self, say: Say) -> Plan:
        """Wait until the plan's issuers owe enough, or patience ends and at least k of them do."""
        node = self._node
        ends = trio.current_time() + node.config.backup.patience_span / SECOND
        while True:
            plan, held = await node.keeper.look(), node.held()
            needed = plan.per_issuer if plan is not None else 0
            filled = sum(h.total >= needed for h in held.values())
            silent = self._silent(plan) if plan is not None else set[NodeId]()
            if plan is not None and filled >= plan.geometry.n and node.keeper.is_settled and not silent:
                return plan
            wanted = plan.geometry.n if plan is not None else 0
            note = f"{filled} of {wanted} peers, and hearing what {len(silent)} more offer" if silent else ""
            say(facade.Progress(phase="bartering for space", done=filled, total=wanted, unit="peers", note=note))
            if trio.current_time() > ends or self._is_hopeless(plan, filled):
                if plan is not None and filled >= plan.geometry.k:
                    return plan
                raise refuse(Reason.NO_CAPACITY, self._why_not(plan, filled))
            await trio.sleep(LOOK_AGAIN)

    def _silent(self, plan: Plan) -> set[NodeId]:
        """Return the peers that a node that has just started may yet hear bids of, where its packs would be thin."""
        node, now = self._node, trio.current_time()
        if now >= node.started_at + YOUNG_SECONDS or not plan.geometry.thin or node.config.market.wants:
            return set()
        heard = {*node.market.offering(), *node.held()}
        return yet_to_bid(node.network.connected(), heard, node.met_at, now)

    def _is_hopeless(self, plan: Plan | None, filled: int) -> bool:
        """Tell whether all space on offer, traded away at par, would not bring enough: then waiting is in vain."""
        if plan is None or filled >= plan.geometry.k:
            return False
        return sum(c.pledged for c in self._node.mint.capacity()) < plan.per_issuer * (plan.geometry.k - filled)

    def _why_not(self, plan: Plan | None, filled: int) -> str:
        if not self._node.network.connected():
            return "no peer answers; check [network] bootstrap in config.toml"
        if plan is None:
            return "no peer offers space that this node may take; wait for more peers or widen [market] wants"
        free = sum(c.free for c in self._node.mint.capacity())
        missing = plan.per_issuer * (plan.geometry.n - filled)
        if free < missing:
            return (
                f"the folders need {show_size(missing * MIB)} more lent to others, and {show_size(free * MIB)} of your "
                "offer are free; raise it (nbctl offer grow), or back up less"
            )
        return f"only {filled} of {plan.geometry.n} peers traded space for ours so far; try again later"

    async def _fill(self, say: Say) -> None:
        """Give peers that answer another chance: a slow one was passed over, so that it would not hold up the upload.

        One that hangs is left to the repairs to come.
        """
        node = self._node
        for _ in range(FILLS_MAX):
            missing = sum(max(h.row.n - h.proven, 0) for h in node.auditor.health())
            if not missing:
                return
            say(facade.Progress(phase="placing what slow peers missed", done=0, total=missing, unit="shares"))
            back = await node.reader.rests.end_of_the_living()
            await node.repairer.round_now()
            if {lease.issuer for lease in node.leases.live()} - set(node.network.connected()):
                await trio.sleep(FILL_AGAIN)
            elif not back:
                return

    async def _done(self, summary: engine.Summary, plan: Plan, seconds: float) -> facade.BackupDone:
        node, snapshot = self._node, summary.snapshot
        missing = [p for p in snapshot.problems if p.trouble != "skipped"]
        special = [p for p in snapshot.problems if p.trouble == "skipped"]
        health = await node.proofs.health()
        return facade.BackupDone(
            snapshot_id=summary.snapshot_id.hex(),
            outcome="complete" if summary.complete else "partial",
            thin=health.state != "good",
            below_threshold=health.below_threshold,
            files=snapshot.stats.files,
            size_bytes=snapshot.stats.seen_bytes,
            new_bytes=snapshot.stats.new_bytes,
            packs=summary.progress.packs,
            shares=health.shares_proven,
            k=plan.geometry.k,
            n=plan.geometry.n,
            unread_count=snapshot.problem_count - summary.progress.skipped,
            unread=tuple(f"{shown(p.path)}: {p.detail or p.trouble}" for p in missing[:LISTED_MAX]),
            skipped_count=summary.progress.skipped,
            skipped=tuple(f"{shown(p.path)}: {p.detail}" for p in special[:SKIPPED_MAX]),
            seconds=round(seconds, 3),
        )


def _existing(folder: str) -> Path:
    path = Path(received(folder)).expanduser()
    if not path.is_absolute():
        raise UsageError(f"the folder {folder!r} is not an absolute path", hint="write it from the root: /home/...")
    if not os.path.lexists(path):
        raise UsageError(f"the folder {folder} is not there", hint="check the path, or mount its disk")
    return path
