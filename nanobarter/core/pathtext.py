"""Paths in JSON: on a disk they are bytes, not always UTF-8, and JSON has only text.

A byte that is no UTF-8 is written as U+0000 and two hex digits, which no path can hold by itself. Python's own form of
such a byte, a lone surrogate, is refused by strict readers of JSON.
"""

import re
from typing import Final

_LONE: Final = re.compile("[\udc80-\udcff]")
_ESCAPE: Final = re.compile("\0([89a-f][0-9a-f])")
_SURROGATES: Final = 0xDC00


def sendable(value: object) -> object:
    """Return what JSON can carry, with every string in it escaped, of strings as ``os.fsdecode`` makes them."""
    if isinstance(value, str):
        return _LONE.sub(lambda found: f"\0{ord(found[0]) - _SURROGATES:02x}", value)
    if isinstance(value, dict):
        return {key: sendable(inner) for key, inner in value.items()}  # type: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [sendable(inner) for inner in value]  # type: ignore[reportUnknownVariableType]
    return value


def received(text: str) -> str:
    """Return a path as ``os.fsdecode`` makes it, of one that came in JSON."""
    return _ESCAPE.sub(lambda found: chr(_SURROGATES + int(found[1], 16)), text)


def path_bytes(text: str) -> bytes:
    """Return the bytes of a path that came in JSON."""
    return received(text).encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    r"""Return a text that can be sent and printed; bytes that are no UTF-8 become ``\xff``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
