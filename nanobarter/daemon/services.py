"""One node's services: built on one store, one network and one clock, run in one nursery.

This is where everything meets. It routes and decides nothing: what a service needs of another is passed in here as
a callable or a port, and what one tells is wired here to whoever listens.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import trio

from nanobarter.bots.keeper import Keeper, Policy
from nanobarter.bots.pinger import FOLLOWED_FOR, Pinger
from nanobarter.bots.pinger import choose as watched
from nanobarter.bots.scheduler import Scheduler, last_until
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.units import MIB, SECOND, Instant, Quantity, Span
from nanobarter.daemon.accounts import pet_of
from nanobarter.daemon.chronicle import Chronicle
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_bots import Switch
from nanobarter.daemon.diary import Diary
from nanobarter.daemon.drills import FILES as DRILL_FILES
from nanobarter.daemon.drills import Drills
from nanobarter.daemon.fates import Fates
from nanobarter.daemon.holdings import Folders, reserve_quantity
from nanobarter.daemon.home import Home
from nanobarter.daemon.jobs import BackupJob
from nanobarter.daemon.keeping import keep_by_policy
from nanobarter.daemon.leaving import Quiet
from nanobarter.daemon.localtime import local_minute
from nanobarter.daemon.looking import LookJob
from nanobarter.daemon.restores import Restores
from nanobarter.daemon.services_dealers import Thrifty, bids_once, dealers_of, own_room
from nanobarter.daemon.services_storage import Storage
from nanobarter.daemon.takeover import Claim
from nanobarter.daemon.terms import terms_of
from nanobarter.daemon.usage import Usage
from nanobarter.matching.wire import bid_id_of
from nanobarter.net.address import Address
from nanobarter.storage.audit import Auditor
from nanobarter.swap.ended import settled_quantity
from nanobarter.swap.events import DraftRefused, SwapEvent, given_in
from nanobarter.translator.asked import asks_of
from nanobarter.translator.budget import Spent, month_of, read_given, spent
from nanobarter.translator.ledger import Ledger
from nanobarter.translator.once import Once
from nanobarter.translator.quoted import quotes_of
from nanobarter.translator.rates import Deal
from nanobarter.translator.report import month_span
from nanobarter.translator.standing import Standing
from nanobarter.translator.vetting import Trust, caps, on_trial, unwanted
from nanobarter.wallet.events import NotesReceived, WalletEvent

KEEPER_PERIOD: Final = Span(30 * SECOND)
JUDGED_FOR: Final = Span(10 * SECOND)
SETTLE: Final = Span(3 * SECOND)  # a catch-up with the first peers takes less


class Node(Storage):
    """The services of one node, built and wired; ``run`` brings them to life."""

    def __init__(self, home: Home, config: Config, *, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        super().__init__(home, config, clock=clock, entropy=entropy, limits=limits)
        self._build_bots()

    def _build_bots(self) -> None:
        self._judgement: tuple[Collection[NodeId], Collection[NodeId]] = ((), ())
        self._judged_until = float("-inf")
        self.ledger = Ledger(
            store=self.store,
            node=self.me,
            clock=self.clock,
            pet=pet_of(self.config),
            limits=self.limits,
            verdict=lambda node: "worthless" if self._shuns(node) else "bad" if self.watch.is_bad(node) else None,
            reliability=self.watch.reliability,
            quotes=self.quotes,
        )
        self.chronicle = Chronicle(
            store=self.store, clock=self.clock, ledger=self.ledger, wallet=self.wallet, mint=self.mint
        )
        self.folders = Folders([Path(p) for p in self.config.backup.folders], self.excludes, self.clock)
        self.usage = Usage(self.folders, self.catalog, self.vault_keys, self.clock)
        policy = Policy(
            self.kind,
            reserve_quantity(self.config.market.reserve_bytes(self.config.offer.space_bytes)),
            self.config.market.wanted_issuers,
            KEEPER_PERIOD,
            SETTLE,
            self.config.market.bargain,
        )
        self.thrifty = Thrifty(self)
        self.keeper = Keeper(
            orders=Quiet(self.thrifty, lambda: self.leaver.leaving or self.config.bots.dry_run),
            held=self.held,
            folder_bytes=self._folder_bytes,
            geometry=self.geometry,
            policy=policy,
            trust=self.trust,
            terms=terms_of(self.config),
            avoid=self.avoided,
        )
        self.keeper.count_room(lambda: own_room(self))
        self.keeper.keep_apart(self.placer.place_of)
        self.pinger = Pinger(
            watch=self.watch,
            caller=self.network,
            peers=self.watched,
            clock=self.clock,
            entropy=self.entropy,
            limits=self.limits,
        )
        self.scheduler = Scheduler(
            every=self.config.backup.every,
            last=self._last_snapshot,
            backup=self._backup,
            clock=self.clock,
            lost=lambda: self.auditor.lost,
            open_at=lambda now: self.config.backup.start_hours.has(local_minute(now)),
        )
        self.drills, self.fates = Drills(self.store, self.clock), Fates(self)
        self.restores = Restores(self.store, self.clock)
        self.driller = Scheduler(
            every=self.config.backup.drill_span,
            last=self._last_drill,
            backup=self._drill,
            clock=self.clock,
            open_at=lambda now: self.config.backup.start_hours.has(local_minute(now)),
            name="drill",
        )
        self.dealers = dealers_of(self)
        self.once = Once(self.store, settled_quantity)
        self.diary = Diary(self)
        self.claim = Claim(home=self.home, key=self.key, gossip=self.gossip, clock=self.clock, entropy=self.entropy)
        self.wallet.observe(self._notes_moved)
        self.swap.observe(self._traded)
        self.swap.observe(self.chronicle.take)
        self.gossip.subscribe("bid", self._bid_heard)
        self.court.observe(lambda _conviction: self.keeper.wake())

    # -- what one service needs of another

    def quotes(self) -> list[Deal]:
        """Return what others offer now, as rates."""
        return quotes_of(self.market.bids(), self.me, self.clock.now())

    def given_once(self, order: Standing) -> int:
        """Return what the bids of an order that stands once have given, all that is remembered of it."""
        return self.once.given(order.bids_ever(self.me))

    def budget(self) -> Spent | None:
        """Return what of this month's budget is used, None when there is none."""
        budget = self.config.market.budget_amount
        if budget is None:
            return None
        since, until = month_span(month_of(self.clock.now()))
        booked = self.store.read_now(lambda db: read_given(db, self.me, since, until))
        return spent(budget, [*booked, *self.chronicle.unbooked(self.me)], self.ledger.pet, [self.kind])

    def watched(self) -> list[NodeId]:
        """Return the peers whose reliability matters to us: who holds or owes something, then who offers.

        Those that are not counted on are among them, since they may come back, and their notes may still be sold.
        """
        turn, offering = self.clock.now() // FOLLOWED_FOR, self.market.offering()
        return watched(self.owed(), self.watch.followed(), offering, self.me, self.limits.ping_peers_max, turn)

    def trust(self, offering: Sequence[NodeId], needed: int) -> Trust:
        """Return what the keeper should know of those who offer."""
        here = list(dict.fromkeys([*offering, *self.held()]))
        known = [node for node in here if self.watch.score(node) is not None]
        vetted = frozenset(node for node in known if self.watch.is_vetted(node))
        capacity = Quantity(self.config.offer.space_bytes // MIB)
        share = self.keeper.plan.per_issuer if self.keeper.plan is not None else Quantity(0)
        leases, clean = self.ledger.clean_leases(), {node: self.watch.clean_windows(node) for node in here}
        bounds = caps(here, vetted, leases, needed=needed, capacity=capacity, share=share, clean=clean)
        judged = frozenset(node for node in known if self.watch.is_judged(node))
        reliability = {node: self.watch.reliability(node) or 0.0 for node in known}
        asks = asks_of(self.market.book)
        return Trust(reliability, vetted, bounds, judged, self.watch.own_reliability(), asks, self.watch.is_new)

    def unwanted(self) -> Collection[NodeId]:
        """Return the peers that proved too bad to keep anything for us, as far as there are others."""
        return self._judged_peers()[0]

    def strangers(self) -> Collection[NodeId]:
        """Return the peers that are to be tried out beside a whole plan."""
        return self._judged_peers()[1]

    def _judged_peers(self) -> tuple[Collection[NodeId], Collection[NodeId]]:
        plan, now = self.keeper.plan, trio.current_time()
        if plan is not None and now >= self._judged_until:  # asked for each pack, and scores change by the hour
            held, needed = self.held(), plan.geometry.n
            trust = self.trust(self.market.offering(), needed)
            keeping = [node for node, each in held.items() if each.lease_used]
            self._judgement = (unwanted(held, trust, needed), on_trial(held, keeping, trust, needed))
            self._judged_until = now + JUDGED_FOR / SECOND
        return self._judgement

    def _peer_connected(self, node: NodeId) -> None:
        super()._peer_connected(node)
        self.keeper.wake()  # it may have been offering for a while

    def _leaving_changed(self) -> None:
        self.keeper.wake()

    def _repair_soon(self) -> None:
        super()._repair_soon()
        self.keeper.wake()  # a peer that is gone or was caught leaves space to be found elsewhere

    def _notes_moved(self, event: WalletEvent) -> None:
        self.keeper.wake()
        self.dealers.wake()
        if (self.auditor.unwell or self.leavers.now()) and isinstance(event, NotesReceived):
            self.repairer.wake()  # there may be room now for what is missing

    def _traded(self, event: SwapEvent) -> None:
        if gave := given_in(event):
            self.market.executed(event.bid, gave)
            self.once.settled(event.bid)
        elif isinstance(event, DraftRefused):
            self.market.asked_in_vain(event.bid, event.reason)
        self.keeper.wake()

    def _bid_heard(self, item: Item) -> None:
        self.keeper.wake()
        if item.node != self.me:
            self.dealers.wake()
        self.swap.questions.bid_changed(bid_id_of(item))

    async def _folder_bytes(self) -> int:
        return (await self.usage.look()).planned_bytes

    async def _last_snapshot(self) -> Instant | None:
        return last_until(self.clock.now(), [line.started for line in await self.catalog.snapshots()])

    async def _last_drill(self) -> Instant | None:
        first = min((line.started for line in await self.catalog.snapshots()), default=None)
        return await self.drills.counted_from(self.config.backup.drill_span or Span(0), first)

    async def _drill(self) -> None:
        async for _ in LookJob(self).drill("", DRILL_FILES):
            pass

    async def _backup(self) -> None:
        async for _ in BackupJob(self).run(()):
            pass
        await keep_by_policy(self)

    def _bots(self) -> list[tuple[Keeper | Pinger | Auditor, Switch]]:
        bots = self.config.bots
        return [(self.keeper, bots.keeper), (self.pinger, bots.pinger), (self.auditor, bots.auditor)]

    # -- life

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled. Tells where it listens once all services are up."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.store.run)
            self.watch.load()
            await self.vault.start()
            await self.placer.start()
            await self.memory.look()
            await self.mint.start()
            bound = await nursery.start(self.network.run)
            bootstrap = tuple(Address(*where) for where in self.config.network.bootstrap_addresses)
            nursery.start_soon(self.directory.run, bound, bootstrap)
            await nursery.start(self.mint.run)
            await nursery.start(self.herald.run)
            await nursery.start(self.gossip.run)
            await nursery.start(self.court.run)
            await nursery.start(self.memory.run)
            await nursery.start(self.wallet.run)
            await nursery.start(self.examiner.run)
            await nursery.start(self.vault.run)
            await nursery.start(self.chronicle.run)
            await nursery.start(self.jobs.run)
            await nursery.start(self.swap.run)
            await self.once.begin(bids_once(self), self.clock.now())
            await nursery.start(self.market.run)
            for bot, switch in self._bots():
                if switch == "on":
                    await nursery.start(bot.run)
            if self.dealers.policy.active:
                await nursery.start(self.dealers.run)
            await nursery.start(self.claim.run)
            await nursery.start(self.diary.run)
            await nursery.start(self.rebuilding.run)
            nursery.start_soon(self._repair_once_whole)
            await nursery.start(self.leaver.run)
            await nursery.start(self.scheduler.run)
            await nursery.start(self.driller.run)
            task_status.started(bound.show() if bound else "nowhere")
