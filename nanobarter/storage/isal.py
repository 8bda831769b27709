"""The fast half of the erasure code: Intel's ISA-L, as bundled with pyeclib, called through ctypes.

pyeclib's own interface prefixes each fragment with a header and copies; we want plain shares and its inner loop
only. ISA-L multiplies a matrix over GF(2^8), polynomial 0x11d, which is also zfec's field, so zfec supplies the
matrices. ctypes lets go of the interpreter lock during the call. Source: ISA-L's erasure_code.h.
"""

import contextlib
import ctypes
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TABLE_BYTES: Final = 32  # per coefficient, erasure_code.h


@dataclass(frozen=True)
class Isal:
    """The loaded library."""

    library: ctypes.CDLL

    def multiply(self, matrix: list[bytes], blocks: list[bytes], size: int) -> list[bytes]:
        """Return one block per row of the matrix: the sum over GF(2^8) of its coefficients times the blocks.

        Each block has ``size`` bytes and each row one coefficient per block.
        """
        sources = (ctypes.c_void_p * len(blocks))(
            *(ctypes.cast(ctypes.c_char_p(block), ctypes.c_void_p).value for block in blocks)
        )
        return [bytes(output) for output in self._multiply(matrix, sources, len(blocks), size)]

    def multiply_body(self, matrix: list[bytes], body: bytes, size: int) -> list[bytearray]:
        """Return the same for blocks that lie end to end in one body, which is not copied."""
        start = ctypes.cast(ctypes.c_char_p(body), ctypes.c_void_p).value or 0
        width = len(body) // size
        return self._multiply(matrix, (ctypes.c_void_p * width)(*(start + i * size for i in range(width))), width, size)

    def _multiply(
        self, matrix: list[bytes], sources: "ctypes.Array[ctypes.c_void_p]", width: int, size: int
    ) -> list[bytearray]:
        rows = len(matrix)
        tables = ctypes.create_string_buffer(rows * width * _TABLE_BYTES)
        self.library.ec_init_tables(width, rows, b"".join(matrix), tables)
        outputs = [bytearray(size) for _ in range(rows)]
        views = [(ctypes.c_char * size).from_buffer(output) for output in outputs]
        targets = (ctypes.c_void_p * rows)(*(ctypes.addressof(view) for view in views))
        self.library.ec_encode_data(size, width, rows, tables, sources, targets)
        return outputs


def _candidates() -> Iterator[str]:
    spec = importlib.util.find_spec("pyeclib")
    if spec is not None and spec.origin is not None:
        for found in sorted((Path(spec.origin).parent.parent / "pyeclib.libs").glob("libisal*")):
            yield str(found)
    yield "libisal.so.2"


def load() -> Isal | None:
    """Return the library, or None where there is none (it is an accelerator; zfec does the same sums)."""
    for name in _candidates():
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(name)
            library.ec_init_tables.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p]
            library.ec_init_tables.restype = None
            library.ec_encode_data.argtypes = [ctypes.c_int] * 3 + [ctypes.c_char_p] + [ctypes.c_void_p] * 2
            library.ec_encode_data.restype = None
            return Isal(library)
    return None
