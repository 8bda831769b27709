"""With whom this node talks: with anyone, or with its friends only; and invitations, by which a friend is made.

An invitation is one line of text that a person hands to another. It names the inviting node, where it listens, and a
secret that is good once and for a while. The invited node shows the secret in its hello, after the inviter has proven
its key, so nobody on the way learns it; both are each other's friends from then on, also after a restart.
"""

import sqlite3
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.line import LineForm
from nanobarter.core.ports import Clock, Entropy
from nanobarter.core.store import Store
from nanobarter.core.units import Instant, Span, after
from nanobarter.net.address import Address

INVITATION_EXTENSION: Final = "invitation"
_SECRET_BYTES: Final = 16
_ADDRESSES_MAX: Final = 8
_OPEN_MAX: Final = 1000  # invitations not used yet; the oldest makes room

Secret = Annotated[bytes, Meta(min_length=_SECRET_BYTES, max_length=_SECRET_BYTES)]


class Invitation(Record, frozen=True):
    """Who invites, where it can be dialled, the secret that proves the invitation, and until when it holds."""

    node: NodeId
    addresses: Annotated[tuple[Address, ...], Meta(min_length=1, max_length=_ADDRESSES_MAX)]
    secret: Secret
    expires: Instant


_LINE: Final = LineForm("nbi1", "invitation", Invitation, size_max=4096)


def show_invitation(invitation: Invitation) -> str:
    """Return the line of text."""
    return _LINE.show(invitation)


def parse_invitation(text: str) -> Invitation:
    """Return what a line invites to. Raises UsageError that says what is wrong with it."""
    return _LINE.read(text)


class Circle:
    """The friends of a node, from the config and by invitation."""

    def __init__(self, *, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._store, self._clock, self._entropy = store, clock, entropy
        self._friends = set(store.read_now(_friends))
        self.only = False

    def keep_to(self, friends: Iterable[NodeId], *, only: bool) -> None:
        """Count these among the friends; ``only`` keeps everybody else out. Before the network runs."""
        self._friends.update(friends)
        self.only = only

    @property
    def friends(self) -> frozenset[NodeId]:
        """All friends now."""
        return frozenset(self._friends)

    def admits(self, node: NodeId) -> bool:
        """Tell whether this node talks with another at all."""
        return not self.only or node in self._friends

    async def invite(self, node: NodeId, addresses: Iterable[Address], valid: Span) -> Invitation:
        """Return a fresh invitation by this node, durable before it is told. Raises UsageError without an address."""
        where = tuple(dict.fromkeys(addresses))[:_ADDRESSES_MAX]
        if not where:
            hint = "set [network] advertise to where others reach this node, or connect to a peer first"
            raise UsageError("this node does not know where others can reach it", hint=hint)
        now, secret = self._clock.now(), self._entropy.token(_SECRET_BYTES)
        made = Invitation(node, where, secret, after(now, valid))
        await self._store.write(lambda db: _keep_open(db, secret, made.expires, now))
        return made

    async def join(self, invitation: Invitation) -> None:
        """Make the inviter a friend; its secret is shown to it from now on. Raises UsageError when it has expired."""
        if invitation.expires <= self._clock.now():
            raise UsageError("this invitation has expired", hint="ask for a new one")
        await self._store.write(lambda db: _keep_joined(db, invitation, self._clock.now()))
        self._friends.add(invitation.node)

    def secret_for(self, node: NodeId | None) -> bytes | None:
        """Return what to show to an inviter that has just proven its key."""
        if node is None:
            return None
        now = self._clock.now()
        query = "SELECT secret FROM net_joined WHERE node = ? AND expires > ?"
        found: tuple[bytes] | None = self._store.read_now(lambda db: db.execute(query, (node, now)).fetchone())
        return found[0] if found else None

    async def redeem(self, node: NodeId, secret: bytes | None) -> None:
        """Make whoever shows a good secret a friend; the secret is used up in the same commit."""
        if secret is None or node in self._friends:
            return
        now = self._clock.now()
        if await self._store.write(lambda db: _use(db, node, secret, now)):
            self._friends.add(node)


def _friends(db: sqlite3.Connection) -> list[NodeId]:
    return [NodeId(node) for (node,) in db.execute("SELECT node FROM net_friends")]


def _befriend(db: sqlite3.Connection, node: NodeId, now: Instant) -> None:
    db.execute("INSERT INTO net_friends VALUES (?, ?) ON CONFLICT DO NOTHING", (node, now))


def _keep_open(db: sqlite3.Connection, secret: bytes, expires: Instant, now: Instant) -> None:
    db.execute("DELETE FROM net_invitations WHERE expires <= ?", (now,))
    db.execute(
        "DELETE FROM net_invitations WHERE digest IN"
        " (SELECT digest FROM net_invitations ORDER BY expires DESC LIMIT -1 OFFSET ?)",
        (_OPEN_MAX - 1,),
    )
    db.execute("INSERT INTO net_invitations VALUES (?, ?)", (sha256(secret), expires))


def _keep_joined(db: sqlite3.Connection, invitation: Invitation, now: Instant) -> None:
    db.execute("DELETE FROM net_joined WHERE expires <= ?", (now,))
    row = (invitation.node, invitation.secret, invitation.expires)
    db.execute("INSERT OR REPLACE INTO net_joined VALUES (?, ?, ?)", row)
    _befriend(db, invitation.node, now)


def _use(db: sqlite3.Connection, node: NodeId, secret: bytes, now: Instant) -> bool:
    query = "DELETE FROM net_invitations WHERE digest = ? AND expires > ?"
    good = db.execute(query, (sha256(secret), now)).rowcount > 0
    if good:
        _befriend(db, node, now)
    return good
