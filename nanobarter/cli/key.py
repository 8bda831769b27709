"""The commands about the phrase: whether the sheet in the drawer is the one of this home."""

import argparse
import hmac

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.jobs import read_phrase
from nanobarter.cli.talk import answer_json
from nanobarter.core.phrase import seed_of
from nanobarter.daemon.home import Home, default_home


def verify(asked: argparse.Namespace) -> int:
    """Tell whether a phrase is that of the home: its seed is compared, since the words are not stored anywhere."""
    home = Home.open(asked.home or default_home())
    same = hmac.compare_digest(seed_of(read_phrase(asked.phrase_file or "-")), home.read_seed())
    if not same:
        raise CommandFailed("these words are of another home", hint="look for the sheet of this one, now")
    if asked.json:
        answer_json({"type": "key_verify", "ok": True})
    else:
        print("the words are those of this home: they alone bring everything back")
    return Exit.DONE
