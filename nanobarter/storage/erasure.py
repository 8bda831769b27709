"""Reed-Solomon: n shares of which any k give the body back. Systematic, so the first k shares are the body.

The code is zfec's (a Vandermonde matrix brought to systematic form, Rizzo 1997), which is MDS: every choice of k
shares decodes. ISA-L does the sums where it can be loaded and agrees with zfec; otherwise zfec does. CPU-heavy:
call from a worker thread.
"""

from collections.abc import Mapping
from functools import cache
from typing import Protocol, cast

import zfec

from nanobarter.core.errors import Malformed
from nanobarter.storage import isal
from nanobarter.storage.ports import SHARES_MAX


class _Encoder(Protocol):
    def encode(self, blocks: list[bytes], blocknums: list[int], /) -> list[bytes]: ...


class _Decoder(Protocol):
    def decode(self, blocks: list[bytes], sharenums: list[int], /) -> list[bytes]: ...


class _Zfec(Protocol):
    # zfec ships no types.
    def Encoder(self, k: int, m: int) -> _Encoder: ...  # noqa: N802 - zfec's name
    def Decoder(self, k: int, m: int) -> _Decoder: ...  # noqa: N802 - zfec's name


_ZFEC = cast("_Zfec", zfec)


def _check_geometry(k: int, n: int) -> None:
    if not 1 <= k <= n <= SHARES_MAX:
        raise ValueError(f"there is no code with {k} of {n} shares")


def _unit_rows(k: int) -> list[bytes]:
    return [bytes(int(row == column) for column in range(k)) for row in range(k)]


@cache
def _parity_matrix(k: int, n: int) -> list[bytes]:
    """Return the coefficients of shares k..n-1, read off zfec by encoding the unit matrix."""
    return _ZFEC.Encoder(k, n).encode(_unit_rows(k), list(range(k, n)))


@cache
def _accelerator() -> isal.Isal | None:
    """Return ISA-L, if it is here and makes the same parity as zfec on one awkward length."""
    library = isal.load()
    if library is None:
        return None
    blocks = [bytes((37 * i + 11 * j) % 256 for j in range(99)) for i in range(3)]
    wanted = _ZFEC.Encoder(3, 7).encode(blocks, [3, 4, 5, 6])
    return library if library.multiply(_parity_matrix(3, 7), blocks, 99) == wanted else None


def encode(body: bytes, k: int, n: int) -> list[bytes]:
    """Return the shares that ``pieces`` gives, as bytes of their own."""
    return [bytes(piece) for piece in pieces(body, k, n)]


def pieces(body: bytes, k: int, n: int) -> list[bytes | bytearray | memoryview]:
    """Return the n shares of a body whose length is a multiple of k. Share i < k is the i-th k-th of the body.

    Those are views of it.
    """
    _check_geometry(k, n)
    size, rest = divmod(len(body), k)
    if rest or not size:
        raise ValueError(f"a body of {len(body)} bytes does not divide into {k} shares")
    if k == 1:
        return [body] * n
    view = memoryview(body)
    blocks = [view[i * size : (i + 1) * size] for i in range(k)]  # not copied
    if k == n:
        return [*blocks]
    library = _accelerator()
    if library is None:
        return [*blocks, *_ZFEC.Encoder(k, n).encode([bytes(block) for block in blocks], list(range(k, n)))]
    return [*blocks, *library.multiply_body(_parity_matrix(k, n), body, size)]


def decode(shares: Mapping[int, bytes], k: int, n: int, size: int) -> bytes:
    """Return the body of ``size`` bytes from at least k of its n shares, by index.

    Raises Malformed when there are too few, an index is out of range, or a length is wrong. Wrong bytes inside
    a share give a wrong body: check the pack's hash.
    """
    _check_geometry(k, n)
    share_size, rest = divmod(size, k)
    if rest or not share_size:
        raise Malformed(f"a body of {size} bytes does not divide into {k} shares")
    if any(not 0 <= index < n or len(share) != share_size for index, share in shares.items()):
        raise Malformed(f"a share is not one of {n}, or not of {share_size} bytes")
    if len(shares) < k:
        raise Malformed(f"{len(shares)} shares where {k} are needed")
    chosen = sorted(shares)[:k]  # the low ones are pieces of the body and cost no sums
    missing = sorted(set(range(k)) - set(chosen))
    found = {index: shares[index] for index in chosen if index < k}
    if missing:
        found |= dict(zip(missing, _rebuild(shares, chosen, missing, k, n), strict=True))
    return b"".join(found[index] for index in range(k))


def _rebuild(shares: Mapping[int, bytes], chosen: list[int], missing: list[int], k: int, n: int) -> list[bytes]:
    if k == 1:
        return [shares[chosen[0]]]
    # zfec wants the pieces of the body at their own places, the parity in the gaps.
    parity = iter(index for index in chosen if index >= k)
    order = [index if index in shares and index in chosen else next(parity) for index in range(k)]
    blocks = [shares[index] for index in order]
    library = _accelerator()
    if library is None:
        whole = _ZFEC.Decoder(k, n).decode(blocks, order)
        return [whole[index] for index in missing]
    inverse = _ZFEC.Decoder(k, n).decode(_unit_rows(k), order)
    return library.multiply([inverse[index] for index in missing], blocks, len(blocks[0]))
