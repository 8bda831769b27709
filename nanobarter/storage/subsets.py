"""A pack among whose shares some may be forged: some k of them make the bytes that its id names."""

from itertools import combinations, islice

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import PackId
from nanobarter.core.limits import Limits
from nanobarter.storage import erasure
from nanobarter.storage.ports import pack_id_of


def decoded(
    shares: list[tuple[int, bytes]], k: int, n: int, size: int, pack_id: PackId, limits: Limits
) -> bytes | None:
    """Return the body that some k of the shares, the last of them included, make, if its hash is the pack's id."""
    *older, last = shares
    for chosen in islice(combinations(older, k - 1), limits.recovery_subsets_max):
        pieces = dict([*chosen, last])
        if len(pieces) == k:
            try:
                body = erasure.decode(pieces, k, n, size)
            except Malformed:
                continue
            if pack_id_of(body) == pack_id:
                return body
    return None
