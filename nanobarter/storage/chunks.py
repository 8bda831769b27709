"""Chunks: where a stream is cut, what a piece is called, and how it is made smaller.

Cut points are FastCDC's (Xia et al. 2020, normalisation 1) with the vault's secret seed, so that lengths do not
show which public file this is; ids are keyed BLAKE3, so that nobody else can ask "do you have this chunk?".
pyfastcdc mixes the seed into its gear table by XOR, which a holder who saw chunk lengths could undo (IACR
eprint 2025/532); lengths therefore never leave this machine unsealed (see packs).
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, NewType, Protocol, cast

import pyfastcdc
import zstandard
from blake3 import blake3
from msgspec import Meta

from nanobarter.core.errors import Malformed
from nanobarter.storage.keys import VaultKeys

if TYPE_CHECKING:
    ChunkId = NewType("ChunkId", bytes)
else:
    ChunkId = NewType("ChunkId", Annotated[bytes, Meta(min_length=32, max_length=32)])

CHUNK_MIN: Final = 64 * 1024
CHUNK_AVERAGE: Final = 256 * 1024  # a 1 % edit re-sends 4.6 MiB where 1 MiB costs 13 (same data)
CHUNK_MAX: Final = 2 * 1024 * 1024 - 4096  # with its index and seals it fits the smallest full pack, 1 x 2 MiB

RAW: Final = 0
ZSTD: Final = 1
_LEVEL: Final = 3
_GAIN_DIVISOR: Final = 50  # below 2 % the time to decompress is worth more than the space

_TREE_CONTEXT: Final = "nanobarter 2026 storage metadata chunk id"


class Readable(Protocol):
    """A file-like thing that fills a buffer; returns 0 at its end."""

    def readinto(self, buffer: memoryview, /) -> int: ...  # noqa: D102 - as in io.RawIOBase


class _Cut(Protocol):
    data: memoryview


class ChunkIds:
    """Names chunks of a vault. File contents and metadata have separate keys, so that they never share a chunk."""

    def __init__(self, keys: VaultKeys) -> None:
        self._data = keys.chunk_id_key
        self._meta = blake3(keys.chunk_id_key, derive_key_context=_TREE_CONTEXT).digest()

    def data(self, raw: bytes | memoryview) -> ChunkId:
        """Return the id of a piece of a file."""
        return ChunkId(blake3(raw, key=self._data).digest())

    def meta(self, raw: bytes) -> ChunkId:
        """Return the id of a piece of metadata."""
        return ChunkId(blake3(raw, key=self._meta).digest())


@dataclass(frozen=True)
class Chunker:
    """Cuts streams at content-defined points. One per thread; it is not safe to share."""

    cutter: pyfastcdc.FastCDC

    @classmethod
    def of(cls, keys: VaultKeys) -> "Chunker":
        """Return the chunker of a vault."""
        return cls(
            pyfastcdc.FastCDC(CHUNK_AVERAGE, min_size=CHUNK_MIN, max_size=CHUNK_MAX, seed=keys.chunker_seed),
        )

    def cut(self, stream: Readable) -> Iterator[memoryview]:
        """Return the pieces in order; each is valid only until the next is asked for."""
        for piece in cast("Iterator[_Cut]", self.cutter.cut_stream(stream)):  # pyright: ignore[reportArgumentType]
            yield piece.data


_local = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    # A context must not be used by two threads at once and is costly to make.
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return cast("zstandard.ZstdCompressor", _local.compressor)


def compress(raw: bytes) -> tuple[int, bytes]:
    """Return (method, bytes): zstd at level 3, or the chunk as it is when that gains less than 2 %."""
    packed = _compressor().compress(raw)
    if len(packed) + len(raw) // _GAIN_DIVISOR >= len(raw):
        return RAW, raw
    return ZSTD, packed


def decompress(method: int, packed: bytes, length: int) -> bytes:
    """Return the chunk of exactly ``length`` bytes. Raises Malformed, also for anything that would be longer."""
    if method == RAW:
        raw = packed
    elif method == ZSTD:
        try:
            # The frame states its size before memory is taken for it.
            if zstandard.frame_content_size(packed) != length:
                raise Malformed("a chunk does not have the length that its index says")
            raw = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Malformed(f"a chunk does not decompress: {error}") from None
    else:
        raise Malformed(f"a chunk is stored in the unknown way {method}")
    if len(raw) != length:
        raise Malformed("a chunk does not have the length that its index says")
    return raw
