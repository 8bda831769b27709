"""What a proof comes to. Only ``Convicted`` says something about a node; anything else says nothing about anybody."""

from dataclasses import dataclass

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId


@dataclass(frozen=True)
class Convicted:
    """This node signed what no honest node signs. ``why`` is a clause for people that begins with "it"."""

    node: NodeId
    why: str


@dataclass(frozen=True)
class NotProven:
    """These bytes convict nobody; ``why`` says what is missing."""

    why: str


Verdict = Convicted | NotProven


def need(condition: bool, missing: str) -> None:  # noqa: FBT001 - it reads as a sentence: need(this, "that")
    """Give up on a proof that lacks something. Raises Malformed, which the verifier turns into ``NotProven``."""
    if not condition:
        raise Malformed(missing)
