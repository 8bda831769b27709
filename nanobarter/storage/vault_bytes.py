"""Requests and answers of a vault that carry a share or a range, without copying it for its own header.

The long bytes are the last field of their record. So what stands before them, encoded with an empty end and the right
length, decides whether the whole is canonical, and the megabytes need not be encoded again to be compared.
"""

from typing import Final

import msgspec

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import Signed
from nanobarter.storage.vault_messages import ANSWER, Answer, Data, VaultRequest


class _View(Record, frozen=True):
    """A ``VaultRequest`` whose data are not copied."""

    ask: Signed
    data: memoryview


_VIEW: Final = msgspec.msgpack.Decoder(_View)
_EMPTY: Final = b"\xc4\x00"


def _before(record: Record, size: int) -> bytes:
    """Return the canonical bytes of a record that ends with so many bytes, up to them; its own end is empty."""
    head = encode(record)[: -len(_EMPTY)]
    if size < 2**8:
        return head + b"\xc4" + size.to_bytes(1, "big")
    if size < 2**16:
        return head + b"\xc5" + size.to_bytes(2, "big")
    return head + b"\xc6" + size.to_bytes(4, "big")


def write_request(ask: Signed, data: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    """Return the canonical bytes of a ``VaultRequest`` in two pieces, of which the data are the second."""
    return _before(VaultRequest(ask, b""), len(data)), data


def read_request(body: bytes, size_max: int) -> tuple[Signed, memoryview]:
    """Return the ask and the data of a ``VaultRequest``, not copied. Raises Malformed.

    The data are its last field, so what stands before them decides whether the whole is canonical.
    """
    if len(body) > size_max:
        raise Malformed(f"{len(body)} bytes where at most {size_max} are allowed")
    try:
        view = _VIEW.decode(body)
        before = _before(VaultRequest(view.ask, b""), len(view.data))
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Malformed(str(error)) from None
    if len(before) + len(view.data) != len(body) or not body.startswith(before):
        raise Malformed("not in canonical form")
    return view.ask, view.data


_LENGTH_BYTES: Final = 5  # the tag 0xc6 and four bytes
_DATA: Final = encode(Data(b""))[: -len(_EMPTY)]


def read_answer(raw: bytes, size_max: int) -> Answer:
    """Return an answer; a long ``Data`` is copied once, and not encoded again to be compared. Raises Malformed."""
    if len(raw) > size_max:
        raise Malformed(f"{len(raw)} bytes where at most {size_max} are allowed")
    if raw.startswith(_DATA + b"\xc6") and len(raw) >= len(_DATA) + _LENGTH_BYTES:
        before = _before(Data(b""), len(raw) - len(_DATA) - _LENGTH_BYTES)
        if raw.startswith(before) and before.startswith(_DATA + b"\xc6"):
            return Data(raw[len(before) :])
    return decode(raw, ANSWER, size_max=size_max)
