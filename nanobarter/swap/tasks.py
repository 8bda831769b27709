"""Tasks of a service that may just have ended."""

from collections.abc import Awaitable, Callable
from typing import cast

import trio

from nanobarter.core.errors import InvariantBroken, LocalFault


def start(nursery: trio.Nursery, action: Callable[..., Awaitable[object]], *args: object) -> None:
    """Start a task, unless the service that owns the nursery has ended.

    While a node stops, others still call: a mint tells of a lock, a write comes back. What matters is durable by
    then and is taken up at the next start; there is nobody left to do it now.
    """
    try:
        nursery.start_soon(action, *args)
    except RuntimeError:  # the nursery is closed; trio has no other way to ask
        return


def is_ours(error: Exception) -> bool:
    """Tell whether an error says that the node itself cannot go on, alone or among those of several tasks."""
    if isinstance(error, ExceptionGroup):
        return any(is_ours(one) for one in cast("ExceptionGroup[Exception]", error).exceptions)
    return isinstance(error, InvariantBroken | LocalFault)
