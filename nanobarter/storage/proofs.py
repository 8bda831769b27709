"""The one proof against a keeper of shares: it signed that it holds a share, and showed a block that is not of it.

That a share is *gone* convicts nobody: its holder may have had it deleted, and signed that request only to the vault.
"""

from nanobarter.core.canonical import Record, decode
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import Signed, open_signed
from nanobarter.mint.proofs.verdict import Convicted, NotProven, Verdict, need
from nanobarter.storage.share import BLOCK_BYTES, verify_block
from nanobarter.storage.vault_messages import DOMAIN_RECEIPT, ENVELOPE_BYTES, Held, Proof


class FalseBlock(Record, frozen=True, tag="block"):
    """A ``Held`` and a ``Proof`` of one share under one lease, by one node."""

    held: Signed
    shown: Signed


def verify_block_proof(proof: FalseBlock) -> Verdict:
    """Return what the proof comes to. A vault checks a share before it signs a block of it."""
    try:
        held = open_signed(proof.held, DOMAIN_RECEIPT, Held, size_max=ENVELOPE_BYTES)
        shown = open_signed(proof.shown, DOMAIN_RECEIPT, Proof, size_max=ENVELOPE_BYTES + BLOCK_BYTES)
        need(proof.held.key == proof.shown.key, "the receipts are of two nodes")
        need((held.lease, held.share) == (shown.lease, shown.share), "the receipts are for two shares")
        good = verify_block(held.share, held.size, shown.block_index, shown.block, shown.path)
        need(not good, "the block is the one that was stored")
    except Malformed as error:
        return NotProven(str(error))
    return Convicted(proof.held.signer, f"it showed a false block of share {held.share.hex()[:16]}")


def false_block(held: bytes | None, shown: bytes) -> FalseBlock | None:
    """Return the proof that two canonical Signed receipts make, if they convict their signer; else nothing.

    ``held`` is what the peer signed when it took the share, ``shown`` its answer to a challenge.
    """
    if held is None:
        return None
    try:
        proof = FalseBlock(
            decode(held, Signed, size_max=ENVELOPE_BYTES), decode(shown, Signed, size_max=ENVELOPE_BYTES + BLOCK_BYTES)
        )
    except Malformed:
        return None
    return proof if isinstance(verify_block_proof(proof), Convicted) else None
