"""The certificate authority is public: whatever an attacker signs with it must not make him somebody else."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from nanobarter.core.errors import Unreachable
from nanobarter.core.limits import Limits
from nanobarter.net.certificates import PUBLIC_SECRET, leaf_certificate, public_authority, tls_context
from nanobarter.net.handshake import Ours, greet
from nanobarter.net.network import Network
from tests.net.nodes import World, key, until

Secret = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PUBLIC = Ed25519PrivateKey.from_private_bytes(PUBLIC_SECRET)


def certificate(secret: Secret, issuer: x509.Certificate, issuer_key: Secret, *, ca: bool) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imposter")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject).serial_number(5)
    builder = builder.public_key(secret.public_key()).not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    builder = builder.not_valid_after(dt.datetime(2090, 1, 1, tzinfo=dt.UTC))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer_key, hashes.SHA256() if isinstance(issuer_key, ec.EllipticCurvePrivateKey) else None)


def another_algorithm() -> tuple[Secret, list[x509.Certificate]]:
    secret = ec.generate_private_key(ec.SECP256R1())
    return secret, [certificate(secret, public_authority(), PUBLIC, ca=False)]


def authority_between() -> tuple[Secret, list[x509.Certificate]]:
    middle, leaf = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    between = certificate(middle, public_authority(), PUBLIC, ca=True)
    return leaf, [certificate(leaf, between, middle, ca=False), between]


def another_authority() -> tuple[Secret, list[x509.Certificate]]:
    other, leaf = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    return leaf, [certificate(leaf, public_authority(), other, ca=False)]


def the_authority_itself() -> tuple[Secret, list[x509.Certificate]]:
    return PUBLIC, [public_authority()]


def everybodys_leaf() -> tuple[Secret, list[x509.Certificate]]:
    return PUBLIC, [certificate(PUBLIC, public_authority(), PUBLIC, ca=False)]


IMPOSTERS = [another_algorithm, authority_between, another_authority, the_authority_itself, everybodys_leaf]


@pytest.mark.parametrize("imposter", range(len(IMPOSTERS)))
async def test_an_imposter_never_gets_a_hello(world: World, tmp_path: Path, imposter: int) -> None:
    one = await world.start(1)
    secret, chain = IMPOSTERS[imposter]()
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "pem").write_bytes(pem + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "pem")
    stream = trio.SSLStream(await trio.open_tcp_stream(one.at.host, one.at.port), context)
    heard = b""
    with trio.fail_after(60):
        try:
            await stream.do_handshake()
            heard = bytes(await stream.receive_some())
        except trio.BrokenResourceError:
            pass
    assert heard[4:5] in (b"", b"\x0f")  # nothing, or BYE
    await trio.aclose_forcefully(stream)
    assert one.network.connected() == []


def test_a_certificate_of_anothers_key_cannot_be_used_without_its_secret(tmp_path: Path) -> None:
    own = Ed25519PrivateKey.from_private_bytes(key(2).secret)
    pem = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "pem").write_bytes(pem + leaf_certificate(key(1).public).public_bytes(serialization.Encoding.PEM))
    with pytest.raises(ssl.SSLError, match=r"(?i)mismatch"):
        tls_context(key(2), server=False).load_cert_chain(tmp_path / "pem")


class Cut(trio.abc.HalfCloseableStream):
    """A socket that breaks at its n-th write, as when the other side hangs up just then."""

    def __init__(self, socket: trio.SocketStream, writes: int) -> None:
        self._socket, self._writes = socket, writes

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._writes -= 1
        if self._writes < 0:
            raise trio.BrokenResourceError
        await self._socket.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._socket.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._socket.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._socket.send_eof()

    async def aclose(self) -> None:
        await self._socket.aclose()


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_node_that_hangs_up_in_the_handshake_is_no_fault_of_the_dialler(world: World, writes: int) -> None:
    one = await world.start(1)
    # The writes are the client's hello of TLS, its certificate, and our hello.
    below = Cut(await trio.open_tcp_stream(one.at.host, one.at.port), writes)
    ours = Ours(key(2).node_id, bytes(16), Limits())
    with trio.fail_after(60), pytest.raises(Unreachable):
        await greet(below, tls_context(key(2), server=False), ours, expected=None, serial=1)
    await trio.aclose_forcefully(below)


async def test_a_server_with_another_key_is_not_taken_for_the_node(world: World) -> None:
    one, two = await world.start(1), await world.start(2)
    met = list[bytes]()

    def watch(network: Network) -> None:
        network.on_connect(met.append)

    three = await world.start(3, prepare=watch)
    three.network.learn(key(1).node_id, two.at)  # where two answers
    three.network.learn(key(1).node_id, one.at)
    await until(lambda: key(1).node_id in three.network.connected())
    assert three.network.address_of(key(1).node_id) == one.at
