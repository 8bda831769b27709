"""What can go wrong, sorted by who is to blame.

Expected answers are values (``Refused``). Exceptions say whose fault it is: the operator's (UsageError), a
peer's (PeerFault), our disk's or keys' (LocalFault), or our own code's (InvariantBroken). Decoders know bytes,
not people: they raise Malformed, and the caller at the edge decides the blame.
"""

from enum import IntEnum, unique
from typing import cast

import msgspec


class NanobarterError(Exception):
    """The root of all exceptions that this package raises on purpose."""


class Malformed(NanobarterError):
    """These bytes are not a value of the wanted kind. Says where; nobody is blamed yet."""


class UsageError(NanobarterError):
    """The operator asked for something that cannot be done, and can change it.

    ``hint`` is the way out, a sentence fragment in the imperative, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PeerFault(NanobarterError):
    """A peer broke a rule. ``evidence`` is what it sent, for its score; it never stops the node."""

    def __init__(self, message: str, *, evidence: bytes = b"") -> None:
        super().__init__(message)
        self.evidence = evidence


class Unreachable(NanobarterError):
    """A peer did not answer in time or has no address that answers. Silence is not a fault."""


class LocalFault(NanobarterError):
    """Our own machine failed: disk full, database corrupt, key unreadable. ``hint`` is the way out."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Damaged(LocalFault):
    """Our database is not what it was: on disk, not by a rule of ours. It can be made anew."""


class InvariantBroken(NanobarterError):
    """Our own rules contradict each other: a bug. The node stops, since a wrong ledger is worse than none."""


def is_ours(error: Exception) -> bool:
    """Tell whether an error says that the node itself cannot go on, alone or among those of several tasks."""
    if isinstance(error, ExceptionGroup):
        return any(is_ours(one) for one in cast("ExceptionGroup[Exception]", error).exceptions)
    return isinstance(error, InvariantBroken | LocalFault)


@unique
class Reason(IntEnum):
    """Why a request is refused. The numbers travel on the wire and never change their meaning."""

    MALFORMED = 1
    BAD_SIGNATURE = 2
    EXPIRED = 3
    NOT_YET = 4
    WRONG_MINT = 5
    UNKNOWN_KEYSET = 6
    RETIRED_KEYSET = 7
    SPENT = 8
    UNBALANCED = 9
    NO_CAPACITY = 10
    UNKNOWN_LOCK = 11
    UNKNOWN_LEASE = 12
    NOT_OWNER = 13
    CONFLICT = 14
    TOO_LATE = 15
    TOO_MANY = 16
    NO_STOCK = 17
    POLICY = 18
    UNKNOWN_BID = 19
    BUSY = 20
    DISK_FULL = 21
    NOT_FOUND = 22
    WRONG_TERMS = 23
    CLOCK_OFF = 24
    OVER_QUOTA = 25
    UNVETTED = 26
    STOPPING = 27


class Refused(msgspec.Struct, frozen=True):
    """An expected no: the reason from the one list, and a sentence for people."""

    reason: Reason
    detail: str = ""
