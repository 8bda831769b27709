"""The bodies of frames that have a structure; ANSWER, DATA and PING bodies are plain bytes.

Plain, since an answer is already canonical bytes of its service and wrapping a mebibyte once more buys nothing.
"""

from enum import IntEnum, unique
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ports import Body, size_of, whole
from nanobarter.net.address import HOST_MAX
from nanobarter.net.methods import METHOD_NAME_MAX

VERSIONS = (1,)
"""The versions of this protocol that we speak; both sides take the highest common one."""

HELLO_MAX = 4096
TIMEOUT_MS_MAX = 60 * 60 * 1000
CREDIT_MAX = 2**31

_LONG: Final = 2**16  # from this length on MessagePack's header of bytes is the one with four bytes of length
_EMPTY: Final = b"\xc4\x00"

_Method = Annotated[str, Meta(max_length=METHOD_NAME_MAX)]


class Hello(Record, frozen=True):
    """The first message of each side. Its shape is the same in all versions; news goes into ``extensions``.

    ``instance`` is random for each start of a node: another one tells that older connections are dead.
    ``serial`` counts the dials of the dialling side, so that both agree which of two connections is the newer.
    ``observed`` is the host that the sender sees the receiver at. ``requests_max`` and ``bulk_max`` are how many
    requests of the receiver it serves at once.
    """

    versions: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**16)], ...], Meta(min_length=1, max_length=16)]
    instance: Annotated[bytes, Meta(min_length=16, max_length=16)]
    serial: Annotated[int, Meta(ge=0, le=2**62)]
    observed: Annotated[str, Meta(max_length=HOST_MAX)]
    requests_max: Annotated[int, Meta(ge=1, le=2**16)]
    bulk_max: Annotated[int, Meta(ge=1, le=2**16)]
    extensions: Annotated[dict[str, bytes], Meta(max_length=16)]


@unique
class Parting(IntEnum):
    """Why a connection ends; in BYE. The numbers travel on the wire."""

    NO_COMMON_VERSION = 1
    TOO_MANY = 2
    ONESELF = 3
    MALFORMED = 4
    STOPPING = 5
    NOT_A_FRIEND = 6


class Bye(Record, frozen=True):
    """The last message: why the sender closes."""

    parting: Annotated[int, Meta(ge=0, le=255)]
    detail: Annotated[str, Meta(max_length=200)]


class Request(Record, frozen=True):
    """A call of a method. The receiver stops working on it after ``timeout`` milliseconds."""

    method: _Method
    timeout: Annotated[int, Meta(ge=0, le=TIMEOUT_MS_MAX)]
    bulk: bool
    body: bytes


_DECODER: Final = msgspec.msgpack.Decoder(Request)


def request_parts(method: str, timeout: int, *, bulk: bool, body: Body) -> tuple[bytes, bytes | memoryview]:
    """Return the canonical bytes of a Request in two pieces: a long body is not copied for its own header."""
    size = size_of(body)
    if size < _LONG:
        return encode(Request(method, timeout, bulk, whole(body))), b""
    begin, rest = (b"", body) if isinstance(body, bytes) else body
    empty = encode(Request(method, timeout, bulk, b""))
    return b"".join((empty[: -len(_EMPTY)], b"\xc6", size.to_bytes(4, "big"), begin)), rest


def read_request(data: bytes) -> Request:
    """Return the request that canonical bytes are. Raises Malformed.

    A long one is not encoded again as a whole to see that it is canonical: its body is its last field, so the rest
    is compared.
    """
    if len(data) < 2 * _LONG:
        return decode(data, Request, size_max=len(data))
    try:
        request = _DECODER.decode(data)
        head, body = request_parts(request.method, request.timeout, bulk=request.bulk, body=request.body)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Malformed(str(error)) from None
    if len(head) + len(body) != len(data) or not data.startswith(head):
        raise Malformed("not in canonical form")
    return request


class FailedBody(Record, frozen=True):
    """Why there is no answer; ``failure`` is a ``methods.Failure``."""

    failure: Annotated[int, Meta(ge=0, le=255)]
    detail: Annotated[str, Meta(max_length=300)]


class Open(Record, frozen=True):
    """The start of a stream."""

    method: _Method
    body: bytes


class Credit(Record, frozen=True):
    """How many more bytes of a stream the receiver takes."""

    count: Annotated[int, Meta(ge=1, le=CREDIT_MAX)]
