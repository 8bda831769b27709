"""``python -m tests.e2e.doomed POINT ...``: a real nanobarterd that gets SIGKILL at one exact point of a ring.

A kill from outside comes some milliseconds late, and the states of a ring last that long. So the process kills itself,
with the signal that cannot be caught: nothing is flushed, said or closed after it. POINT is one of

    proposer:STATE:before  party:STATE:before  issuer:REQUEST:before   the write is not made
    proposer:STATE:after   party:STATE:after   issuer:REQUEST:after    it is made, and nothing is said of it
"""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nanobarter.core.canonical import decode
from nanobarter.core.ids import DraftId, Hash, NodeId
from nanobarter.core.limits import LIMITS
from nanobarter.daemon.main import main
from nanobarter.mint.messages import Request
from nanobarter.mint.service import Mint
from nanobarter.swap.positions import mine_in
from nanobarter.swap.rings import Move, Rings

PROPOSER: Final = ("Gathering", "Collecting", "Committing", "Opened", "Ended")
PARTY: Final = ("Approved", "Locking", "Voted", "Opened", "Ended")
ISSUER: Final = ("lock", "open", "take")
POINTS: Final = tuple(
    f"{role}:{what}:{when}"
    for role, whats in (("proposer", PROPOSER), ("party", PARTY), ("issuer", ISSUER))
    for what in whats
    for when in ("before", "after")
)


@dataclass(frozen=True)
class Doom:
    """Where the process ends."""

    role: str
    what: str
    when: str

    def meets(self, role: str, what: str, when: str) -> None:
        """Die if this is the point."""
        if (role, what, when) == (self.role, self.what, self.when):
            os.kill(os.getpid(), signal.SIGKILL)


def arm(doom: Doom) -> None:
    """Put the point into the two places where a ring becomes durable: its states, and its locks at a mint."""
    really_record = Rings._record  # pyright: ignore[reportPrivateUsage] - the one place where a state is written
    really_handle = Mint.handle

    async def record(self: Rings, draft: DraftId, moves: Sequence[Move], pays_under: Hash | None = None) -> None:
        for when in ("before", "after"):
            for move in moves:
                role = "party" if mine_in(move.state).index else "proposer"
                doom.meets(role, type(move.state).__name__, when)
            if when == "before":
                await really_record(self, draft, moves, pays_under)

    async def handle(self: Mint, peer: NodeId, body: bytes) -> bytes:
        kind = _kind_of(decode(body, Request, size_max=LIMITS.request_bytes_max))
        doom.meets("issuer", kind, "before")
        answer = await really_handle(self, peer, body)
        doom.meets("issuer", kind, "after")
        return answer

    Rings._record = record  # pyright: ignore[reportPrivateUsage] - as above
    Mint.handle = handle


def _kind_of(request: Request) -> str:
    """Return the tag of a request's body, which is the first element of its array."""
    return next((kind for kind in ISSUER if request.body[1:].startswith(bytes([0xA0 + len(kind)]) + kind.encode())), "")


if __name__ == "__main__":
    arm(Doom(*sys.argv[1].split(":")))
    sys.exit(main(sys.argv[2:]))
