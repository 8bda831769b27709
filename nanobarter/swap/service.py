"""The swap as its node runs it: takes proposals, records each state, then lets its orders be carried.

Read ``inbox`` for what others say to it, ``joining`` for how it enters a ring, ``rings`` for how a step is made
durable, ``carrier`` for how it is carried, ``pushing`` for our part as an issuer.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from nanobarter.core.errors import InvariantBroken, Reason, Refused
from nanobarter.core.ids import BidId, DraftId, NodeId
from nanobarter.core.item import Item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.ports import Caller, Clock, Entropy, Registrar
from nanobarter.core.store import Store
from nanobarter.core.units import HOUR, SECOND, Quantity
from nanobarter.matching.network import Match
from nanobarter.mint.events import MintEvent
from nanobarter.mint.service import Mint
from nanobarter.swap import tables, tasks
from nanobarter.swap.amends import Debtor
from nanobarter.swap.approval import Approver
from nanobarter.swap.asking import Asker
from nanobarter.swap.carrier import Carrier
from nanobarter.swap.caution import promised_in
from nanobarter.swap.drafting import Drafter
from nanobarter.swap.errands import Errands
from nanobarter.swap.events import Aborted, Amount, Approved, Asked, DraftRefused, Outcome, SwapEvent
from nanobarter.swap.inbox import Inbox
from nanobarter.swap.joining import Joiner
from nanobarter.swap.making import make_agreed, make_draft, ring_of
from nanobarter.swap.messages import DETAIL_MAX, DraftArc, draft_id_of, open_approve
from nanobarter.swap.news import amount_of, news_of
from nanobarter.swap.policy import ApproveAll, Policy
from nanobarter.swap.positions import mine_in, taken_by
from nanobarter.swap.pushing import Pusher
from nanobarter.swap.questions import asks, is_a_question
from nanobarter.swap.rings import Rings
from nanobarter.swap.states import Aborted as AbortedState
from nanobarter.swap.states import Gathering, Given, LockFailed, Restarted, State
from nanobarter.swap.terms import SwapTimes
from nanobarter.wallet.service import Wallet

Blamed = Callable[[NodeId, str], None]


class Swap:
    """Takes part in rings. The store must be running; calls wait until ``run`` has taken up what was under way."""

    def __init__(  # noqa: PLR0913 - ports are passed by name
        self,
        *,
        store: Store,
        key: SigningKey,
        caller: Caller,
        registrar: Registrar,
        mint: Mint,
        wallet: Wallet,
        clock: Clock,
        entropy: Entropy,
        limits: Limits = LIMITS,
        times: SwapTimes | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._store, self._key, self._caller, self._wallet, self._mint = store, key, caller, wallet, mint
        self._clock, self._entropy, self._limits = clock, entropy, limits
        self._times = times or SwapTimes()
        policy = policy or ApproveAll()
        self._rings = Rings(
            me=key.node_id,
            store=store,
            clock=clock,
            times=self._times,
            limits=limits,
            changed=self._changed,
            blamed=self._blamed,
        )
        self._asker = Asker(
            key=key,
            store=store,
            clock=clock,
            limits=limits,
            times=self._times,
            state=self._rings.state,
            errands=lambda questions: Errands(
                questions=questions,
                key=key,
                caller=caller,
                clock=clock,
                limits=limits,
                state=self._rings.state,
                draft=self._draft_arcs,
                newest=policy.newest,
            ),
            newest=policy.newest,
            told=self._tell,
            blamed=self._blamed,
        )
        self._approver = Approver(
            asker=self._asker,
            key=key,
            caller=caller,
            mint=mint,
            wallet=wallet,
            clock=clock,
            entropy=entropy,
            limits=limits,
            times=self._times,
            policy=policy,
            objection=self._rings.objection,
        )
        self._debtor = Debtor(key=key, caller=caller, wallet=wallet, store=store, clock=clock, limits=limits)
        self._joiner = Joiner(
            key=key,
            caller=caller,
            rings=self._rings,
            approver=self._approver,
            debtor=self._debtor,
            clock=clock,
            limits=limits,
            stock=policy.stock,
            told=self._tell,
        )
        self._drafter = Drafter(
            key=key,
            joiner=self._joiner,
            clock=clock,
            entropy=entropy,
            limits=limits,
            times=self._times,
            unreserve=wallet.unreserve,
        )
        self._inbox = Inbox(
            node=key.node_id,
            store=store,
            clock=clock,
            times=self._times,
            overtaken=limits.swap_overtaken,
            rings=self._rings,
            joiner=self._joiner,
            asker=self._asker,
            debtor=self._debtor,
            start=self._start,
        )
        self.me: NodeId = key.node_id
        self._observers, self._fault_observers = list[Callable[[SwapEvent], None]](), list[Blamed]()
        self._nursery: trio.Nursery | None = None
        self._pusher: Pusher | None = None
        self._inbox.register(registrar)
        registrar.add("swap.terms", self._approver.on_terms, body_max=64)
        mint.observe(self._on_mint_event)

    # -- life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take up all rings where the disk remembers them, and carry on until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            carrier = Carrier(
                nursery=nursery,
                key=self._key,
                caller=self._caller,
                wallet=self._wallet,
                clock=self._clock,
                limits=self._limits,
                learned=self._learned,
                agree=self._agree,
            )
            self._pusher = Pusher(
                nursery=nursery,
                store=self._store,
                caller=self._caller,
                clock=self._clock,
                limits=self._limits,
                find_lock=self._mint.lock,
                hear=self._inbox.hear,
            )
            self._pusher.load()
            drafts = self._rings.start(carrier)
            for draft, state in self._rings.live().items():
                self._wallet.lock_keys(draft, mine_in(state).index)  # so that the wallet can sign for them again
            self._asker.start(nursery)
            self._debtor.start(self._start)
            self._inbox.open(self._pusher)
            for draft in drafts:
                await self._rings.apply(draft, Restarted())
            task_status.started()
            while True:
                await self._prune()
                await trio.sleep(HOUR / SECOND)

    async def _prune(self) -> None:
        now = self._clock.now()
        await self._store.write(lambda db: tables.prune(db, self._limits, now))
        await self._store.write(lambda db: tables.prune_standings(db, self._limits.swap_standings_max))
        if self._pusher is not None:
            await self._pusher.forget()

    def _start(self, action: Callable[..., Awaitable[object]], *args: object) -> None:
        if self._nursery is None:
            raise InvariantBroken("the swap is asked to act before it runs")
        tasks.start(self._nursery, action, *args)

    # -- what the node asks

    def observe(self, callback: Callable[[SwapEvent], None]) -> None:
        """Be told each event after it is durable. The callback must neither block nor raise."""
        self._observers.append(callback)

    def observe_faults(self, callback: Blamed) -> None:
        """Be told of each breach of a rule: who, and what it did."""
        self._fault_observers.append(callback)

    def busy(self, bid: BidId) -> bool:
        """Tell whether a draft holds this bid of ours: one at a time up to its vote."""
        return self._joiner.busy(bid)

    def promised(self) -> dict[BidId, Amount]:
        """Return what rings under way may still take of own bids: of each what it gives, and how much."""
        found = dict[BidId, Amount]()
        for state in self._rings.live().values():
            mine = mine_in(state)
            gives, _ = amount_of(open_approve(mine.approval))
            before = found.get(mine.bid, (gives, 0))[1]
            found[mine.bid] = (gives, Quantity(before + promised_in(state)))
        return found

    def drafts(self) -> dict[DraftId, State]:
        """Return the drafts that have not ended."""
        return self._rings.live()

    async def withdraw(self, draft: DraftId, detail: str = "withdrawn by its owner") -> None:
        """Refuse after approving: has an effect until we vote, none afterwards."""
        await self._inbox.wait_open()
        await self._rings.apply(draft, LockFailed(Reason.POLICY, detail[:DETAIL_MAX]))

    async def propose(self, match: Match, bids: Sequence[Item]) -> Outcome:
        """Draft the ring of a match whose first arc is our own bid's; return what became of it.

        ``bids`` holds the items of all arcs, in any order. Returns within the approval and vote times; only Pending
        and Asked are not the end of the matter (``observe`` tells it then). Raises Malformed when no draft can be made
        of the match: a bid is missing, or a node stands in it twice.
        """
        await self._inbox.wait_open()
        arcs, items = ring_of(match, bids)
        draft = self._drafter.draft_of(arcs, items)
        if not is_a_question(draft):
            return await self._drafter.propose(arcs, items)
        draft_id = draft_id_of(make_draft(self._key, draft))
        asked, bid = await self._asker.ask(draft), draft.arcs[0].bid
        if isinstance(asked, Refused):
            return DraftRefused(draft_id, bid, self.me, asked.reason, asked.detail)
        return Asked(asked, bid, self.me, ours=asks(draft, 0))

    @property
    def questions(self) -> Asker:
        """The drafts that wait for persons, and the door for what ours says to them."""
        return self._asker

    async def _draft_arcs(self, arcs: Sequence[DraftArc], bids: Sequence[Item]) -> Outcome:
        return await self._drafter.propose(arcs, bids)

    def _agree(self, draft_id: DraftId) -> None:
        if isinstance(state := self._rings.state(draft_id), Gathering):
            self._start(self._inbox.on_agreed, make_agreed(self._key, state, self._clock.now()))

    # -- after each step

    def _learned(self, draft_id: DraftId, given: Given) -> None:
        self._start(self._rings.apply, draft_id, given)

    def _changed(self, draft_id: DraftId, old: State | None, new: State, given: Given | None) -> None:
        if old is None:
            approve = open_approve(mine_in(new).approval)
            self._tell(Approved(draft_id, mine_in(new).bid, amount_of(approve)))
            return
        taken = taken_by(old, new)
        if taken is not None and self.me in taken.issuers and self._pusher is not None:
            self._pusher.keep(taken)
        event = news_of(old, new, self._clock.now())
        if event is not None:
            self._start(self._wallet.unreserve, draft_id)
            self._tell(event)
            self._asker.ended(draft_id)
            self._debtor.look()
        elif isinstance(new, AbortedState):  # the locks may take long to come back, but the answer is known
            notice = new.notice
            event = Aborted(draft_id, mine_in(new).bid, "aborted", notice.reason, notice.detail)
        if event is not None:
            self._drafter.heard(draft_id, event, given)

    def _tell(self, event: SwapEvent) -> None:
        for callback in list(self._observers):
            callback(event)

    def _blamed(self, node: NodeId, what: str) -> None:
        for callback in list(self._fault_observers):
            callback(node, what)

    def _on_mint_event(self, event: MintEvent) -> None:
        if self._pusher is not None and self._inbox.is_open:
            self._pusher.heard(event)
