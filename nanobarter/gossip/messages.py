"""What nodes say to each other about items. All are calls; see docs/spec/network.md."""

from enum import IntEnum, unique
from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.item import PROOF_ITEM_MAX, Item
from nanobarter.gossip.ids import DEPTH_MAX, PREFIX_BYTES, PRINT_BYTES, SHORT_BYTES, Reach

PUSH_ITEMS_MAX: Final = 64
PUSH_NAMES_MAX: Final = 512
GET_IDS_MAX: Final = 256
GET_BYTES_MAX: Final = 512 * 1024
ITEMS_BYTES_MAX: Final = 128 * 1024 + PROOF_ITEM_MAX  # of the items of one push
PUSH_BYTES_MAX: Final = ITEMS_BYTES_MAX + PUSH_NAMES_MAX * PREFIX_BYTES + 64

CUT_MAX: Final = 8  # a range is cut into at most 256 parts at once
PARTS_MAX: Final = 1024
PRINTS_MAX: Final = 1024  # of one question
LIST_MAX: Final = 24  # a range with so few ids is listed instead of being cut once more
LIST_CROWDED_MAX: Final = 512  # of a range that cannot be cut any more; nobody's ids get there by chance

PUSH: Final = "gossip.push"
COMPARE: Final = "gossip.compare"
FETCH: Final = "gossip.fetch"
GET: Final = "gossip.get"

Salt = Annotated[bytes, Meta(min_length=8, max_length=8)]
_Depth = Annotated[int, Meta(ge=0, le=DEPTH_MAX)]
_Number = Annotated[int, Meta(ge=0, lt=2**DEPTH_MAX)]
Names = Annotated[bytes, Meta(max_length=PUSH_NAMES_MAX * PREFIX_BYTES)]


@unique
class Bond(IntEnum):
    """What a push says about the mesh. The numbers travel on the wire."""

    NOTHING = 0
    JOIN = 1  # pass on to each other from now on
    LEAVE = 2  # no longer; do not ask again for a minute


class Push(Record, frozen=True):
    """News for the receiver: items, the names of items that the sender has, and the mesh. The answer is empty."""

    items: Annotated[tuple[Item, ...], Meta(max_length=PUSH_ITEMS_MAX)]
    has: Names
    bond: Annotated[int, Meta(ge=0, le=2)]


class Part(Record, frozen=True):
    """A range, cut into 2^cut equal parts, and the print of each part."""

    depth: _Depth
    number: _Number
    cut: Annotated[int, Meta(ge=0, le=CUT_MAX)]
    prints: Annotated[bytes, Meta(min_length=PRINT_BYTES, max_length=PRINT_BYTES << CUT_MAX)]

    @property
    def reach(self) -> Reach:
        """The range that is cut."""
        return Reach(self.depth, self.number)


class Listed(Record, frozen=True):
    """Short names of ids in one range."""

    depth: _Depth
    number: _Number
    shorts: Annotated[bytes, Meta(max_length=LIST_CROWDED_MAX * SHORT_BYTES)]

    @property
    def reach(self) -> Reach:
        """The range."""
        return Reach(self.depth, self.number)


class CompareRequest(Record, frozen=True):
    """Asks which parts of these ranges are different at the receiver."""

    salt: Salt
    parts: Annotated[tuple[Part, ...], Meta(min_length=1, max_length=PARTS_MAX)]


class CompareAnswer(Record, frozen=True):
    """The parts that are different: cut further, or with short names of all their ids."""

    parts: Annotated[tuple[Part, ...], Meta(max_length=PRINTS_MAX)]
    lists: Annotated[tuple[Listed, ...], Meta(max_length=PRINTS_MAX)]


class FetchRequest(Record, frozen=True):
    """Asks for items by the short names of a comparison."""

    salt: Salt
    lists: Annotated[tuple[Listed, ...], Meta(min_length=1, max_length=GET_IDS_MAX)]


class GetRequest(Record, frozen=True):
    """Asks for items by the first 8 bytes of their ids, joined."""

    names: Annotated[bytes, Meta(max_length=GET_IDS_MAX * PREFIX_BYTES)]


class Items(Record, frozen=True):
    """Those of the items asked for that the answerer still holds, as many as fit, proofs of fraud first."""

    items: Annotated[tuple[Item, ...], Meta(max_length=GET_IDS_MAX)]


def split_names(names: bytes, size: int) -> list[bytes]:
    """Return the names that were joined; a rest that is too short is no name."""
    return [names[at : at + size] for at in range(0, len(names) - size + 1, size)]
