"""Blind RSA signatures: the mint signs a note without seeing it. Source: RFC 9474, RSABSSA-SHA384.

The whole exchange in the letters of the RFC (section 4), between a wallet and a signer with key (n, e, d)::

    wallet   prepare:   input_msg = msg, or 32 random bytes || msg          (4.1)
    wallet   blind:     m = EMSA-PSS-ENCODE(input_msg), z = m * r^e mod n,
                        inv = r^-1 mod n                                    (4.2)
    signer   blind_sign: s' = z^d mod n, and s'^e = z is checked            (4.3)
    wallet   finalize:  s = s' * inv mod n, and RSASSA-PSS-VERIFY(s)        (4.4)
    anyone   verify:    RSASSA-PSS-VERIFY(input_msg, s)                     (RFC 8017, 8.1.2)

The signer sees z, uniform for every m, so no signature can be traced to its issue. Notes use the variant
``PSS_DETERMINISTIC``: their messages carry a fresh public key, which is entropy enough (RFC 9474, section 6.2).
The exponent e is 65537 throughout. The salt and r are inputs, so that a wallet can derive and repeat them.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from nanobarter.core.errors import Malformed
from nanobarter.mint.bignum import gcd, inverse, powmod
from nanobarter.mint.rsa import EXPONENT, RawKey

_HASH_BYTES: Final = 48  # SHA-384
PREFIX_BYTES: Final = 32  # RFC 9474, section 4.1


@dataclass(frozen=True)
class Variant:
    """One of the four named variants of RFC 9474, section 5."""

    name: str
    salt_bytes: int
    randomized: bool


PSS_RANDOMIZED: Final = Variant("RSABSSA-SHA384-PSS-Randomized", _HASH_BYTES, randomized=True)
PSSZERO_RANDOMIZED: Final = Variant("RSABSSA-SHA384-PSSZERO-Randomized", 0, randomized=True)
PSS_DETERMINISTIC: Final = Variant("RSABSSA-SHA384-PSS-Deterministic", _HASH_BYTES, randomized=False)
PSSZERO_DETERMINISTIC: Final = Variant("RSABSSA-SHA384-PSSZERO-Deterministic", 0, randomized=False)
VARIANTS: Final = (PSS_RANDOMIZED, PSSZERO_RANDOMIZED, PSS_DETERMINISTIC, PSSZERO_DETERMINISTIC)


@dataclass(frozen=True)
class Blinded:
    """What the wallet sends (``message``) and what it keeps to unblind the answer (``inverse``, secret)."""

    message: bytes
    inverse: int = field(repr=False)


def prepare(variant: Variant, message: bytes, prefix: bytes = b"") -> bytes:
    """Return input_msg: the message, behind 32 random bytes in a randomized variant.

    Raises ValueError when the prefix has not the length that the variant wants (our caller's mistake).
    """
    wanted = PREFIX_BYTES if variant.randomized else 0
    if len(prefix) != wanted:
        raise ValueError(f"{variant.name} takes a prefix of {wanted} bytes, not {len(prefix)}")
    return prefix + message


def factor_from(wide: bytes, modulus: int) -> int:
    """Return a blinding factor in 1..n-1 from uniform bytes.

    They must be at least 128 bits longer than the modulus (272 bytes for RSA-2048), so that the reduction is
    not noticeably biased. Raises ValueError when they are shorter.
    """
    if len(wide) * 8 < modulus.bit_length() + 128:
        raise ValueError(f"{len(wide)} bytes are too few for an unbiased blinding factor")
    return 1 + int.from_bytes(wide, "big") % (modulus - 1)


def blind(variant: Variant, modulus: int, input_msg: bytes, *, salt: bytes, factor: int) -> Blinded:
    """Return the blinded message for the signer and the secret inverse.

    Salt and factor must not be used again for another message under this key: two blinded messages with one
    factor are linked by their quotient. Raises Malformed when message or factor share a divisor with the
    modulus, which only a modulus made with malice allows; blame its issuer.
    """
    m = int.from_bytes(encode_pss(input_msg, modulus.bit_length() - 1, salt, variant.salt_bytes), "big")
    if gcd(m, modulus) != 1:
        raise Malformed("the modulus shares a divisor with the encoded message")
    try:
        inv = inverse(factor, modulus)
    except ZeroDivisionError:
        raise Malformed("the modulus shares a divisor with the blinding factor") from None
    z = m * powmod(factor, EXPONENT, modulus) % modulus
    return Blinded(z.to_bytes(_size(modulus), "big"), inv)


def check_blinded(modulus: int, blinded: bytes) -> None:
    """Raise Malformed unless this is an operand that ``blind_sign`` takes: as long as n, and below it."""
    if len(blinded) != _size(modulus):
        raise Malformed(f"a blinded message of {len(blinded)} bytes under a modulus of {_size(modulus)}")
    if int.from_bytes(blinded, "big") >= modulus:
        raise Malformed("the blinded message is not below the modulus")


def blind_sign(key: RawKey, blinded: bytes) -> bytes:
    """Return the blind signature: always the same for the same operand, so it can be made again at any time.

    Takes about 0.3 ms of CPU with libcrypto: call it in a worker thread. Raises Malformed as ``check_blinded``.
    """
    check_blinded(key.modulus, blinded)
    return key.private(blinded)


def finalize(variant: Variant, modulus: int, input_msg: bytes, blind_sig: bytes, inv: int) -> bytes:
    """Return the signature over input_msg that anyone can verify.

    Raises Malformed when the signer's answer is not a signature of what was blinded. The wallet must then give
    up this key and never blind the message again: a signer may probe with wrong answers.
    """
    if len(blind_sig) != _size(modulus):
        raise Malformed(f"a blind signature of {len(blind_sig)} bytes under a modulus of {_size(modulus)}")
    s = int.from_bytes(blind_sig, "big") * inv % modulus
    signature = s.to_bytes(_size(modulus), "big")
    if not verify(variant, modulus, input_msg, signature):
        raise Malformed("the blind signature does not verify once unblinded")
    return signature


def verify(variant: Variant, modulus: int, input_msg: bytes, signature: bytes) -> bool:
    """Tell whether the signature over input_msg is good under (modulus, 65537). About 25 us of CPU."""
    try:
        _public_key(modulus).verify(signature, input_msg, _PADDINGS[variant.salt_bytes], _SHA384)
    except InvalidSignature:
        return False
    return True


def encode_pss(message: bytes, bits: int, salt: bytes, salt_bytes: int) -> bytes:
    """Return EMSA-PSS-ENCODE with SHA-384 and MGF1-SHA-384 in ``bits`` bits (RFC 8017, section 9.1.1)."""
    if len(salt) != salt_bytes:
        raise ValueError(f"a salt of {len(salt)} bytes where the variant takes {salt_bytes}")
    size = (bits + 7) // 8
    digest = hashlib.sha384(message).digest()
    mixed = hashlib.sha384(bytes(8) + digest + salt).digest()
    block = bytes(size - salt_bytes - _HASH_BYTES - 2) + b"\x01" + salt
    masked = int.from_bytes(block, "big") ^ int.from_bytes(_mgf1(mixed, len(block)), "big")
    masked &= (1 << (bits - 8 * (_HASH_BYTES + 1))) - 1
    return masked.to_bytes(len(block), "big") + mixed + b"\xbc"


def _mgf1(seed: bytes, size: int) -> bytes:
    blocks = -(-size // _HASH_BYTES)
    return b"".join(hashlib.sha384(seed + i.to_bytes(4, "big")).digest() for i in range(blocks))[:size]


def _size(modulus: int) -> int:
    return (modulus.bit_length() + 7) // 8


_SHA384: Final = hashes.SHA384()
_PADDINGS: Final = {size: padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=size) for size in (0, _HASH_BYTES)}


@lru_cache(maxsize=512)  # the keys of two dozen keysets; making one costs as much as a verification
def _public_key(modulus: int) -> rsa.RSAPublicKey:
    try:
        return rsa.RSAPublicNumbers(EXPONENT, modulus).public_key()
    except ValueError as error:
        raise Malformed(f"not an RSA modulus: {error}") from None
