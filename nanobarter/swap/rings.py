"""The drafts of one node: each state in memory as on disk, one write of a draft at a time, record then speak."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import trio

from nanobarter.core.errors import InvariantBroken, Refused
from nanobarter.core.ids import AgreementId, BidId, DraftId, Hash, NodeId
from nanobarter.core.limits import Limits
from nanobarter.core.ports import Clock
from nanobarter.core.store import Store
from nanobarter.core.units import SECOND, Span
from nanobarter.swap import caution, ended, tables
from nanobarter.swap.carrier import Carrier
from nanobarter.swap.caution import Circle, held_in
from nanobarter.swap.machine import step
from nanobarter.swap.messages import Approve, Draft, open_draft
from nanobarter.swap.orders import Blame, orders
from nanobarter.swap.positions import agreement_in, mine_in, taken_by
from nanobarter.swap.standing import Rank, is_vetted, lessons, rank_of
from nanobarter.swap.states import Approved, Ended, Gathering, Given, State
from nanobarter.swap.terms import Agreement, SwapTimes


@dataclass(frozen=True)
class Move:
    """One step of a draft: from what to what, and the fact that did it."""

    before: State | None
    state: State
    given: Given | None


@dataclass(eq=False)
class _Fact:
    """A fact that waits for its turn, or was ``taken`` in another's."""

    given: Given
    taken: bool = False


class Rings:
    """See the module. ``changed`` is called after each durable change with the fact that led to it, if one did.

    ``blamed`` is called for each breach of a rule.
    """

    def __init__(
        self,
        *,
        me: NodeId,
        store: Store,
        clock: Clock,
        times: SwapTimes,
        limits: Limits,
        changed: Callable[[DraftId, State | None, State, Given | None], None],
        blamed: Callable[[NodeId, str], None],
    ) -> None:
        self._me, self._store, self._clock, self._times, self._limits = me, store, clock, times, limits
        self._changed, self._blamed = changed, blamed
        self._carrier: Carrier | None = None
        self._live: dict[DraftId, State] = {}
        self._agreements: dict[AgreementId, DraftId] = {}
        self._turns: dict[DraftId, trio.Lock] = {}
        self._facts: dict[DraftId, list[_Fact]] = {}
        self._agreed = trio.Event()  # set, and replaced by a new one, when a draft becomes an agreement

    def start(self, carrier: Carrier) -> list[DraftId]:
        """Read the drafts under way and return their ids; their orders wait for the first step."""
        self._carrier = carrier
        self._live = self._store.read_now(tables.live_states)
        self._agreements = {a.agreement_id: d for d, s in self._live.items() if (a := agreement_in(s)) is not None}
        return list(self._live)

    def live(self) -> dict[DraftId, State]:
        """Return the drafts that have not ended."""
        return dict(self._live)

    def holders(self, bid: BidId) -> Iterator[State]:
        """Return the drafts under way that hold a bid of ours."""
        return (state for state in self._live.values() if mine_in(state).bid == bid)

    def state(self, draft: DraftId) -> State | None:
        """Return a draft's state, ended or not, or None for one that we never joined."""
        return self._live.get(draft) or self._store.read_now(lambda db: tables.find_state(db, draft))

    def draft_under(self, agreement: AgreementId) -> DraftId | None:
        """Return our draft under way that became this agreement."""
        return self._agreements.get(agreement)

    async def draft_soon(self, agreement: AgreementId, patience: Span) -> DraftId | None:
        """Return our draft that became this agreement, waiting a little while one of ours still may."""
        with trio.move_on_after(patience / SECOND):
            while self.draft_under(agreement) is None and any(isinstance(s, Approved) for s in self._live.values()):
                await self._agreed.wait()
        return self.draft_under(agreement)

    def is_over(self, agreement: AgreementId) -> bool:
        """Tell whether an agreement of ours has ended. One whose record is just being made has not."""
        return self._store.read_now(lambda db: ended.is_over(db, agreement))

    def objection(self, draft: Draft, index: int, limits: Limits) -> Refused | None:
        """Return why a draft is not taken, or not whole, by what others hold of our stock and who they are."""
        now = self._clock.now()
        held = [has for state in self._live.values() if (has := held_in(state, now)) is not None]
        nodes = caution.who_matters(draft, index, held)

        def read(db: tables.Db) -> Circle:
            seen = {node: tables.standing(db, node) for node in nodes}
            vetted = frozenset(node for node, standing in seen.items() if is_vetted(standing, limits, now))
            return Circle(seen, vetted, tables.vetted(db, limits, now) < limits.swap_vetted_enough)

        return caution.objection(draft, index, held, self._store.read_now(read), limits, now)

    def rank(self, node: NodeId) -> Rank:
        """Return how well we know a node."""
        standing = self._store.read_now(lambda db: tables.standing(db, node))
        return rank_of(standing, vetted=is_vetted(standing, self._limits, self._clock.now()))

    async def adopt(self, draft: DraftId, state: State, pays_under: Hash | None = None) -> None:
        """Record a new draft, and under which terms we are to be paid; let its orders begin."""
        async with self._turn(draft):
            await self._record(draft, [Move(None, state, None)], pays_under)
            self._stand(draft, state)

    def fits(self, agreement: Agreement) -> bool:
        """Tell whether an agreement pays us under the terms that the issuer itself named when we approved."""
        return agreement.draft_id not in self._live or self._pays_right(agreement.draft_id, agreement.approvals)

    def fits_approval(self, approve: Approve) -> bool:
        """Tell the same of one approval."""
        return approve.draft not in self._live or self._pays_right(approve.draft, (approve,))

    def _pays_right(self, draft: DraftId, approvals: Sequence[Approve]) -> bool:
        state = self._live[draft]
        if not isinstance(state, Approved | Gathering):
            return True
        paying = (state.mine.index - 1) % len(open_draft(state.draft).arcs)
        wanted = self._store.read_now(lambda db: tables.pays_under(db, draft))
        return all(wanted in (None, a.terms_hash) for a in approvals if a.index == paying)

    async def apply(self, draft: DraftId, given: Given) -> None:
        """Let a fact move a draft; what the new state wants is carried only after it is durable.

        Facts that come while another is being recorded, as the receipts of a whole ring do, are recorded together.
        """
        fact, waiting = _Fact(given), self._facts.setdefault(draft, [])
        waiting.append(fact)
        try:
            async with self._turn(draft):
                if not fact.taken:
                    await self._take(draft, list(waiting))
        finally:
            waiting.remove(fact)
            if not waiting and self._facts.get(draft) is waiting:
                del self._facts[draft]

    async def _take(self, draft: DraftId, facts: list[_Fact]) -> None:
        state = self._live.get(draft)
        if state is None:
            return  # it ended meanwhile: late facts are nothing new
        moves, blames = list[Move](), list[Blame]()
        for fact in facts:
            if isinstance(state, Ended):
                break  # as if they had come later
            moved, effects = step(state, fact.given, self._clock.now(), self._times)
            if moved != state:
                moves.append(Move(state, moved, fact.given))
            state = moved
            blames += [effect for effect in effects if isinstance(effect, Blame)]
        if moves:
            await self._record(draft, moves)
        for fact in facts:
            fact.taken = True
        self._stand(draft, state)
        for blame in blames:
            self._blamed(blame.node, blame.what)

    def _stand(self, draft: DraftId, state: State) -> None:
        if self._carrier is None:
            raise InvariantBroken("a draft moves before the service runs")
        self._carrier.stand(draft, agreement_in(state), orders(state, self._clock.now()), last=isinstance(state, Ended))

    async def _record(self, draft: DraftId, moves: Sequence[Move], pays_under: Hash | None = None) -> None:
        """Write steps of a draft as one: what the last one wants is all that will be said."""
        now = self._clock.now()
        taught = [lesson for move in moves for lesson in lessons(move.before, move.state, move.given, now)]

        def write(db: tables.Db) -> None:
            if pays_under is not None:
                tables.put_pays_under(db, draft, pays_under)
            for move in moves:
                tables.put_state(db, draft, agreement_in(move.state), move.state, now, move.given)
                taken = taken_by(move.before, move.state)
                if taken is not None and self._me in taken.issuers:
                    tables.put_watched(db, taken)  # at once with our part in it: no crash comes in between
                owed = None if move.before is None else agreement_in(move.before)
                if isinstance(move.state, Ended) and move.state.outcome == "owing" and owed is not None:
                    tables.put_debt(db, draft, owed, move.state.mine.index)
            tables.learn(db, taught, now)
            if isinstance(moves[-1].state, Ended):
                ended.forget_most(db, self._limits)

        await self._store.write(write)
        for move in moves:
            self._moved(draft, move)

    def _moved(self, draft: DraftId, move: Move) -> None:
        state, agreement = move.state, agreement_in(move.state)
        if isinstance(state, Ended):
            self._live.pop(draft, None)
            self._agreements = {a: d for a, d in self._agreements.items() if d != draft}
        else:
            self._live[draft] = state
            if agreement is not None and agreement.agreement_id not in self._agreements:
                self._agreements[agreement.agreement_id] = draft
                self._agreed.set()
                self._agreed = trio.Event()
        self._changed(draft, move.before, state, move.given)

    def _turn(self, draft: DraftId) -> trio.Lock:
        """Return the draft's lock; locks of ended drafts are dropped when nobody waits for them."""
        if len(self._turns) > 2 * len(self._live) + 16:
            self._turns = {d: t for d, t in self._turns.items() if t.locked() or d in self._live}
        return self._turns.setdefault(draft, trio.Lock())
