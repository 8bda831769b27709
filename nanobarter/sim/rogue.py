"""Issuers that cheat: they refuse, keep silent, forge, and serve their friends."""

from collections.abc import Callable
from random import Random
from typing import Final

from nanobarter.core.errors import Reason
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.mint import rows
from nanobarter.mint.answer_messages import DOMAIN_ANSWER, Answer, LockState, Refusal, States
from nanobarter.mint.events import MintEvent
from nanobarter.mint.messages import OpenBody, RefundBody, StateBody
from nanobarter.mint.outcomes import Case
from nanobarter.mint.recall import state_of
from nanobarter.sim.coalition import Coalition
from nanobarter.sim.issuer import Issuer
from nanobarter.sim.node import Node
from nanobarter.sim.world import World

TRICKS: Final = {
    "refuse": 0.3,  # calls opens of strangers too late, and keeps their secrets
    "deaf": 0.15,  # does not answer opens of strangers, and keeps their secrets
    "mute": 0.15,  # at some time answers no stranger any more
    "early refund": 0.3,  # gives its friends their locks back whenever they like
    "two faces": 0.2,  # gives a lock back to its friends that it has opened
    "hide": 0.2,  # says "locked" of what is opened
    "no push": 0.4,
}


class Rogue(Issuer):
    """See the module. ``silent``: it kept something from strangers, which no proof can show."""

    def __init__(self, world: World, node: Node, friends: Coalition, random: Random) -> None:
        super().__init__(node, world.post, world.tell, world.mint)
        self.friends = friends
        self.tricks = frozenset(trick for trick, chance in TRICKS.items() if random.random() < chance)
        self.silent = node.honest_mint = False
        self._mute_from = world.scheduler.now + random.randint(0, 2 * world.times.delta)
        self._world = world
        world.trace(node, f"cheats as an issuer: {', '.join(sorted(self.tricks)) or 'only lets secrets out'}")

    def handle(self, case: Case, answer: Callable[[Signed], None]) -> None:
        """Answer as it likes; what it does not bend is answered by the rules."""
        body, friend = case.body, case.request in self.friends.own
        if isinstance(body, OpenBody):
            lock = rows.find_lock(self.node.db, body.lock_id)
            if lock is not None:
                self.friends.let_out(lock.terms.agreement, body.preimages)
        if friend:
            if not self._favour(case, answer):
                super().handle(case, answer)
            return
        mute = "mute" in self.tricks and self._world.scheduler.now > self._mute_from
        if mute or (isinstance(body, OpenBody) and "deaf" in self.tricks):
            self.silent = True
        elif isinstance(body, OpenBody) and "refuse" in self.tricks:
            self._sign(Refusal(case.request, Reason.TOO_LATE, self.node.now, "", None), answer)
        elif isinstance(body, StateBody) and "hide" in self.tricks:
            self._hide(case, body, answer)
        else:
            super().handle(case, answer)

    def heard(self, event: MintEvent) -> None:
        """Push to nobody."""
        if "no push" not in self.tricks:
            super().heard(event)

    def _favour(self, case: Case, answer: Callable[[Signed], None]) -> bool:
        if not isinstance(case.body, RefundBody):
            return False
        lock = rows.find_lock(self.node.db, case.body.lock_id)
        early = lock is not None and lock.outcome == "" and not lock.ended and "early refund" in self.tricks
        turned = lock is not None and lock.outcome == "opened" and not lock.ended and "two faces" in self.tricks
        if lock is None or not (early or turned):
            return False
        if turned:
            self.node.db.execute(
                "UPDATE mint_locks SET outcome = '', outcome_at = 0, preimages = x'' WHERE lock_id = ?",
                (lock.terms.lock_id,),
            )
        rows.return_lock(self.node.db, lock.terms.lock_id, "refund", self.node.now)
        returned = rows.find_lock(self.node.db, lock.terms.lock_id) or lock
        self._sign(state_of(returned, case.request), answer)
        return True

    def _hide(self, case: Case, body: StateBody, answer: Callable[[Signed], None]) -> None:
        locks = [lock for i in body.locks if (lock := rows.find_lock(self.node.db, i)) is not None]
        self.silent = self.silent or any(lock.outcome for lock in locks)
        told = tuple(
            LockState(case.request, k.terms.lock_id, k.terms.agreement, "locked", "", k.locked_at, ()) for k in locks
        )
        self._sign(States(case.request, self.node.now, (), told), answer)

    def _sign(self, said: Answer, answer: Callable[[Signed], None]) -> None:
        answer(seal_signed(self.node.key, DOMAIN_ANSWER, said))
