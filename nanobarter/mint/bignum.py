"""Arithmetic on big numbers through GMP, with the types that its stubs lack: plain ints in and out.

Converting costs about a microsecond at 2048 bits, little beside a modular power.
"""

from importlib import import_module
from typing import Any, Final

_gmp: Final[Any] = import_module("gmpy2")  # its compiled module is opaque to the type checker


def powmod(base: int, exponent: int, modulus: int) -> int:
    """Return base^exponent mod modulus, for public exponents: its time depends on them."""
    return int(_gmp.powmod(base, exponent, modulus))


def powmod_secret(base: int, exponent: int, modulus: int) -> int:
    """Return base^exponent mod an odd modulus in time that does not depend on the values (mpz_powm_sec)."""
    return int(_gmp.powmod_sec(base, exponent, modulus))


def inverse(value: int, modulus: int) -> int:
    """Return 1 / value mod modulus. Raises ZeroDivisionError when they share a divisor."""
    return int(_gmp.invert(value, modulus))


def gcd(one: int, other: int) -> int:
    """Return the greatest common divisor."""
    return int(_gmp.gcd(one, other))


def primorial(bound: int) -> int:
    """Return the product of all primes up to the bound."""
    return int(_gmp.primorial(bound))
