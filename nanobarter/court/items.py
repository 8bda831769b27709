"""How a proof travels: as a gossip item that every node makes alike, so that there is one per offender.

A proof needs no witness but itself, so the item's author is nobody: its key derives from the offender's id alone, and
anyone can make it. Sequence and expiry count whole spans since 1970. So whoever passes a proof on says the same bytes,
two proofs against one node end as one, and who found it out is not told.
"""

from typing import Final

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.item import Item, make_item
from nanobarter.core.keys import SigningKey, derive
from nanobarter.core.units import DAY, Instant
from nanobarter.court.proofs import Convicted, Proof, read_proof, verify, write_proof

PERIOD: Final = 14 * DAY  # an item lives through this one and the next, within gossip's longest life
_PUBLIC: Final = b"nanobarter/court: this key is no secret"


def nobody(offender: NodeId) -> SigningKey:
    """Return the key, known to all, under which proofs against a node are passed on."""
    return SigningKey(derive(_PUBLIC, "court/proof", offender))


def item_of(offender: NodeId, proof: Proof, now: Instant) -> Item:
    """Return the item that tells of a proof now."""
    number = now // PERIOD + 2
    expires = Instant(number * PERIOD)
    return make_item(nobody(offender), "proof", offender, sequence=number, expires=expires, body=write_proof(proof))


def read_item(item: Item) -> tuple[Proof, Convicted]:
    """Return the proof in an item and whom it convicts. Raises Malformed when it is not what every node would make."""
    proof = read_proof(item.body)
    verdict = verify(proof)
    if not isinstance(verdict, Convicted) or verdict.node != item.key:
        raise Malformed("the proof does not convict the node that it is about")
    if item.author != nobody(verdict.node).public or item.expires != item.sequence * PERIOD:
        raise Malformed("the item is not made as proofs are")
    return proof, verdict
