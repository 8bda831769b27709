"""One error out of many tasks: callers of the engine see what went wrong, not how the work was divided."""

from collections.abc import Generator
from contextlib import contextmanager

from nanobarter.core.errors import NanobarterError


@contextmanager
def one_error() -> Generator[None]:
    """Raise one NanobarterError in place of a group of nothing else; other groups pass as they are."""
    try:
        yield
    except BaseExceptionGroup as group:
        _, rest = group.split(NanobarterError)
        if rest is not None:
            raise
        raise _leaf(group) from None


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return error  # pyright: ignore[reportUnknownVariableType]
