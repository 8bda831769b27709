"""Every secret of a note grows out of the recovery phrase, so that it can be repeated after a crash and restored.

A *coin* names one note to be: a keyset, a denomination and a counter that was durable before its use. From it come
the note's own key, the salt of the signature's encoding and the blinding factor, under separate labels. Salt and
factor bind the message too: should a counter ever be used for another message, the two blinded values stay unlinked.
The factor is expanded to 2304 bits before it is reduced modulo n, so that its distance from uniform is below 2^-128
(FIPS 186-5, appendix A.2.1 asks for 64 bits more than the modulus has; here 256 are spent).
"""

from nanobarter.core.canonical import Record
from nanobarter.core.ids import KeysetId
from nanobarter.core.keys import SigningKey, derive
from nanobarter.core.units import Quantity

SALT_BYTES = 48  # RFC 9474, section 5: the PSS-Deterministic variant salts with the length of SHA-384
_FACTOR_BLOCKS = 9  # of 32 bytes: 2304 bits


class Coin(Record, frozen=True):
    """The name of one note to be: enough, with the seed, to make all of its secrets again."""

    keyset: KeysetId
    quantity: Quantity
    counter: int


def _context(coin: Coin) -> tuple[bytes, bytes, bytes]:
    return (coin.keyset, coin.quantity.to_bytes(8, "big"), coin.counter.to_bytes(8, "big"))


def note_key(seed: bytes, coin: Coin) -> SigningKey:
    """Return the key pair that owns the note."""
    return SigningKey(derive(seed, "wallet/note-key", *_context(coin)))


def note_salt(seed: bytes, coin: Coin, message: bytes) -> bytes:
    """Return the salt of the message's encoding (48 bytes)."""
    context = (*_context(coin), message)
    halves = [derive(seed, "wallet/salt", *context, bytes([i])) for i in range(2)]
    return b"".join(halves)[:SALT_BYTES]


def blinding_factor(seed: bytes, coin: Coin, message: bytes, modulus: int) -> int:
    """Return the factor that hides the message from its signer: uniform in [1, n), up to 2^-128."""
    context = (*_context(coin), message)
    blocks = [derive(seed, "wallet/blinding-factor", *context, bytes([i])) for i in range(_FACTOR_BLOCKS)]
    return int.from_bytes(b"".join(blocks), "big") % (modulus - 1) + 1


def lock_key(seed: bytes, draft: bytes, index: int, role: str) -> SigningKey:
    """Return the key of one party of a draft: ``to`` takes its incoming lock, ``refund`` its own one back."""
    return SigningKey(derive(seed, f"wallet/lock-{role}", draft, index.to_bytes(2, "big")))
