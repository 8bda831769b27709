"""nbctl rebuild: a damaged database is set aside, and made anew from what can be read and from peers."""

import argparse

from nanobarter.cli.exits import Exit
from nanobarter.cli.talk import answer_json, say
from nanobarter.core.system import SystemClock
from nanobarter.daemon import rebuild
from nanobarter.daemon.config_file import load_config
from nanobarter.daemon.home import Home, default_home
from nanobarter.daemon.passphrase import Source, unlock
from nanobarter.daemon.rebuild import Rebuild


def run(asked: argparse.Namespace) -> int:
    """Do what the next start needs and tell it; the daemon must be down."""
    home = unlock(Home.open(asked.home or default_home()), Source(asked.passphrase_file))
    config = load_config(home.config_path, folders_must_exist=False)
    with home.locked():
        if asked.give_up_snapshots:
            rebuild.give_up_snapshots(home)
            say("the former snapshots are given up; what peers keep of them stays until its leases end")
            return Exit.DONE
        done = rebuild.rebuild(home, config, SystemClock().now())
    if asked.json:
        answer_json(_answer(done))
        return Exit.DONE
    print("\n".join(_lines(done)))
    return Exit.DONE


def _lines(done: Rebuild) -> list[str]:
    saved = done.saved
    told = [f"the database was damaged: {done.problem}"]
    if done.aside is not None:
        told.append(f"it is kept as {done.aside}")
    if saved.carried is None:
        told.append("the mint's books are whole, its notes stay good")
    else:
        told.append(
            f"the mint's books are not whole: its former notes are retired, {saved.carried.leases} leases and "
            f"{saved.carried.locks} locks go on, and it does not trade for about a day"
        )
    told.append("the wallet is whole" if saved.wallet_whole else "the wallet's notes are asked for at their issuers")
    told.append(f"{saved.vault.shares} shares of others under {saved.vault.leases} leases are served as before")
    if saved.vault.orphans:
        told.append(f"{saved.vault.orphans} more wait until their owners show what they paid for")
    told.append(
        {
            "here": "there was no backup",
            "unsure": "the index of your backups could be read; it is compared with the one that peers have",
            "missing": "the index of your backups is fetched from peers; until then nothing is backed up",
        }[saved.index]
    )
    if not saved.history:
        told.append("the ledger begins anew; the former one is in the file that is kept")
    return [*told, "start the daemon: nbctl up"]


def _answer(done: Rebuild) -> dict[str, object]:
    saved = done.saved
    return {
        "type": "rebuild",
        "problem": done.problem,
        "kept_as": str(done.aside) if done.aside else None,
        "mint": "whole" if saved.carried is None else "new generation",
        "leases": saved.vault.leases,
        "shares": saved.vault.shares,
        "shares_waiting": saved.vault.orphans,
        "wallet": "whole" if saved.wallet_whole else "from issuers",
        "index": saved.index,
        "ledger": "whole" if saved.history else "anew",
    }
