"""Any k shares must give the body back: a set that does not decode is lost data."""

# pyright: reportPrivateUsage=false

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Malformed
from nanobarter.storage import erasure, isal

GEOMETRIES = [(1, 1), (1, 3), (2, 4), (2, 5), (3, 6), (4, 10), (3, 12), (4, 14)]


def oracle(body: bytes, k: int, n: int) -> list[bytes]:
    size = len(body) // k
    return erasure._ZFEC.Encoder(k, n).encode([body[i * size : (i + 1) * size] for i in range(k)], list(range(n)))


def body_of(k: int, size: int = 40) -> bytes:
    return random.Random(k).randbytes(k * size)


@pytest.mark.parametrize(("k", "n"), GEOMETRIES)
def test_every_set_of_k_shares_decodes(k: int, n: int) -> None:
    body = body_of(k)
    shares = erasure.encode(body, k, n)
    assert shares == oracle(body, k, n)
    for chosen in combinations(range(n), k):
        assert erasure.decode({i: shares[i] for i in chosen}, k, n, len(body)) == body


@pytest.mark.parametrize(("k", "n", "rounds"), [(6, 17, 1000), (10, 25, 1000), (10, 20, 200), (32, 64, 20)])
def test_random_sets_of_k_shares_decode(k: int, n: int, rounds: int) -> None:
    body, draw = body_of(k), random.Random(n)
    shares = erasure.encode(body, k, n)
    assert shares == oracle(body, k, n)
    for _ in range(rounds):
        chosen = draw.sample(range(n), k)
        assert erasure.decode({i: shares[i] for i in chosen}, k, n, len(body)) == body


@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 300), st.randoms(use_true_random=False))
def test_without_isal_the_bytes_are_the_same(k: int, extra: int, size: int, draw: random.Random) -> None:
    body, n = draw.randbytes(k * size), k + extra
    fast = erasure.encode(body, k, n)
    chosen = {i: fast[i] for i in draw.sample(range(n), k)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasure, "_accelerator", lambda: None)
        assert erasure.encode(body, k, n) == fast
        assert erasure.decode(chosen, k, n, len(body)) == body
    assert erasure.decode(chosen, k, n, len(body)) == body


def test_isal_is_found_on_this_machine() -> None:
    if isal.load() is None:
        pytest.skip("no ISA-L here")
    assert erasure._accelerator() is not None


def test_unusable_shares_are_malformed() -> None:
    shares = erasure.encode(bytes(20), 2, 4)
    for bad in ({0: shares[0]}, {0: shares[0], 4: shares[1]}, {0: shares[0], 1: shares[1] + b"x"}, {}):
        with pytest.raises(Malformed):
            erasure.decode(bad, 2, 4, 20)
    with pytest.raises(ValueError, match="no code"):
        erasure.encode(bytes(20), 5, 4)
    with pytest.raises(ValueError, match="divide"):
        erasure.encode(bytes(21), 2, 4)
