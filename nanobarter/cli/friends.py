"""Friends and invitations: ``nbctl friends``, ``nbctl invite``, ``nbctl join``."""

import argparse
import sys

from nanobarter.cli.exits import CommandFailed, Exit
from nanobarter.cli.reading import client_of
from nanobarter.cli.talk import answer_json


def friends(asked: argparse.Namespace) -> int:
    """Show with whom this node talks."""
    told = client_of(asked).get("/v1/friends")
    if asked.json:
        answer_json(told)
        return Exit.DONE
    print("talks with its friends only" if told["peers"] == "only" else "talks with anyone; its friends:")
    for row in told["friends"]:
        print(f"  {row['node']}  {'connected' if row['connected'] else 'away'}")
    if not told["friends"]:
        print("  none yet; make one: nbctl invite")
    return Exit.DONE


def invite(asked: argparse.Namespace) -> int:
    """Print one line that makes whoever takes it a friend."""
    told = client_of(asked).post("/v1/invite", {"valid": asked.valid})
    if asked.json:
        answer_json(told)
    else:
        print(told["invitation"])
        print(f"good once, for {asked.valid}; give it to one friend: nbctl join LINE", file=sys.stderr)
    return Exit.DONE


def join(asked: argparse.Namespace) -> int:
    """Take an invitation: from the command line, or from standard input with ``-``."""
    line = sys.stdin.readline() if asked.invitation == "-" else asked.invitation
    if not line.strip():
        raise CommandFailed("there is no invitation", hint="nbctl join LINE, or - to read it", code=Exit.USAGE)
    told = client_of(asked).post("/v1/join", {"invitation": line})
    if asked.json:
        answer_json(told)
    else:
        print(f"joined {told['node']} at {', '.join(told['addresses'])}; see: nbctl friends")
    return Exit.DONE
