"""Certificates of nodes, and TLS contexts that take them: keys pinned by node id, no authority.

A TLS 1.3 server of Python's ``ssl`` cannot ask for a client certificate of an unknown self-signed key (CPython
issues 75425 and 90935): OpenSSL must find an issuer that it trusts. So every leaf is issued by one authority
whose *secret key is public*: it follows from the constant below, and anybody may sign with it. That proves
nothing and is not meant to; it only makes OpenSSL ask. What counts is CertificateVerify (RFC 8446, 4.4.3): the
peer holds the secret of the leaf's Ed25519 key, and the SHA-256 of that key is its node id. See docs/attacks.md.

All bytes here are deterministic: the same node key always gives the same certificate.
"""

import contextlib
import datetime as dt
import secrets
import ssl
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import PublicKey, sha256
from nanobarter.core.keys import SigningKey

PUBLIC_SECRET: Final = bytes(sha256(b"nanobarter: the certificate authority whose key is public"))
# Wide, since a leaf is as good as its key; the end keeps below the 32 bit times of some libraries' successors.
_NOT_BEFORE: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_NOT_AFTER: Final = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
_CERTIFICATE_MAX: Final = 4096  # ours have about 400 bytes


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _draft(subject: str, key: Ed25519PublicKey, serial: int) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name("nanobarter public key"))
    return builder.public_key(key).serial_number(serial).not_valid_before(_NOT_BEFORE).not_valid_after(_NOT_AFTER)


@cache
def public_authority() -> x509.Certificate:
    """Return the certificate of the authority that is none; path length 0, so it issues leaves only."""
    secret = Ed25519PrivateKey.from_private_bytes(PUBLIC_SECRET)
    builder = _draft("nanobarter public key", secret.public_key(), 1)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(secret, None)


def leaf_certificate(key: PublicKey) -> x509.Certificate:
    """Return the certificate of a node; anyone can compute it, only the node can use it."""
    public = Ed25519PublicKey.from_public_bytes(key)
    serial = int.from_bytes(sha256(key)[:16], "big") | 1  # positive and not zero (RFC 5280, 4.1.2.2)
    builder = _draft("nanobarter node", public, serial)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(both, critical=False)
    return builder.sign(Ed25519PrivateKey.from_private_bytes(PUBLIC_SECRET), None)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def key_of_certificate(der: bytes) -> PublicKey:
    """Return the node key of a peer's leaf. Raises Malformed unless it is an Ed25519 leaf of the public authority.

    OpenSSL checked the chain already; this holds the rules that it does not know: no other algorithm, no
    authority as a leaf, and not the public key itself, which would be a node that everybody can be.
    """
    if len(der) > _CERTIFICATE_MAX:
        raise Malformed(f"a certificate of {len(der)} bytes")
    try:
        leaf = x509.load_der_x509_certificate(der)
        key = leaf.public_key()
        leaf.verify_directly_issued_by(public_authority())
        is_authority = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise Malformed(f"not a certificate of a node: {error}") from None
    except Exception as error:  # noqa: BLE001 - cryptography documents no closed list for hostile DER
        raise Malformed(f"not a certificate of a node: {type(error).__name__}") from None
    if not isinstance(key, Ed25519PublicKey) or is_authority:
        raise Malformed("the certificate is not of an Ed25519 leaf")
    raw = PublicKey(key.public_bytes_raw())
    if raw == public_authority_key():
        raise Malformed("the certificate is of the public key that everybody has")
    return raw


@cache
def public_authority_key() -> PublicKey:
    """Return the raw public half of the public secret."""
    return PublicKey(Ed25519PrivateKey.from_private_bytes(PUBLIC_SECRET).public_key().public_bytes_raw())


def tls_context(key: SigningKey, *, server: bool) -> ssl.SSLContext:
    """Return a TLS 1.3 context that shows our leaf and demands one of the other side. The caller pins its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # names mean nothing here; the caller compares the id of the key
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=public_authority().public_bytes(serialization.Encoding.DER))
    if server:
        context.num_tickets = 0  # nothing is resumed, and a ticket would wait unread in a peer that only writes
    _load_own(context, key)
    return context


def _load_own(context: ssl.SSLContext, key: SigningKey) -> None:
    """Give our leaf to OpenSSL, which takes it only from a file: the secret lies there under a one-time password."""
    password = secrets.token_bytes(32).hex().encode()
    pem = Ed25519PrivateKey.from_private_bytes(key.secret).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    ) + leaf_certificate(key.public).public_bytes(serialization.Encoding.PEM)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nanobarter-")))
        path = folder / "leaf.pem"
        path.write_bytes(pem)
        context.load_cert_chain(path, password=password)
