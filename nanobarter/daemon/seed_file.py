"""The seed at rest: as it is, or wrapped by a passphrase.

    as it is   128 hex digits
    wrapped    nbseed1 argon2id t=3 m=65536 p=4 SALT SEALED

SEALED is a nonce of 12 bytes and the AES-256-GCM of the seed, in hex, under the Argon2id hash of the passphrase (RFC
9106, its second recommended choice: 3 passes over 64 MiB in 4 lanes, a salt of 16 bytes), with all that stands before
it as associated data. A passphrase is taken in Unicode's form NFC, so that it does not matter on which keyboard it is
typed. Each wrapping has a fresh salt and nonce.
"""

import unicodedata
from typing import Final

from nanobarter.core.errors import LocalFault, UsageError
from nanobarter.core.ports import Entropy

SEED_BYTES: Final = 64  # BIP 39
PASSPHRASE_CHARS_MIN: Final = 8  # Argon2id makes each guess cost 0.3 s; shorter ones are guessed all the same
PASSPHRASE_BYTES_MAX: Final = 1024
_MARK: Final = "nbseed1 argon2id"
_PASSES, _MEMORY_KIB, _LANES = 3, 64 * 1024, 4
_PASSES_MAX, _MEMORY_KIB_MAX, _LANES_MAX = 64, 4 * 1024 * 1024, 64  # what a file may ask of this machine
_SALT_BYTES, _NONCE_BYTES = 16, 12


def is_wrapped(text: str) -> bool:
    """Tell whether this is a seed under a passphrase."""
    return text.startswith(_MARK)


def show_plain(seed: bytes) -> bytes:
    """Return the file of a seed without a passphrase."""
    return seed.hex().encode() + b"\n"


def read_plain(text: str) -> bytes:
    """Return the seed of a file that is not wrapped. Raises ValueError."""
    seed = bytes.fromhex(text)
    if len(seed) != SEED_BYTES:
        raise ValueError(f"{len(seed)} bytes")
    return seed


def wrap(seed: bytes, passphrase: str, entropy: Entropy) -> bytes:
    """Return the file of a seed under a passphrase. Costs about 0.3 s and 64 MiB."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - most commands need no key

    salt, nonce = entropy.token(_SALT_BYTES), entropy.token(_NONCE_BYTES)
    front = f"{_MARK} t={_PASSES} m={_MEMORY_KIB} p={_LANES} {salt.hex()}"
    key = _key(passphrase, salt, _PASSES, _MEMORY_KIB, _LANES)
    sealed = nonce + AESGCM(key).encrypt(nonce, seed, front.encode())
    return f"{front} {sealed.hex()}\n".encode()


def unwrap(text: str, passphrase: str) -> bytes:
    """Return the seed. Raises UsageError for a wrong passphrase, LocalFault for a damaged file."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - most commands need no key
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    front, _, last = text.strip().rpartition(" ")
    try:
        times, memory, lanes, salt = front.removeprefix(_MARK).split()
        numbers = [int(word[2:]) for word, name in ((times, "t="), (memory, "m="), (lanes, "p=")) if word[:2] == name]
        passes, kib, ways = numbers
        if not (0 < passes <= _PASSES_MAX and 0 < kib <= _MEMORY_KIB_MAX and 0 < ways <= _LANES_MAX):
            raise ValueError("out of bounds")  # noqa: TRY301 - joins the other ways of not being such a file
        sealed, salted = bytes.fromhex(last), bytes.fromhex(salt)
        if len(sealed) != _NONCE_BYTES + SEED_BYTES + 16 or len(salted) != _SALT_BYTES:
            raise ValueError("wrong length")  # noqa: TRY301 - as above
    except ValueError:
        raise LocalFault(
            "the file of the seed is damaged", hint="make a new home and restore into it by the phrase"
        ) from None
    try:
        key = _key(passphrase, salted, passes, kib, ways)
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], front.encode())
    except InvalidTag:
        raise UsageError(
            "the passphrase is wrong", hint="try again; without it the phrase still brings everything back"
        ) from None


def check_new(passphrase: str) -> str:
    """Return a passphrase that may be set. Raises UsageError."""
    if len(passphrase) < PASSPHRASE_CHARS_MIN:
        raise UsageError(
            f"the passphrase is shorter than {PASSPHRASE_CHARS_MIN} characters", hint="take some words of a sentence"
        )
    if len(passphrase.encode()) > PASSPHRASE_BYTES_MAX:
        raise UsageError(f"the passphrase is longer than {PASSPHRASE_BYTES_MAX} bytes", hint="take a shorter one")
    return passphrase


def _key(passphrase: str, salt: bytes, passes: int, kib: int, lanes: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - most commands need no key

    text = unicodedata.normalize("NFC", passphrase).encode()
    return Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=kib).derive(text)
