"""The recovery phrase: twenty-four words from which every key of a person grows. Source: BIP 39."""

from mnemonic import Mnemonic

from nanobarter.core.errors import UsageError
from nanobarter.core.ports import Entropy

WORDS = 24


def make_phrase(entropy: Entropy) -> str:
    """Return a fresh phrase of twenty-four English words (256 bits of entropy and a checksum)."""
    return Mnemonic("english").to_mnemonic(entropy.token(32))


def words_of(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase as it was typed, without the numbers of the sheet."""
    return tuple(word for word in phrase.lower().split() if not word.rstrip(".)").isdigit())


def seed_of(phrase: str) -> bytes:
    """Return the 64-byte seed of a phrase (PBKDF2, BIP 39 with the empty passphrase).

    Case, spacing and the numbers that stand before the words on the sheet do not matter. Raises UsageError that names
    what is wrong, never the whole phrase.
    """
    book, words = Mnemonic("english"), words_of(phrase)
    if len(words) != WORDS:
        raise UsageError(f"the phrase has {len(words)} words instead of {WORDS}", hint="type all of them, in order")
    for place, word in enumerate(words, 1):
        if word not in book.wordlist:
            raise UsageError(
                f"word {place}, {word!r}, is not in the word list", hint="check its spelling on your sheet"
            )
    joined = " ".join(words)
    if not book.check(joined):
        raise UsageError("the words do not fit together (wrong checksum)", hint="check their order and spelling")
    return bytes(Mnemonic.to_seed(joined))
