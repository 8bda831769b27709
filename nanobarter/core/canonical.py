"""Canonical bytes: one value, one encoding, checked on the way in.

The wire form is MessagePack with the shortest form of every integer and length, records as arrays in field
order (a union's tag first), maps with sorted keys, no floats and no extension types. A decoder takes exactly
the bytes that the encoder would have made: it decodes by type, encodes again, and compares. So a hash or a
signature over bytes is one over the value. Source: the MessagePack specification, "canonical" as in
docs/spec/bytes.md; the library and the reason for it are in docs/decisions/0001-msgspec.md.
"""

from functools import cache
from typing import Any, TypeVar

import msgspec

from nanobarter.core.errors import Malformed

T = TypeVar("T")

_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of everything that is stored, hashed, signed or sent: frozen, encoded as an array.

    Subclasses say ``frozen=True`` again, for the type checker.
    """


def encode(value: object) -> bytes:
    """Return the canonical bytes of a record or of plain ints, bytes, str, bool, None, tuples and dicts."""
    return _ENCODER.encode(value)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind, ext_hook=_refuse_extension)


def _refuse_extension(code: int, _data: memoryview) -> object:
    raise ValueError(f"extension type {code} has no meaning here")


def decode(data: bytes, kind: type[T], *, size_max: int) -> T:
    """Return the value of the wanted kind that these bytes are.

    ``kind`` may be a record class or a union of tagged ones. Raises Malformed when they are longer than
    ``size_max``, are of another shape, break a bound of a field, or are not the canonical form.
    """
    if len(data) > size_max:
        raise Malformed(f"{len(data)} bytes where at most {size_max} are allowed")
    try:
        value = _decoder(kind).decode(data)
        again = _ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        # msgspec's errors are ValueErrors; the others come from hostile nesting and numbers.
        raise Malformed(str(error)) from None
    if again != data:
        raise Malformed("not in canonical form")
    return value
