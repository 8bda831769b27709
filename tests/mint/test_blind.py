"""Whoever forges or traces a note breaks the money: every step matches the official vectors, on both backends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import InvariantBroken, LocalFault, Malformed
from nanobarter.mint import blind
from nanobarter.mint.bignum import inverse
from nanobarter.mint.rsa import EXPONENT, GmpyKey, LibcryptoKey, RawKey, export_key, libcrypto, load_key
from tests.mint.purse import stored_keys

Backend = Callable[[bytes], RawKey]
BACKENDS = pytest.mark.parametrize("backend", [GmpyKey, LibcryptoKey])


def number(text: str) -> int:
    return int(text, 16)


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def private_der(p: int, q: int, d: int) -> bytes:
    public = rsa.RSAPublicNumbers(EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return export_key(numbers.private_key())


def cases(vectors: Path, name: str) -> list[dict[str, Any]]:
    return json.loads((vectors / name).read_text())


def check_case(case: dict[str, Any], variant: blind.Variant, input_msg: bytes, backend: Backend) -> None:
    n = number(case["n"])
    key = backend(private_der(number(case["p"]), number(case["q"]), number(case["d"])))
    factor = inverse(number(case["inv"]), n)
    made = blind.blind(variant, n, input_msg, salt=raw(case["salt"]), factor=factor)
    assert made.message == raw(case["blinded_msg"])
    assert made.inverse == number(case["inv"])
    assert blind.blind_sign(key, made.message) == raw(case["blind_sig"])
    signature = blind.finalize(variant, n, input_msg, raw(case["blind_sig"]), made.inverse)
    assert signature == raw(case["sig"])
    assert blind.verify(variant, n, input_msg, signature)
    assert not blind.verify(variant, n, input_msg + b".", signature)


@BACKENDS
@pytest.mark.parametrize("variant", blind.VARIANTS, ids=lambda v: v.name)
def test_the_appendix_of_the_rfc(vectors: Path, variant: blind.Variant, backend: Backend) -> None:
    (case,) = (c for c in cases(vectors, "rfc9474-appendix.json") if c["name"] == variant.name)
    input_msg = blind.prepare(variant, raw(case["msg"]), raw(case["msg_prefix"]))
    assert input_msg == raw(case["input_msg"])
    if case.get("encoded_msg"):
        bits = number(case["n"]).bit_length() - 1
        encoded = blind.encode_pss(input_msg, bits, raw(case["salt"]), variant.salt_bytes)
        assert encoded == raw(case["encoded_msg"])
    check_case(case, variant, input_msg, backend)


@BACKENDS
def test_the_deterministic_vectors(vectors: Path, backend: Backend) -> None:
    for case in cases(vectors, "rfc9474-2048.json"):
        variant = blind.PSS_DETERMINISTIC if case["salt"] else blind.PSSZERO_DETERMINISTIC
        check_case(case, variant, raw(case["msg"]), backend)


@given(message=st.binary(max_size=100), salt=st.binary(min_size=48, max_size=48), wide=st.binary(min_size=272))
def test_backends_agree_and_the_result_verifies(message: bytes, salt: bytes, wide: bytes) -> None:
    one, other = GmpyKey(stored_keys()[0]), LibcryptoKey(stored_keys()[0])
    n = one.modulus
    factor = blind.factor_from(wide, n)
    made = blind.blind(blind.PSS_DETERMINISTIC, n, message, salt=salt, factor=factor)
    answer = blind.blind_sign(one, made.message)
    assert answer == blind.blind_sign(other, made.message)
    signature = blind.finalize(blind.PSS_DETERMINISTIC, n, message, answer, made.inverse)
    assert blind.verify(blind.PSS_DETERMINISTIC, n, message, signature)


@BACKENDS
def test_operands_out_of_range_never_reach_the_key(keys: list[bytes], backend: Backend) -> None:
    key = backend(keys[0])
    for operand in (b"", b"\x01" * 255, b"\x01" * 257, key.modulus.to_bytes(256, "big"), b"\xff" * 256):
        with pytest.raises(Malformed):
            blind.blind_sign(key, operand)


@BACKENDS
def test_edge_operands(keys: list[bytes], backend: Backend) -> None:
    key = backend(keys[0])
    for operand in (0, 1, key.modulus - 1):
        assert int.from_bytes(key.private(operand.to_bytes(256, "big")), "big") == operand


def test_a_wrong_answer_of_the_signer_is_noticed(keys: list[bytes]) -> None:
    key, other = load_key(keys[0]), load_key(keys[1])
    made = blind.blind(blind.PSS_DETERMINISTIC, key.modulus, b"m", salt=bytes(48), factor=3)
    good = blind.blind_sign(key, made.message)
    altered = good[:-1] + bytes([good[-1] ^ 1])
    foreign = int.to_bytes(int.from_bytes(made.message, "big") % other.modulus, 256, "big")
    for answer in (altered, good[:-1], b"", bytes(256), blind.blind_sign(other, foreign)):
        with pytest.raises(Malformed):
            blind.finalize(blind.PSS_DETERMINISTIC, key.modulus, b"m", answer, made.inverse)


def test_a_faulty_private_operation_is_never_shown(keys: list[bytes]) -> None:
    key = GmpyKey(keys[0])
    key._dp += 2  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(InvariantBroken):
        blind.blind_sign(key, (5).to_bytes(256, "big"))


def test_a_damaged_key_is_our_machines_fault(keys: list[bytes]) -> None:
    with pytest.raises(LocalFault):
        load_key(keys[0][:-40])


def test_wrong_lengths_are_our_own_mistake(keys: list[bytes]) -> None:
    n = load_key(keys[0]).modulus
    with pytest.raises(ValueError, match="salt"):
        blind.blind(blind.PSS_DETERMINISTIC, n, b"m", salt=b"", factor=3)
    with pytest.raises(ValueError, match="prefix"):
        blind.prepare(blind.PSS_RANDOMIZED, b"m")
    with pytest.raises(ValueError, match="unbiased"):
        blind.factor_from(bytes(271), n)


def test_a_modulus_that_shares_a_divisor_is_refused() -> None:
    n = 3 * ((1 << 2046) + 1)
    with pytest.raises(Malformed):
        blind.blind(blind.PSS_DETERMINISTIC, n, b"m", salt=bytes(48), factor=3)


def test_libcrypto_is_in_use_where_these_tests_run() -> None:
    assert libcrypto() is not None
