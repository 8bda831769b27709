"""TLS over a socket, for bulk: as ``trio.SSLStream``, but whole reads and writes at a time instead of a record each.

OpenSSL gives back one record of at most 16 KiB per read, and a trip through trio's ``SSLStream`` and the frame
decoder for each of them costs more than its decryption. The socket is read and written by plain calls that do not
wait, and trio is asked only when it is full or empty: each trip through trio's own calls costs the time of 30 KiB.
One task may send while another receives, no more. The handshake must be done before either.
"""

import os
import ssl
from contextlib import suppress
from typing import Final

import trio

_SOCKET_BYTES: Final = 256 * 1024
_RECORD_BYTES: Final = 16 * 1024  # the most of one read (RFC 8446, 5.1)
_SEND_BYTES: Final = 256 * 1024  # encrypted at once; what OpenSSL's buffer grows to and keeps
_UNSENT_SLOW: Final = 16 * 1024  # what the kernel may hold of ours before it says that it is full: trio's choice
_UNSENT_FAST: Final = 512 * 1024

# What nobody keeps across a wait can be one for all: a buffer for each connection would be its largest part.
_ARRIVED: Final = bytearray(_SOCKET_BYTES)
_DECRYPTED: Final = memoryview(bytearray(_SOCKET_BYTES))

Transport = trio.abc.HalfCloseableStream
"""The bytes below the encryption: a socket, or a stream that a relay carries."""


class TlsStream(trio.abc.Stream):
    """An encrypted stream over ``transport_stream``. Errors of TLS are BrokenResourceError, with their cause."""

    def __init__(self, transport: Transport, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.transport_stream = transport
        self._socket = transport.socket if isinstance(transport, trio.SocketStream) else None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side)
        self._unsent = memoryview(b"")  # encrypted, and not taken by the socket yet
        self._turn = trio.Lock()  # what OpenSSL made must leave in its order; a socket takes it at once or not at all

    async def do_handshake(self) -> None:
        """Shake hands. Raises BrokenResourceError, also when the other side leaves."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLError, ssl.CertificateError) as error:
                raise trio.BrokenResourceError from error
            else:
                await self._flush()
                return

    def peer_certificate(self) -> bytes | None:
        """Return the other side's certificate (DER), if it showed one."""
        return self._tls.getpeercert(binary_form=True)

    def hurry(self, *, fast: bool) -> None:
        """Let the kernel take much at once, on a fast line; on a slow one that would hold up what is urgent."""
        option: int | None = getattr(trio.socket, "TCP_NOTSENT_LOWAT", None)  # not on every system
        if self._socket is not None and option is not None:
            with suppress(OSError):  # not a TCP socket, or closed
                unsent = _UNSENT_FAST if fast else _UNSENT_SLOW
                self._socket.setsockopt(trio.socket.IPPROTO_TCP, option, unsent)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it."""
        rest = memoryview(data)
        await trio.lowlevel.checkpoint_if_cancelled()
        while rest:
            try:
                rest = rest[self._tls.write(rest[:_SEND_BYTES]) :]
            except ssl.SSLError as error:
                raise trio.BrokenResourceError from error
            await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the socket takes more."""
        await self.transport_stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what is there, at least one byte, or none when the other side ended the stream in good order."""
        return bytes(await self.receive_view(max_bytes))

    async def receive_view(self, max_bytes: int | None = None) -> memoryview:
        """Return the same in memory that all streams share: it is good until the next wait for anything."""
        size = min(max_bytes or _SOCKET_BYTES, _SOCKET_BYTES)
        while True:
            count, waits = self._decrypt(size)
            # An answer to a change of keys. A sender takes it along: a reader that waited with it for the other end
            # to read would not read itself, and both ends could wait for ever.
            if self._out.pending:
                await self._flush_some()
            if count or not waits:
                return _DECRYPTED[:count]
            await self._fill()

    def _decrypt(self, size: int) -> tuple[int, bool]:
        """Put at most ``size`` bytes of what came into the common buffer; return how many, and if more can come."""
        at = 0
        while at < size:
            try:
                count = _read_into(self._tls, min(size - at, _RECORD_BYTES), _DECRYPTED[at:size])
            except ssl.SSLWantReadError:
                return at, True
            except ssl.SSLError as error:
                if at:
                    return at, True  # the next read meets it again
                raise trio.BrokenResourceError from error
            if not count:
                return at, False
            at += count
        return at, True

    async def aclose(self) -> None:
        """Close the socket, without a farewell: whoever reads the other end sees that it broke."""
        await self.transport_stream.aclose()

    # -- the bytes below

    async def _fill(self) -> None:
        """Wait for encrypted bytes, or the end of them."""
        if self._socket is None:
            data = await self.transport_stream.receive_some(_SOCKET_BYTES)
            count = len(data)
            self._in.write(data)
        else:
            count = await self._receive(self._socket)
        if not count:
            self._in.write_eof()

    async def _receive(self, socket: trio.socket.SocketType) -> int:
        waited = False
        while True:
            try:
                count = os.readv(socket.fileno(), [_ARRIVED])
            except BlockingIOError:
                await trio.lowlevel.wait_readable(socket)
                waited = True
            except OSError as error:
                raise _broken(socket) from error
            else:
                self._in.write(memoryview(_ARRIVED)[:count])
                if not waited:  # others must have their turn, however fast the peer sends
                    await trio.lowlevel.checkpoint()
                return count

    async def _flush(self) -> None:
        if self._socket is None:
            async with self._turn:
                while self._out.pending:
                    await self.transport_stream.send_all(self._out.read())
        else:
            while not self._push(self._socket):
                await trio.lowlevel.wait_writable(self._socket)

    async def _flush_some(self) -> None:
        if self._socket is not None:
            self._push(self._socket)
        elif not self._turn.locked():
            await self._flush()

    def _push(self, socket: trio.socket.SocketType) -> bool:
        """Give the socket what it takes now; tell whether that was all."""
        while self._unsent or self._out.pending:
            if not self._unsent:
                self._unsent = memoryview(self._out.read())
            try:
                self._unsent = self._unsent[os.write(socket.fileno(), self._unsent) :]
            except BlockingIOError:
                return False
            except OSError as error:
                raise _broken(socket) from error
        self._unsent = memoryview(b"")  # not a slice that keeps the rest alive
        return True


def _read_into(tls: ssl.SSLObject, size: int, buffer: memoryview) -> int:
    return tls.read(size, buffer)  # pyright: ignore[reportReturnType, reportArgumentType] - typeshed knows no buffers here


def _broken(socket: trio.socket.SocketType) -> Exception:
    return trio.ClosedResourceError() if socket.fileno() < 0 else trio.BrokenResourceError()
