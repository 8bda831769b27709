"""Attacks on gossip, each in a world of its own, and what it costs: see docs/attacks.md for the table.

``stormy`` is the sum of misfortunes that the figures are measured under: 30 % killed, 20 % mute, 5 % of packets lost.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Final

from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.limits import LIMITS, Limits
from nanobarter.core.units import HOUR, Instant, Span
from nanobarter.gossip.messages import PUSH_ITEMS_MAX, Push
from nanobarter.sim.gossiping import ATTACK, BODY_BYTES, Plan, World, found, play, run
from nanobarter.sim.member import Member

Row = dict[str, object]
_IDENTITIES: Final = 10_000
_HELD_MAX: Final = 1_000_000  # by all nodes together: what the machine that simulates them has memory and hours for
_FLOODERS: Final = 4  # with a few addresses and eight connections of each, an attacker is linked to everybody


def plain(plan: Plan, seed: int) -> Row:
    """Return the figures of a plan."""
    return asdict(run(plan, seed))


def eclipse(plan: Plan, seed: int) -> Row:
    """Surround one node: all but one of its peers are mute; tell how late it hears, and whether it is heard."""
    world = found(plan, seed)
    victim, *rest = world.members
    peers = sorted(victim.machine.peers)
    around = {member.node: member for member in rest}
    for peer in peers[1:]:
        around[peer].turn("silent")
    row = asdict(play(world, plan, speakers=[m for m in world.honest() if m is not victim]))
    world.crowd.scheduler.run_for(world.crowd.limits.gossip_sync_every)  # it compares with each peer once meanwhile
    delays = sorted(
        heard[victim.node] - world.said[item_id] for item_id, heard in world.heard.items() if victim.node in heard
    )
    own = victim.make(b"own", bytes(BODY_BYTES))
    world.publish(victim, own)
    world.crowd.scheduler.run_for(plan.after)
    heard = len(world.heard[own.item_id]) / len(world.honest())
    worst = delays[-1] if delays else None
    return {
        **row,
        "mute_peers": len(peers) - 1,
        "victim_heard": len(delays),
        "victim_max_ms": worst,
        "own_reach": heard,
    }


def sybils(plan: Plan, seed: int) -> Row:
    """Flood with one item of each of many authors, through four members; the book has room for half of them.

    There are 10,000 of them, fewer among more than a hundred nodes.
    """
    identities = min(_IDENTITIES, _HELD_MAX // plan.nodes)
    limits = replace(LIMITS, items_max=identities // 2)
    world = found(plan, seed, limits)
    authors = [world.crowd.key(f"sybil {number}") for number in range(identities)]
    expires = Instant(world.crowd.scheduler.now + 12 * HOUR)
    items = [make_item(key, "bid", b"", sequence=1, expires=expires, body=bytes(BODY_BYTES)) for key in authors]
    for number, member in enumerate(world.members[-_FLOODERS:]):
        member.turn("silent")
        for at in range(0, len(items) // _FLOODERS, PUSH_ITEMS_MAX):
            piece = tuple(items[number::_FLOODERS][at : at + PUSH_ITEMS_MAX])
            for turn, peer in enumerate(sorted(member.machine.peers)):
                later = 1000 * at // PUSH_ITEMS_MAX + 20 * turn
                world.crowd.scheduler.later(later, lambda m=member, p=peer, i=piece: m.push(p, Push(i, b"", 0)))
    row = asdict(play(world, plan))
    said = world.said
    world.said = {}
    late = asdict(play(world, plan))  # the book is full now
    world.said |= said
    return {**row, "identities": identities, **_fill(world, limits), "full_reach": late["reach"]}


def _fill(world: World, limits: Limits) -> Row:
    held = sorted(len(member.held) for member in world.honest())
    return {"held_min": held[0], "held_max": held[-1], "items_max": limits.items_max}


def equivocation(plan: Plan, seed: int) -> Row:
    """Let an author tell each half of the nodes another version with one sequence; tell on how many all agree."""
    world = found(plan, seed)
    liar, *rest = world.members
    key, expires = world.crowd.key("liar"), Instant(world.crowd.scheduler.now + 12 * HOUR)
    pairs = list[tuple[Item, Item]]()
    for number in range(plan.items):
        slot = number.to_bytes(2, "big")
        one, other = (
            make_item(key, "bid", slot, sequence=1, expires=expires, body=bytes([side]) * BODY_BYTES) for side in (1, 2)
        )
        pairs.append((one, other))
        for turn, member in enumerate(rest):
            push = Push(((one, other)[turn % 2],), b"", 0)
            world.crowd.scheduler.later(number * 250, lambda m=member, p=push: m.hear(liar.node, p))
    row = asdict(play(world, plan, speakers=rest))
    winners = [max(pair, key=lambda item: item.item_id).item_id for pair in pairs]
    agreed = sum(all(member.held.by_id(winner) for member in rest) for winner in winners)
    return {**row, "slots": len(pairs), "slots_agreed": agreed}


def replay(plan: Plan, seed: int) -> Row:
    """Push bids again that their authors have withdrawn; tell how many come back to life."""
    world = found(plan, seed)
    author, bully, *_ = world.members
    old = [author.make(bytes([number]), bytes(BODY_BYTES)) for number in range(plan.items)]
    for item in old:
        author.say(item)
    world.crowd.scheduler.run_for(plan.after)
    for number in range(plan.items):
        author.say(author.make(bytes([number]), b""))
    world.crowd.scheduler.run_for(plan.after)
    bully.turn("silent")
    for turn, peer in enumerate(sorted(bully.machine.peers)):
        push = Push(tuple(old[:PUSH_ITEMS_MAX]), b"", 0)
        for again in range(20):
            world.crowd.scheduler.later(1000 * again + turn, lambda p=peer, s=push: bully.push(p, s))
    row = asdict(play(world, plan))
    now = Instant(world.crowd.scheduler.now)
    withdrawn = {item.slot for item in old}
    back = sum(item.slot in withdrawn for member in world.honest() for item in member.held.live("bid", now))
    return {**row, "replayed": len(old) * 20 * len(bully.machine.peers), "came_back": back}


def partition(plan: Plan, seed: int) -> Row:
    """Cut all links between two halves, let both say things, join them again; tell when all know all."""
    world = found(plan, seed)
    half = plan.nodes // 2
    one, other = ({member.node for member in part} for part in (world.members[:half], world.members[half:]))
    by_node = {member.node: member for member in world.members}
    cut = [(member, peer) for member in world.members for peer in set(member.machine.peers) & _far(member, one, other)]
    for member, peer in cut:
        member.unlink(peer)
    row = asdict(play(world, plan))
    began = world.crowd.now
    for member, peer in cut:
        member.carry_out(member.link(by_node[peer].node))
    missing = _missing(world)
    while _missing(world) and world.crowd.now < began + plan.after:
        world.crowd.scheduler.run_for(Span(100))
    return {**row, "missing": missing, "missing_healed": _missing(world), "healed_ms": world.crowd.now - began}


def _far(member: Member, one: set[NodeId], other: set[NodeId]) -> set[NodeId]:
    return other if member.node in one else one


def _missing(world: World) -> int:
    return sum(member.node not in heard for heard in world.heard.values() for member in world.honest())


ATTACKS: Final[dict[str, Callable[[Plan, int], Row]]] = {
    "none": plain,
    "stormy": lambda plan, seed: plain(
        replace(plan, killed=ATTACK.killed, silent=ATTACK.silent, loss=ATTACK.loss), seed
    ),
    "mute": lambda plan, seed: plain(replace(plan, silent=0.2), seed),
    "garbage": lambda plan, seed: plain(replace(plan, garbage=0.2), seed),
    "eclipse": eclipse,
    "sybils": sybils,
    "equivocation": equivocation,
    "replay": replay,
    "partition": partition,
}
