"""What an answer to a challenge is worth: proven, a broken promise with its evidence, or silence. Pure."""

from dataclasses import dataclass

from nanobarter.core.ids import LeaseId
from nanobarter.storage.share import verify_block
from nanobarter.storage.vault_messages import Held, NoProof, Prove, ReceiptBody


@dataclass(frozen=True)
class Proven:
    """The peer showed the block."""


@dataclass(frozen=True)
class Wrong:
    """The peer breaks its promise; ``evidence`` is the canonical Signed receipt, or nothing if it signed none."""

    problem: str
    evidence: bytes


@dataclass(frozen=True)
class Silent:
    """No usable answer: offline, busy, or not to be understood. Retried; counts against nobody yet."""

    detail: str
    offline: bool = False


Outcome = Proven | Wrong | Silent


def judge_proof(body: ReceiptBody, evidence: bytes, asked: Prove, lease: LeaseId, size: int) -> Outcome:
    """Return what a signed answer to a challenge is worth. Anyone who knows the contract can judge the evidence."""
    if isinstance(body, Held) or (body.lease, body.share, body.nonce) != (lease, asked.share, asked.nonce):
        return Silent("the answer is for another challenge")
    if isinstance(body, NoProof):
        return Wrong("the peer says that it does not have the share", evidence)
    if body.block_index != asked.block_index:
        return Silent("the answer is for another block")
    if not verify_block(asked.share, size, body.block_index, body.block, body.path):
        return Wrong("the block is not the one that was stored", evidence)
    return Proven()
