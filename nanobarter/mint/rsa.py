"""The RSA private operation, c -> c^d mod n without any padding: constant-time and quick, or not at all.

Two implementations pass the same tests. ``LibcryptoKey`` asks OpenSSL's libcrypto (EVP decrypt with padding
"none"), which blinds its operand, runs in constant time and checks its CRT result. ``GmpyKey`` is for machines
where libcrypto does not load: GMP's ``powmod_sec`` with CRT, behind blinding of its own. Python's ``pow`` never
touches a private exponent: its time depends on the bits (Kocher, "Timing Attacks", CRYPTO 1996), and notes are
signed on behalf of strangers who choose the operand. Both verify s^e = c before the result leaves, since one
faulty CRT half gives away the factors (Boneh, DeMillo, Lipton, EUROCRYPT 1997).
"""

import contextlib
import ctypes
import os
from functools import cache
from typing import Any, Final, Protocol, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from nanobarter.core.errors import InvariantBroken, LocalFault
from nanobarter.mint.bignum import inverse, powmod, powmod_secret

EXPONENT: Final = 65537
# By exact name and version: the search of ctypes.util starts a compiler, and an unversioned libcrypto aborts the
# process on macOS.
_NAMES: Final = ("libcrypto.so.3", "libcrypto.3.dylib", "libcrypto-3-x64.dll", "libcrypto.so.1.1")


class RawKey(Protocol):
    """A loaded RSA key that performs the private operation."""

    @property
    def modulus(self) -> int:
        """The public modulus."""
        ...

    def private(self, operand: bytes, /) -> bytes:
        """Return operand^d mod n, both as long as n. The operand must be below n.

        Raises InvariantBroken when the result does not check.
        """
        ...


def make_key() -> bytes:
    """Return a fresh RSA-2048 key as PKCS#8 DER. Takes about 0.1 s of CPU: call it in a worker thread."""
    return export_key(rsa.generate_private_key(EXPONENT, 2048))


def export_key(key: rsa.RSAPrivateKey) -> bytes:
    """Return the key as PKCS#8 DER, unencrypted: where it is stored must be readable by the daemon alone."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(der: bytes) -> RawKey:
    """Return the stored key, ready to use: through libcrypto where it loads, otherwise through GMP.

    Raises LocalFault when the bytes are no RSA key.
    """
    return GmpyKey(der) if libcrypto() is None else LibcryptoKey(der)


def modulus_of(der: bytes) -> int:
    """Return the modulus of a stored key."""
    return _numbers(der).public_numbers.n


def _numbers(der: bytes) -> rsa.RSAPrivateNumbers:
    try:
        # The full validation costs as much as a thousand signatures, and every result is verified anyway.
        key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except ValueError as error:
        raise LocalFault(f"a stored mint key cannot be read: {error}", hint="restore this home") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise LocalFault("a stored mint key is not an RSA key", hint="restore this home")
    return key.private_numbers()


@cache
def libcrypto() -> ctypes.CDLL | None:
    """Return OpenSSL's libcrypto with the few functions used here declared, or None where it does not load."""
    for name in _NAMES:
        with contextlib.suppress(OSError, AttributeError):
            return _declared(ctypes.CDLL(name))
    return None


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    functions: dict[str, tuple[Any, list[Any]]] = {
        "d2i_AutoPrivateKey": (pointer, [pointer, ctypes.POINTER(ctypes.c_char_p), ctypes.c_long]),
        "EVP_PKEY_free": (None, [pointer]),
        "EVP_PKEY_CTX_new": (pointer, [pointer, pointer]),
        "EVP_PKEY_CTX_free": (None, [pointer]),
        "EVP_PKEY_decrypt_init": (ctypes.c_int, [pointer]),
        "EVP_PKEY_CTX_ctrl_str": (ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_char_p]),
        "EVP_PKEY_decrypt": (
            ctypes.c_int,
            [pointer, ctypes.c_char_p, ctypes.POINTER(size), ctypes.c_char_p, size],
        ),
        "ERR_clear_error": (None, []),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class LibcryptoKey:
    """A key held by OpenSSL. Safe to use from several threads: each call has a context of its own."""

    def __init__(self, der: bytes) -> None:
        library = libcrypto()
        if library is None:
            raise LocalFault("OpenSSL's libcrypto does not load", hint="install OpenSSL 3, or use the GMP keys")
        self._library = library
        self.modulus: Final = modulus_of(der)
        self._size = (self.modulus.bit_length() + 7) // 8
        self._key = cast("int | None", library.d2i_AutoPrivateKey(None, ctypes.c_char_p(der), len(der)))
        if not self._key:
            library.ERR_clear_error()
            raise LocalFault("a stored mint key cannot be read by OpenSSL", hint="restore this home")

    def __del__(self) -> None:
        if getattr(self, "_key", None):
            self._library.EVP_PKEY_free(self._key)

    def private(self, operand: bytes, /) -> bytes:
        """Return operand^d mod n (see RawKey)."""
        library = self._library
        context = cast("int | None", library.EVP_PKEY_CTX_new(self._key, None))
        out = ctypes.create_string_buffer(self._size)
        size = ctypes.c_size_t(self._size)
        try:
            done = (
                context
                and library.EVP_PKEY_decrypt_init(context) == 1
                and library.EVP_PKEY_CTX_ctrl_str(context, b"rsa_padding_mode", b"none") == 1
                and library.EVP_PKEY_decrypt(context, out, ctypes.byref(size), operand, len(operand)) == 1
            )
        finally:
            library.EVP_PKEY_CTX_free(context)
        if not done:
            library.ERR_clear_error()
            raise InvariantBroken("OpenSSL refused an operand that was checked before")
        return _checked(self.modulus, operand, out.raw[: size.value])


class GmpyKey:
    """A key for GMP: CRT halves through ``powmod_sec``, the operand blinded by a fresh factor each time."""

    def __init__(self, der: bytes) -> None:
        numbers = _numbers(der)
        self.modulus: Final = numbers.public_numbers.n
        self._size = (self.modulus.bit_length() + 7) // 8
        self._p, self._q = numbers.p, numbers.q
        self._dp, self._dq = numbers.dmp1, numbers.dmq1
        self._q_inverse = numbers.iqmp

    def private(self, operand: bytes, /) -> bytes:
        """Return operand^d mod n (see RawKey)."""
        n, p, q = self.modulus, self._p, self._q
        factor = 2 + int.from_bytes(os.urandom(self._size + 16), "big") % (n - 2)
        blinded = int.from_bytes(operand, "big") * powmod(factor, EXPONENT, n) % n
        half_p = powmod_secret(blinded % p, self._dp, p)
        half_q = powmod_secret(blinded % q, self._dq, q)
        root = half_q + q * ((half_p - half_q) * self._q_inverse % p)
        result = root * inverse(factor, n) % n
        return _checked(n, operand, result.to_bytes(self._size, "big"))


def _checked(modulus: int, operand: bytes, result: bytes) -> bytes:
    again = powmod(int.from_bytes(result, "big"), EXPONENT, modulus)
    if again != int.from_bytes(operand, "big"):
        raise InvariantBroken("an RSA private operation gave a wrong result; it was not shown to anyone")
    return result
