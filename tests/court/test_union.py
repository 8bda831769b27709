"""Every kind of proof reads as itself and convicts by one function, whatever part of the house it is about."""

import json
from pathlib import Path

import pytest

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, LeaseId
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.units import Instant
from nanobarter.court.proofs import PROOF_BYTES_MAX, Convicted, NotProven, Proof, read_proof, verify, write_proof
from nanobarter.storage.proofs import FalseBlock
from nanobarter.storage.share import BLOCK_BYTES, Tree
from nanobarter.storage.vault_messages import DOMAIN_RECEIPT, Held
from nanobarter.storage.vault_messages import Proof as Shown
from nanobarter.swap.making import make_agreed
from nanobarter.swap.proofs import TwoAgreed
from nanobarter.swap.states import Gathering
from tests.swap.test_messages import NOW, examples

VAULT, PROPOSER = SigningKey(b"v" * 32), SigningKey(bytes([1]) * 32)
RAW = b"".join(bytes([i]) * 1000 for i in range(200))
LEASE = LeaseId(bytes(32))
FILE = Path(__file__).parent.parent / "vectors" / "court-proofs.json"


def held(size: int = len(RAW)) -> Signed:
    return seal_signed(VAULT, DOMAIN_RECEIPT, Held(LEASE, Tree(RAW).root, size, Instant(1)))


def shown(block: bytes, *, key: SigningKey = VAULT, root: Hash | None = None) -> Signed:
    body = Shown(LEASE, root or Tree(RAW).root, bytes(16), 1, Instant(2), block, Tree(RAW).path(1))
    return seal_signed(key, DOMAIN_RECEIPT, body)


def agreed(at: int) -> Signed:
    gathering = examples()["state gathering"]
    assert isinstance(gathering, Gathering)
    return make_agreed(PROPOSER, gathering, Instant(at))


BLOCK = RAW[BLOCK_BYTES : 2 * BLOCK_BYTES]
PROOFS: dict[str, tuple[Proof, SigningKey]] = {
    "two agreements": (TwoAgreed(agreed(NOW), agreed(NOW + 1)), PROPOSER),
    "false block": (FalseBlock(held(), shown(bytes(len(BLOCK)))), VAULT),
}
NO_PROOFS: dict[str, Proof] = {
    "one agreement twice": TwoAgreed(agreed(NOW), agreed(NOW)),
    "not agreements": TwoAgreed(held(), held()),
    "true block": FalseBlock(held(), shown(BLOCK)),
    "block of another node": FalseBlock(held(), shown(bytes(len(BLOCK)), key=PROPOSER)),
    "block of another share": FalseBlock(held(), shown(bytes(len(BLOCK)), root=Hash(bytes(32)))),
    "receipts swapped": FalseBlock(shown(BLOCK), held()),
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_lie_convicts_the_liar_from_the_bytes_alone(name: str) -> None:
    proof, liar = PROOFS[name]
    verdict = verify(read_proof(write_proof(proof)))
    assert isinstance(verdict, Convicted), verdict
    assert verdict.node == liar.node_id


@pytest.mark.parametrize("name", NO_PROOFS)
def test_what_is_nearly_a_proof_convicts_nobody(name: str) -> None:
    assert isinstance(verify(NO_PROOFS[name]), NotProven)


def test_the_bytes_are_those_of_the_release() -> None:
    stored = json.loads(FILE.read_text())
    assert stored["false block"] == encode(PROOFS["false block"][0]).hex()
    for name, (_, liar) in PROOFS.items():  # the agreement's ids change with the draft that it rests on
        verdict = verify(read_proof(bytes.fromhex(stored[name])))
        assert isinstance(verdict, Convicted)
        assert verdict.node == liar.node_id


def test_more_than_the_bound_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_proof(bytes(PROOF_BYTES_MAX + 1))
