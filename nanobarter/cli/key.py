"""The commands about the keys of a home: whether the sheet in the drawer is its own, and the passphrase over them."""

import argparse
import getpass
import hmac
import random
import sys
from typing import Final

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.jobs import read_phrase
from nanobarter.cli.talk import answer_json, say
from nanobarter.core.errors import UsageError
from nanobarter.core.phrase import seed_of
from nanobarter.core.system import SystemEntropy
from nanobarter.daemon.home import Home, default_home
from nanobarter.daemon.passphrase import Source, find, unlock
from nanobarter.daemon.phrase_file import keep_phrase, kept_phrase
from nanobarter.daemon.seed_file import check_new, show_plain, unwrap, wrap

WORDS_ASKED: Final = 3  # who has three at random places right, of 2,048 each, holds the sheet


def verify(asked: argparse.Namespace) -> int:
    """Tell whether a phrase is that of the home: three words of it at a terminal, else the whole."""
    home = unlock(Home.open(asked.home or default_home()), Source(asked.passphrase_file))
    words = () if asked.whole or asked.phrase_file or not sys.stdin.isatty() else kept_phrase(home)
    if words:
        _ask_three(words)
    else:
        phrase = read_phrase(asked.phrase_file or "-")
        if not hmac.compare_digest(seed_of(phrase), home.read_seed()):
            raise CommandFailed("these words are of another home", hint="look for the sheet of this one, now")
        if not kept_phrase(home):
            keep_phrase(home, home.read_seed(), phrase)
    if asked.json:
        answer_json({"type": "key_verify", "ok": True, "words": WORDS_ASKED if words else 24})
    else:
        print("the words are those of this home: they alone bring everything back")
    return Exit.DONE


def _ask_three(words: tuple[str, ...]) -> None:
    places = sorted(random.SystemRandom().sample(range(len(words)), WORDS_ASKED))
    said = [(place, getpass.getpass(f"word {place + 1}: ").strip().lower()) for place in places]
    wrong = [str(place + 1) for place, word in said if not hmac.compare_digest(word.encode(), words[place].encode())]
    if wrong:
        raise CommandFailed(
            f"word {' and '.join(wrong)} is another one" if len(wrong) == 1 else f"words {', '.join(wrong)} are others",
            hint="this is the sheet of another home, or a copy with a slip: look for the right one, now",
        )


def passphrase(asked: argparse.Namespace) -> int:
    """Set, change or remove the passphrase over the seed of a home; the daemon may run."""
    home = Home.open(asked.home or default_home())
    if asked.way == "set" and home.needs_passphrase:
        raise UsageError("this home has a passphrase", hint="change it: nbctl key passphrase change")
    if asked.way != "set" and not home.needs_passphrase:
        raise UsageError("this home has no passphrase", hint="set one: nbctl key passphrase set")
    home = unlock(home, Source(asked.passphrase_file))
    seed = home.read_seed()
    if asked.way == "remove":
        home.write_seed(show_plain(seed))
        told = "the passphrase is gone: whoever can read this home has its keys"
    else:
        fresh = check_new(_new_passphrase(asked.new_passphrase_file))
        file = wrap(seed, fresh, SystemEntropy())
        if unwrap(file.decode(), fresh) != seed:  # before the old one goes
            raise CommandFailed("the new file of the seed cannot be read back; nothing was changed")
        home.write_seed(file)
        told = "the keys are locked by the passphrase; the daemon asks for it at its next start"
        say("keep the phrase: it opens everything without the passphrase, and the passphrase nothing without this home")
    if asked.json:
        answer_json({"type": "key_passphrase", "locked": asked.way != "remove"})
    else:
        print(told)
    return Exit.DONE


def _new_passphrase(file: str) -> str:
    if file or not sys.stdin.isatty():
        return find(Source(file or "-"), "")
    first = getpass.getpass("new passphrase: ")
    if getpass.getpass("the same again: ") != first:
        raise UsageError("the two are not the same", hint="nothing was changed; try again")
    return first
