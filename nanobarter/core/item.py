"""A gossip item: something signed that expires. Bids, withdrawals, keysets, proofs and node records are items.

The author replaces an item by a higher sequence under the same topic and key; an empty body withdraws it.
It lives in core since its payloads are made and read by packages that must not know of gossip.
"""

from typing import Annotated, Literal

from msgspec import Meta

from nanobarter.core.canonical import Record, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, NodeId, PublicKey, Signature, node_id_of, sha256
from nanobarter.core.keys import SigningKey, verify
from nanobarter.core.units import Instant

ITEM_BODY_MAX = 8 * 1024  # a bid with a full table of discounts takes about 4 KiB
ITEM_MAX = ITEM_BODY_MAX + 512
PROOF_BODY_MAX = 120 * 1024  # a proof of fraud with two requests of 64 notes for 64, and the answers to both
PROOF_ITEM_MAX = PROOF_BODY_MAX + 512

Topic = Literal["bid", "keyset", "node", "proof", "leave"]


class Item(Record, frozen=True):
    """One version of one thing that its author says to all until it expires."""

    topic: Topic
    author: PublicKey
    key: Annotated[bytes, Meta(max_length=32)]
    sequence: Annotated[int, Meta(ge=0, le=2**62)]
    expires: Instant
    body: Annotated[bytes, Meta(max_length=PROOF_BODY_MAX)]  # but for proofs at most ITEM_BODY_MAX
    signature: Signature

    @property
    def node(self) -> NodeId:
        """The id of the author."""
        return node_id_of(self.author)

    @property
    def slot(self) -> tuple[str, bytes, bytes]:
        """What a newer version replaces: (topic, author, key)."""
        return (self.topic, self.author, self.key)

    @property
    def item_id(self) -> Hash:
        """The SHA-256 of the canonical item."""
        return sha256(encode(self))


def _signed_part(topic: str, key: bytes, sequence: int, expires: int, body: bytes) -> bytes:
    return encode((topic, key, sequence, expires, body))


def make_item(signer: SigningKey, topic: Topic, key: bytes, *, sequence: int, expires: Instant, body: bytes) -> Item:
    """Return a signed item. ``sequence`` must exceed that of every earlier item of this topic and key."""
    signature = signer.sign("item", _signed_part(topic, key, sequence, expires, body))
    return Item(topic, signer.public, key, sequence, expires, body, signature)


def check_item(item: Item) -> None:
    """Raise Malformed unless the author signed exactly this item. Expiry is judged by the caller."""
    if len(item.body) > ITEM_BODY_MAX and item.topic != "proof":
        raise Malformed(f"{len(item.body)} bytes in an item of topic {item.topic}")
    part = _signed_part(item.topic, item.key, item.sequence, item.expires, item.body)
    if not verify(item.author, "item", part, item.signature):
        raise Malformed("the author's signature on the item does not verify")
