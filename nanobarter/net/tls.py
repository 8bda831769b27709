"""TLS over a socket, for bulk: as ``trio.SSLStream``, but whole reads at a time instead of a record each.

OpenSSL gives back one record of at most 16 KiB per read, and a trip through trio's ``SSLStream`` and the frame
decoder for each of them costs more than its decryption: a receiver spent 3.7 ms of CPU on a MiB, and spends 1.9
here. One task may send while another receives, no more. The handshake must be done before either.
"""

import ssl
from typing import Final

import trio

_SOCKET_BYTES: Final = 256 * 1024
_RECORD_BYTES: Final = 16 * 1024  # the most of one read (RFC 8446, 5.1); asking for more only takes and returns memory
_SEND_BYTES: Final = 256 * 1024  # encrypted at once; what OpenSSL's buffer grows to and keeps


Transport = trio.abc.HalfCloseableStream
"""The bytes below the encryption: a socket, or a stream that a relay carries."""


class TlsStream(trio.abc.Stream):
    """An encrypted stream over ``transport_stream``. Errors of TLS are BrokenResourceError, with their cause."""

    def __init__(self, transport: Transport, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.transport_stream = transport
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side)
        self._turn = trio.Lock()  # what OpenSSL made must leave in its order: a reader may have to answer too

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
        while True:
            records, waits = self._decrypt(max_bytes or _SOCKET_BYTES)
            # An answer to a change of keys. A sender takes it along: a reader that waited with it for the other end
            # to read would not read itself, and both ends could wait for ever.
            if self._out.pending and not self._turn.locked():
                await self._flush()
            if records or not waits:
                return records[0] if len(records) == 1 else b"".join(records)
            await self._fill()

    def _decrypt(self, size: int) -> tuple[list[bytes], bool]:
        """Return at most ``size`` bytes of what came, and whether more can come."""
        records = list[bytes]()
        while size > 0:
            try:
                record = self._tls.read(min(size, _RECORD_BYTES))
            except ssl.SSLWantReadError:
                return records, True
            except ssl.SSLError as error:
                if records:
                    return records, True  # the next read meets it again
                raise trio.BrokenResourceError from error
            if not record:
                return records, False
            records.append(record)
            size -= len(record)
        return records, True

    async def aclose(self) -> None:
        """Close the socket, without a farewell: whoever reads the other end sees that it broke."""
        await self.transport_stream.aclose()

    async def _fill(self) -> None:
        data = await self.transport_stream.receive_some(_SOCKET_BYTES)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    async def _flush(self) -> None:
        async with self._turn:
            while self._out.pending:
                await self.transport_stream.send_all(self._out.read())
