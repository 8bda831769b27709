"""What a party sees of its world: the network, the mints, and those who watch."""

from collections.abc import Callable
from typing import Protocol

from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed
from nanobarter.mint.messages import Body
from nanobarter.mint.outcomes import Case
from nanobarter.sim.node import Node
from nanobarter.sim.people import Person
from nanobarter.sim.post import Post
from nanobarter.swap.states import State
from nanobarter.swap.terms import SwapTimes


class Home(Protocol):
    """What a seat needs of its world."""

    post: Post
    times: SwapTimes
    looks: bool  # whether parties ask issuers before they approve, as the daemon does
    people: dict[NodeId, Person]

    def mint(self, other: Node, case: Case, give: Callable[[Signed], None]) -> None:
        """Put a request to the mint of a node."""
        ...

    def tell(self, other: Node, method: str, signed: Signed, give: Callable[[bool], None]) -> None:
        """Hand a message to the party of a node."""
        ...

    def saw(self, node: Node, signed: Signed, body: Body | None = None) -> None:
        """Note what an issuer has signed and this node has read, for the checker."""
        ...

    def moved(self, node: Node, state: State) -> None:
        """Hear that a party of a node came to a state."""
        ...

    def trace(self, node: Node, text: str) -> None:
        """Tell a step of this run."""
        ...
