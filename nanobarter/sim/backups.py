"""An honest node whose disk is put back from an old copy, and what its peers then show it, as daemon.memory does.

Nothing tells the node what it did since: which drafts it is in, that it has voted, which locks its mint made, opened
or gave back. It joins no new draft, goes on with those that the copy knows, and its mint takes up again the locks
that their givers and receivers show. Keysets stay as they are here, since notes are no matter of the swap.
"""

import sqlite3
from collections.abc import Callable
from functools import partial

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import Signed, seal_signed
from nanobarter.core.units import MINUTE, SECOND
from nanobarter.mint import restoration, times
from nanobarter.mint.restoration import DOMAIN_RESTORED, Remembered, Restored
from nanobarter.sim.node import Node
from nanobarter.sim.world import World
from nanobarter.swap import tables
from nanobarter.swap.terms import agreement_of, open_locked


def put_back(world: World, node: Node, copied: int, lost: int, down: int) -> None:
    """Let a node's disk be copied at a moment, and be lost at a later one; all in milliseconds from now."""

    def lose() -> None:
        if node.up:
            world.trace(node, f"loses its disk, and comes back with a copy of {(lost - copied) / SECOND:.1f} s ago")
            node.put_back(down)

    node.resume.append(lambda: _ask_peers(world, node) if node.restored else None)
    world.scheduler.later(copied, node.back_up)
    world.scheduler.later(lost, lose)


def _ask_peers(world: World, node: Node) -> None:
    for other in world.nodes:
        if other is not node:
            _ask(world, node, other)


def _ask(world: World, node: Node, other: Node) -> None:
    """Ask a peer for what it holds that we signed, until it has answered."""

    def show(peer: Node, give: Callable[[Remembered], None]) -> None:
        give(_shown(world, node, peer))

    again = partial(node.later, MINUTE, lambda: _ask(world, node, other))
    world.post.ask(node, other.node, show, _adopter(world, node), again)


def _adopter(world: World, node: Node) -> Callable[[Remembered], None]:
    def adopt(shown: Remembered) -> None:
        unknown = restoration.unknown(node.db, node.node, shown, node.now)
        if unknown:
            world.trace(node, f"learns that it was put back: {unknown}")
        node.write(lambda db: _adopt(db, node, shown), lambda _: None)

    return adopt


def _adopt(db: sqlite3.Connection, node: Node, shown: Remembered) -> None:
    now = times.advance_time(db, node.now)
    if restoration.past(db).notice is None:
        notice = seal_signed(node.key, DOMAIN_RESTORED, Restored(1, now, now, ()))
        db.execute("INSERT INTO mint_generations VALUES (1, ?, ?)", (now, encode(notice)))
    restoration.adopt(db, node.node, shown, now)


def _shown(world: World, node: Node, peer: Node) -> Remembered:
    """Return the locks that a peer had made at the node, as its wallet remembers them."""
    givers = {
        terms.lock_id: agreement.nodes[terms.index]
        for agreement in map(agreement_of, world.agreed)
        for terms in agreement.terms
    }
    found = dict[bytes, Signed]()
    for word in world.words.get(peer.node, []):
        try:
            terms = open_locked(word.signed).terms
        except Malformed:
            continue  # an answer
        if word.signed.signer == node.node and givers.get(terms.lock_id) == peer.node:
            found.setdefault(terms.lock_id, word.signed)
    return Remembered(locked=(*found.values(), *tables.claims(peer.db, node.node)))
