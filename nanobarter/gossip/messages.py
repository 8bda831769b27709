"""What nodes say to each other about items. All are calls; see docs/spec/network.md."""

from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.ids import Hash
from nanobarter.core.item import PROOF_ITEM_MAX, Item

RANGES: Final = 256  # by the first byte of the item id
PUSH_ITEMS_MAX: Final = 64
GET_IDS_MAX: Final = 256
LIST_IDS_MAX: Final = 8192
GET_BYTES_MAX: Final = 512 * 1024
PUSH_BYTES_MAX: Final = 128 * 1024 + PROOF_ITEM_MAX

PUSH: Final = "gossip.push"
SUMMARY: Final = "gossip.summary"
LIST: Final = "gossip.list"
GET: Final = "gossip.get"


class Push(Record, frozen=True):
    """New items for the receiver. The answer is empty."""

    items: Annotated[tuple[Item, ...], Meta(max_length=PUSH_ITEMS_MAX)]


class SummaryRequest(Record, frozen=True):
    """Asks for the digests of all ranges, unless the asker's digest over them is the same."""

    root: Hash


class Summary(Record, frozen=True):
    """One digest for each range, or none when the roots are equal."""

    digests: Annotated[tuple[Hash, ...], Meta(max_length=RANGES)]


class ListRequest(Record, frozen=True):
    """Asks for the ids in some ranges."""

    ranges: Annotated[tuple[Annotated[int, Meta(ge=0, lt=RANGES)], ...], Meta(max_length=RANGES)]


class Listed(Record, frozen=True):
    """The ids of one range."""

    number: Annotated[int, Meta(ge=0, lt=RANGES)]
    ids: Annotated[tuple[Hash, ...], Meta(max_length=LIST_IDS_MAX)]


class ListAnswer(Record, frozen=True):
    """As many of the ranges asked for as fit, the first always."""

    ranges: Annotated[tuple[Listed, ...], Meta(max_length=RANGES)]


class GetRequest(Record, frozen=True):
    """Asks for items by id."""

    ids: Annotated[tuple[Hash, ...], Meta(max_length=GET_IDS_MAX)]


class GetAnswer(Record, frozen=True):
    """Those of the items that the answerer still holds, as many as fit."""

    items: Annotated[tuple[Item, ...], Meta(max_length=GET_IDS_MAX)]
