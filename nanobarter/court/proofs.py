"""Every proof that convicts a node, as one tagged union, and the one function that judges it."""

from typing import Final, cast

from nanobarter.core.canonical import decode, encode
from nanobarter.mint.proofs.records import PROOF_BYTES_MAX, MintProof
from nanobarter.mint.proofs.verdict import Convicted, NotProven, Verdict
from nanobarter.mint.proofs.verify import verify_mint
from nanobarter.storage.proofs import FalseBlock, verify_block_proof
from nanobarter.swap.proofs import TwoAgreed, verify_agreed

__all__ = ["PROOF_BYTES_MAX", "Convicted", "NotProven", "Proof", "Verdict", "read_proof", "verify", "write_proof"]

Proof = MintProof | TwoAgreed | FalseBlock
PROOF: Final = cast("type[Proof]", Proof)  # as a decoder wants it


def verify(proof: Proof) -> Verdict:
    """Return whom a proof convicts and of what, or why nobody. Pure; never raises."""
    if isinstance(proof, TwoAgreed):
        return verify_agreed(proof)
    if isinstance(proof, FalseBlock):
        return verify_block_proof(proof)
    return verify_mint(proof)


def read_proof(data: bytes) -> Proof:
    """Return the proof that these bytes are. Raises Malformed."""
    return decode(data, PROOF, size_max=PROOF_BYTES_MAX)


def write_proof(proof: Proof) -> bytes:
    """Return the canonical bytes of a proof."""
    return encode(proof)
