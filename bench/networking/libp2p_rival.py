"""py-libp2p 0.8.1 under the conditions of ``bench.network``: one connection between two processes on loopback.

Runs in an environment that has only that package; its one line of output is the answer. The hosts are its defaults
(TCP, the encryption and the muxer that it prefers). Bulk goes over one stream in pieces of 64 KiB, and the other side
says when all of it came. A call is a message of four bytes and its echo on a stream that stays open, 32 streams at
once: what suits it best, since a new stream for each call would be negotiated each time.
"""
# pyright: basic, reportMissingImports=false
# It is run with another interpreter, where nothing of ours is.

import json
import logging
import os
import secrets
import subprocess
import sys
import time

_PIECE = 64 * 1024
_IN_FLIGHT = 32
_BULK, _ECHO = "/bench/bulk/1", "/bench/echo/1"


async def _exactly(stream, count):
    got = b""
    while len(got) < count:
        piece = await stream.read(count - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def _host():
    import multiaddr  # noqa: PLC0415 - not there where this file is only checked
    from libp2p import new_host  # noqa: PLC0415

    return new_host(), [multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]


async def _serve():
    import trio  # noqa: PLC0415

    async def bulk(stream):
        left = int.from_bytes(await _exactly(stream, 8), "big")
        while left:
            left -= len(await stream.read(min(left, _PIECE)))
        await stream.write(b"done")

    async def echo(stream):
        while True:
            await stream.write(await _exactly(stream, 4))

    host, at = _host()
    async with host.run(listen_addrs=at):
        host.set_stream_handler(_BULK, bulk)
        host.set_stream_handler(_ECHO, echo)
        print(host.get_addrs()[0], flush=True)
        await trio.sleep_forever()


async def _bulk(stream, size):
    body, begun = secrets.token_bytes(_PIECE), time.perf_counter()
    await stream.write(size.to_bytes(8, "big"))
    for _ in range(size // _PIECE):
        await stream.write(body)
    await _exactly(stream, 4)
    return size / 1e6 / (time.perf_counter() - begun)


async def _calls(streams, seconds):
    import trio  # noqa: PLC0415

    latencies = []

    async def ask(stream):
        while time.perf_counter() < until:
            begun = time.perf_counter()
            await stream.write(b"ping")
            await _exactly(stream, 4)
            latencies.append(time.perf_counter() - begun)

    until = time.perf_counter() + seconds
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(ask, stream)
    return len(latencies) / seconds, sorted(latencies)[len(latencies) * 99 // 100] * 1000


async def _measure(address, size, seconds):
    import multiaddr  # noqa: PLC0415
    from libp2p.peer.peerinfo import info_from_p2p_addr  # noqa: PLC0415

    host, at = _host()
    async with host.run(listen_addrs=at):
        there = info_from_p2p_addr(multiaddr.Multiaddr(address))
        await host.connect(there)
        bulk = await _bulk(await host.new_stream(there.peer_id, [_BULK]), size)
        streams = [await host.new_stream(there.peer_id, [_ECHO]) for _ in range(_IN_FLIGHT)]
        per_s, p99 = await _calls(streams, seconds)
        print(json.dumps({"bulk_mb_s": bulk, "rpc_per_s": per_s, "rpc_p99_ms": p99}), flush=True)
        os._exit(0)  # a host's end waits for streams that the other side does not close


def _both(size, seconds):
    command = [sys.executable, __file__]
    server = subprocess.Popen([*command, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # noqa: S101 - asked for above
        address = server.stdout.readline().strip()
        subprocess.run([*command, "ask", address, size, seconds], check=True, timeout=300)
    finally:
        server.kill()
        server.wait()


def _main():
    import trio  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    match sys.argv[1:]:
        case ["serve"]:
            trio.run(_serve)
        case ["ask", address, size, seconds]:
            trio.run(_measure, address, int(size), float(seconds))
        case [size, seconds]:
            _both(size, seconds)


if __name__ == "__main__":
    _main()
