"""What became of a world: who was paid, who lost, what is proven, and what is left hanging.

Asked of the tables, not of what the nodes believe: a lock at an honest mint pays its receiver once it is opened.
A party is *protected* when the issuers of its own two arcs are honest; no such party may pay without being paid.
"""

from collections import Counter
from dataclasses import dataclass, field

from nanobarter.core.units import after
from nanobarter.mint import rows, sweep
from nanobarter.mint.audit import audit
from nanobarter.mint.rules import Lock
from nanobarter.sim.node import Node
from nanobarter.sim.witness import convicted_by, convicted_proposers
from nanobarter.sim.world import World
from nanobarter.swap import tables
from nanobarter.swap.states import Ended
from nanobarter.swap.terms import Agreement


@dataclass
class Verdict:
    """The checker's word on one run. Names of parties, each for one agreement."""

    outcome: str = "nothing"
    """``settled``: every arc is paid; ``aborted``: none is; ``partly`` some; ``nothing``: there was no agreement."""
    completed: bool = False
    honest_losses: list[str] = field(default_factory=list[str])
    hole_losses: list[str] = field(default_factory=list[str])
    own_losses: list[str] = field(default_factory=list[str])
    """Of honest nodes that were put back from an old copy: they forgot what they had said or had."""
    restored_losses: list[str] = field(default_factory=list[str])
    """At honest issuers that were put back from an old copy, and forgot what they had signed."""
    owed: list[str] = field(default_factory=list[str])
    """Robbed by nobody: an issuer was away for longer than delta, and an honest party knows that it owes."""
    defaults: list[str] = field(default_factory=list[str])
    unproven: list[str] = field(default_factory=list[str])
    """Defaults without evidence although the issuer answered."""
    mute: list[str] = field(default_factory=list[str])
    """Defaults of issuers that kept silent: no evidence can be had of these."""
    convicted_honest: list[str] = field(default_factory=list[str])
    stuck: list[str] = field(default_factory=list[str])
    unsound: list[str] = field(default_factory=list[str])

    @property
    def failed(self) -> bool:
        """Tell whether something is shown that must never be."""
        return bool(self.honest_losses or self.stuck or self.unsound or self.unproven or self.convicted_honest)


@dataclass(frozen=True)
class Leg:
    """One arc of an agreement at its issuer: the lock as the tables have it, or None where none was made."""

    issuer: Node
    lock: Lock | None

    @property
    def paid(self) -> bool:
        """Tell whether the giver has lost what it locked."""
        return self.lock is not None and self.lock.outcome == "opened"


def judge(world: World) -> Verdict:
    """Return the verdict on a world that has come to its end."""
    verdict = Verdict()
    agreements = agreements_of(world)
    for agreement in agreements:
        _judge_agreement(world, agreement, verdict)
    drafts = {a.draft_id for a in agreements}
    ends = [s for node in world.nodes if node.honest for s in ends_of(node) if s.draft in drafts]
    verdict.completed = verdict.outcome == "settled" and all(end.outcome == "settled" for end in ends)
    _judge_rest(world, verdict)
    verdict.honest_losses += _beyond_bids(world, agreements)
    verdict.convicted_honest += _convicted_honest(world)
    return verdict


def _beyond_bids(world: World, agreements: list[Agreement]) -> list[str]:
    """Return the honest parties that gave more than their bids offer, in all rings together."""
    offered, gave = world.ring.offered or world.ring.quantity, Counter[str]()
    for agreement in agreements:
        for terms, giver in zip(agreement.terms, agreement.nodes, strict=True):
            node, lock = world.post.nodes[giver], rows.find_lock(world.post.nodes[terms.issuer].db, terms.lock_id)
            if node.honest and not node.restored and Leg(world.post.nodes[terms.issuer], lock).paid:
                gave[node.name] += terms.quantity
    return [f"{name}: gave {quantity} of {offered}" for name, quantity in gave.items() if quantity > offered]


def agreements_of(world: World) -> list[Agreement]:
    """Return all agreements that some issuer was told of."""
    found = {a.agreement_id: a for issuer in world.issuers.values() for a in issuer.known()}
    return [found[k] for k in sorted(found)]


def ends_of(node: Node) -> list[Ended]:
    """Return the ends of all drafts on a node's disk."""
    drafts = node.db.execute("SELECT draft FROM swap_drafts WHERE ended = 1 ORDER BY draft").fetchall()
    found = (tables.find_state(node.db, draft) for (draft,) in drafts)
    return [state for state in found if isinstance(state, Ended)]


def _judge_agreement(world: World, agreement: Agreement, verdict: Verdict) -> None:
    legs = [
        Leg(world.post.nodes[t.issuer], rows.find_lock(world.post.nodes[t.issuer].db, t.lock_id))
        for t in agreement.terms
    ]
    paid = sum(leg.paid for leg in legs)
    now = "settled" if paid == agreement.size else "aborted" if paid == 0 else "partly"
    verdict.outcome = now if verdict.outcome in ("nothing", "aborted") else verdict.outcome
    for index, node_id in enumerate(agreement.nodes):
        party = world.post.nodes[node_id]
        before = agreement.incoming(index)
        if not party.honest or not legs[index].paid or _got(world, agreement, legs, before):
            continue
        if party.restored:
            verdict.own_losses.append(party.name)
        elif legs[index].issuer.restored or legs[before].issuer.restored:
            if not _settled(agreement, party):  # what was taken before the issuer forgot it are notes, and no lock
                verdict.restored_losses.append(party.name)
        elif not (legs[index].issuer.honest_mint and legs[before].issuer.honest_mint):
            _default(world, legs, (index, before), party, verdict)
        elif _away(agreement, legs, index) and _is_owed(world, agreement):
            verdict.owed.append(party.name)
        elif _in_hole(agreement, legs, index):
            verdict.hole_losses.append(party.name)
        else:
            verdict.honest_losses.append(party.name)


def _settled(agreement: Agreement, party: Node) -> bool:
    return any(end.draft == agreement.draft_id and end.outcome == "settled" for end in ends_of(party))


def _default(world: World, legs: list[Leg], own: tuple[int, int], party: Node, verdict: Verdict) -> None:
    """Look for what convicts an issuer that let its party down: words that honest nodes have read."""
    verdict.defaults.append(party.name)
    read = [word for node in world.nodes if node.honest for word in world.words.get(node.node, [])]
    convicted = convicted_by(read)
    cheats = [legs[index].issuer for index in own if not legs[index].issuer.honest_mint]
    if any(cheat.node in convicted for cheat in cheats):
        return
    silent = any(getattr(world.issuers[cheat.node], "silent", False) for cheat in cheats)
    (verdict.mute if silent else verdict.unproven).append(party.name)


def _convicted_honest(world: World) -> list[str]:
    """Return the honest nodes that all that was ever signed convicts of something."""
    words = [word for node in world.nodes for word in world.words.get(node.node, [])]
    issuers = convicted_by(words)
    proposers = convicted_proposers(world)
    return [
        f"{n.name}: {issuers.get(n.node) or proposers.get(n.node)}"
        for n in world.nodes
        if (n.honest_mint and n.node in issuers) or (n.honest and n.node in proposers)
    ]


def _got(world: World, agreement: Agreement, legs: list[Leg], index: int) -> bool:
    """Tell whether the arc pays its receiver exactly what was agreed, and that is what the draft has."""
    lock, draft = legs[index].lock, world.drafts.get(agreement.draft_id)
    if lock is None or lock.outcome != "opened" or lock.terms != agreement.terms[index]:
        return False
    return draft is None or lock.terms.quantity >= draft.arcs[index].quantity


def _away(agreement: Agreement, legs: list[Leg], index: int) -> bool:
    """Tell whether an issuer of a party's two arcs was away for longer than delta."""
    two = (legs[index], legs[agreement.incoming(index)])
    return any(end - start > agreement.pace.delta for leg in two for start, end in leg.issuer.away)


def _is_owed(world: World, agreement: Agreement) -> bool:
    """Tell whether an honest party was paid, did not pay, and knows that it must make good."""
    nodes = [world.post.nodes[node] for node in agreement.nodes]
    ends = [end for node in nodes if node.honest for end in ends_of(node)]
    return any(end.draft == agreement.draft_id and end.outcome == "owing" for end in ends)


def _in_hole(agreement: Agreement, legs: list[Leg], index: int) -> bool:
    """Tell whether this loss is the one that docs/attacks.md states: away for long, and a rogue before it."""
    earlier = legs[agreement.incoming(agreement.incoming(index))]
    return _away(agreement, legs, index) and not earlier.issuer.honest_mint


def _judge_rest(world: World, verdict: Verdict) -> None:
    """Look for what hangs after everything has healed, and count every honest mint's books anew."""
    for node in world.nodes:
        if node.honest and not node.restored:  # which asks for what it has had, until that lapses
            _stuck_seats(world, node, verdict)
        if not node.honest_mint:
            continue
        locks = [] if node.restored else rows.live_locks(node.db)  # it takes up what was over before, until that lapses
        for lock in locks:
            if lock.outcome == "" and node.now > lock.terms.deadline and _owner_honest(world, lock):
                verdict.stuck.append(f"{node.name}: arc {lock.terms.index} is locked past its deadline")
        if node.db.execute("SELECT 1 FROM mint_locks LIMIT 1").fetchone():
            end = max(lock_end for (lock_end,) in node.db.execute("SELECT take_until FROM mint_locks"))
            sweep.sweep(node.db, end, 1000)
            verdict.stuck += [f"{node.name}: a lock outlives its time" for _ in rows.live_locks(node.db)]
            verdict.unsound += [f"{node.name}: {f.row}: {f.problem}" for f in audit(node.db)]


def _stuck_seats(world: World, node: Node, verdict: Verdict) -> None:
    for draft, state in tables.live_states(node.db).items():
        agreement = next((a for a in agreements_of(world) if a.draft_id == draft), None)
        if agreement is None:
            verdict.stuck.append(f"{node.name}: {type(state).__name__} without an agreement")
            continue
        own = agreement.nodes.index(node.node) if node.node in agreement.nodes else 0
        issuers = (agreement.issuers[own], agreement.issuers[agreement.incoming(own)])
        if all(world.post.nodes[i].honest_mint for i in issuers) and node.now > after(
            agreement.deadline(0), agreement.pace.delta
        ):
            verdict.stuck.append(f"{node.name}: still {type(state).__name__}")


def _owner_honest(world: World, lock: Lock) -> bool:
    agreement = next((a for a in agreements_of(world) if a.agreement_id == lock.terms.agreement), None)
    owner = None if agreement is None else world.post.nodes[agreement.nodes[lock.terms.index]]
    return owner is not None and owner.honest and not owner.restored  # who forgot its lock waits until it lapses
