"""The exit codes of nbctl. Scripts read them: they never change their meaning. docs/cli.md lists them."""

from enum import IntEnum, unique


@unique
class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY_READ = 3
    BELOW_THRESHOLD = 4
    NO_DAEMON = 5
    NO_CREDIT = 6  # no notes to pay with, or no peers to pay
    NOT_YET = 7  # kept, and tried again until it is done or refused
    INTERRUPTED = 130  # 128 + SIGINT, as shells count


class CommandFailed(Exception):
    """Ends a command with a message, a hint and a code."""

    def __init__(self, message: str, *, hint: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
