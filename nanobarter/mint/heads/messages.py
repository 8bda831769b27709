"""What nodes ask one another about heads: the newest one of anybody, and where a key stands in a tree of one's own."""

from typing import Final

from nanobarter.core.canonical import Record
from nanobarter.core.ids import Hash, NodeId
from nanobarter.core.keys import Signed
from nanobarter.mint.proofs.heads import HEAD_BYTES_MAX, Counter
from nanobarter.mint.proofs.tree import Gap, Place, TreeNumber

HEAD: Final = "mint.head"
WHERE: Final = "mint.where"
QUESTION_BYTES_MAX: Final = 128
HEAD_ANSWER_MAX: Final = HEAD_BYTES_MAX + 256


class HeadQuestion(Record, frozen=True):
    """Asks for the head of a node, of this epoch or the newest; of the node itself, or of others that saw it."""

    node: NodeId
    epoch: Counter | None


class HeadAnswer(Record, frozen=True):
    """The head, if there is one."""

    head: Signed | None


class WhereQuestion(Record, frozen=True):
    """Asks where a key stands in a tree of the head of this epoch."""

    epoch: Counter
    tree: TreeNumber
    key: Hash


class WhereAnswer(Record, frozen=True):
    """The head, and the entry or the gap; nothing when there is no such head."""

    head: Signed | None
    place: Place | None
    gap: Gap | None
