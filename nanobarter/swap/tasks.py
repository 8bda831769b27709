"""Tasks of a service that may just have ended."""

from collections.abc import Awaitable, Callable

import trio


def start(nursery: trio.Nursery, action: Callable[..., Awaitable[object]], *args: object) -> None:
    """Start a task, unless the service that owns the nursery has ended.

    While a node stops, others still call: a mint tells of a lock, a write comes back. What matters is durable by
    then and is taken up at the next start; there is nobody left to do it now.
    """
    try:
        nursery.start_soon(action, *args)
    except RuntimeError:  # the nursery is closed; trio has no other way to ask
        return
