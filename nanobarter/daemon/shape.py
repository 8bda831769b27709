"""What every answer of the local API is: a frozen JSON object, told apart by its ``type``."""

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The base of what is answered: told apart by ``type``."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what is inside an answer."""


class Progress(Shape, frozen=True, kw_only=True, tag="progress"):
    """How far a long job is. ``total`` 0 means not known yet; ``unit`` is bytes, files, MiB, shares or empty."""

    phase: str
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
