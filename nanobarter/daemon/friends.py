"""The circle of a node, as its person sees it: who its friends are, invitations made and taken."""

from typing import Annotated, Protocol

import msgspec

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import show_node
from nanobarter.core.units import parse_span
from nanobarter.daemon.api import Routes
from nanobarter.daemon.routing import Asked, Nothing, one
from nanobarter.daemon.shape import Part, Shape
from nanobarter.net.circle import parse_invitation, show_invitation
from nanobarter.net.network import Network

INVITATION_LETTERS_MAX = 8192


class FriendRow(Part, frozen=True, kw_only=True):
    """One friend, and whether it is connected now."""

    node: str
    connected: bool


class Friends(Shape, frozen=True, kw_only=True, tag="friends"):
    """With whom this node talks: ``open`` with anyone, ``only`` with these."""

    peers: str
    friends: tuple[FriendRow, ...] = ()


class Invited(Shape, frozen=True, kw_only=True, tag="invitation"):
    """One line for ``nbctl join``: good once, until ``expires``."""

    invitation: str
    addresses: tuple[str, ...]
    expires: int


class Joined(Shape, frozen=True, kw_only=True, tag="joined"):
    """A friend that is dialled from now on."""

    node: str
    addresses: tuple[str, ...]


class _Invite(Asked, frozen=True):
    valid: str = "7d"


class _Join(Asked, frozen=True):
    invitation: Annotated[str, msgspec.Meta(max_length=INVITATION_LETTERS_MAX)]


class FriendsFacade(Protocol):
    """The friends of one node. Raises what ``NodeFacade`` raises."""

    async def friends(self) -> Friends:
        """Tell with whom the node talks."""
        ...

    async def invite(self, valid: str) -> Invited:
        """Make an invitation that is good for so long."""
        ...

    async def join(self, line: str) -> Joined:
        """Take a friend's invitation."""
        ...


class FriendsDesk:
    """Implements ``FriendsFacade`` over a network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def friends(self) -> Friends:
        """Tell with whom the node talks."""
        up, circle = set(self._network.connected()), self._network.circle
        rows = tuple(FriendRow(node=show_node(f), connected=f in up) for f in sorted(circle.friends))
        return Friends(peers="only" if circle.only else "open", friends=rows)

    async def invite(self, valid: str) -> Invited:
        """Make an invitation that is good for so long."""
        try:
            span = parse_span(valid)
        except ValueError as error:
            raise UsageError(str(error)) from None
        made = await self._network.invite(span)
        where = tuple(address.show() for address in made.addresses)
        return Invited(invitation=show_invitation(made), addresses=where, expires=made.expires)

    async def join(self, line: str) -> Joined:
        """Take a friend's invitation."""
        taken = parse_invitation(line)
        await self._network.join(taken)
        return Joined(node=show_node(taken.node), addresses=tuple(address.show() for address in taken.addresses))


def friend_routes(friends: FriendsFacade) -> Routes:
    """Return the routes of friends and invitations."""
    return {
        ("GET", "/v1/friends"): one(Nothing, lambda _: friends.friends()),
        ("POST", "/v1/invite"): one(_Invite, lambda asked: friends.invite(asked.valid)),
        ("POST", "/v1/join"): one(_Join, lambda asked: friends.join(asked.invitation)),
    }
