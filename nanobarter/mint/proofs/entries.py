"""What the entries of a head's four trees are: the same for the mint that builds them and for who checks them.

Each key is a SHA-256, so entries sort evenly and a neighbour in an absence proof tells nothing about what it names.
"""

from nanobarter.core.canonical import encode
from nanobarter.core.ids import sha256
from nanobarter.mint.answer_messages import Contract, Locked
from nanobarter.mint.messages import BlindOutput
from nanobarter.mint.proofs.tree import Entry


def output_id(output: BlindOutput) -> bytes:
    """Return the name of an output among those signed."""
    return sha256(encode(output))


def issued(output: bytes, request: bytes) -> Entry:
    """Return the entry of an output that was signed: under its id, the request that asked for it."""
    return Entry(output, request)


def spent(note: bytes, request: bytes) -> Entry:
    """Return the entry of a note that was spent: under its id, the request that spent it."""
    return Entry(note, request)


def locked(lock: Locked) -> Entry:
    """Return the entry of a lock that was made: under its id, the hash of the LOCKED."""
    return Entry(lock.terms.lock_id, sha256(encode(lock)))


def leased(contract: Contract) -> Entry:
    """Return the entry of a contract that was signed: under its hash, its lease."""
    return Entry(sha256(encode(contract)), contract.lease_id)
