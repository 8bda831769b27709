"""How a route of the local API reads what it is asked and tells what it is answered: one object, or lines of a job."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from nanobarter.core.errors import UsageError
from nanobarter.daemon.api import Answer, Handler, Params, closing_job
from nanobarter.daemon.shape import Shape

P = TypeVar("P", bound="Asked")


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of what a request may carry."""


class Nothing(Asked, frozen=True):
    """A request without parameters."""


def _read(kind: type[P], params: Params) -> P:
    try:
        return msgspec.convert(params, kind, strict=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request is not understood: {error}") from None


def _tell(shape: Shape) -> Answer:
    told: Any = msgspec.to_builtins(shape)
    return told


def one(kind: type[P], ask: Callable[[P], Awaitable[Shape]]) -> Handler:
    """Return the handler of a route that answers with one object."""

    async def handle(params: Params) -> Answer:
        return _tell(await ask(_read(kind, params)))

    return handle


def many(kind: type[P], ask: Callable[[P], AsyncIterator[Shape]]) -> Handler:
    """Return the handler of a long job: objects as they come, the last its result; cancelled with its client."""

    async def handle(params: Params) -> AsyncIterator[Answer]:
        events = ask(_read(kind, params))
        async with closing_job(events):
            async for event in events:
                yield _tell(event)

    return handle
