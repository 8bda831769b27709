"""The words in the home, so that a person can be asked for three of them instead of all.

    phrase    a nonce of 12 bytes and the AES-256-GCM of the words, under derive(seed, "home/phrase")

Who has the seed has every key already, so the words tell nothing more; who does not, cannot read them. Older homes
have no such file until the whole phrase was typed once.
"""

from contextlib import suppress
from typing import Final

from nanobarter.core.durable import write_durably
from nanobarter.core.errors import UsageError
from nanobarter.core.keys import derive
from nanobarter.core.phrase import words_of
from nanobarter.core.system import SystemEntropy
from nanobarter.daemon.home import Home

_LABEL: Final = "home/phrase"
_NONCE_BYTES: Final = 12
_BYTES_MAX: Final = 4096


def keep_phrase(home: Home, seed: bytes, phrase: str) -> None:
    """Keep the words of a home. A disk that refuses costs only that all words are asked for."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - most commands need no key

    nonce = SystemEntropy().token(_NONCE_BYTES)
    sealed = AESGCM(derive(seed, _LABEL)).encrypt(nonce, " ".join(words_of(phrase)).encode(), b"")
    with suppress(OSError):
        write_durably(home.phrase_path, nonce + sealed)


def kept_phrase(home: Home) -> tuple[str, ...]:
    """Return the words of an unlocked home; none where they are not kept, or not readable."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - most commands need no key
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    try:
        raw = home.phrase_path.read_bytes()[:_BYTES_MAX]
        plain = AESGCM(derive(home.read_seed(), _LABEL)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], b"")
        return tuple(plain.decode().split())
    except (OSError, InvalidTag, ValueError, UsageError):
        return ()
