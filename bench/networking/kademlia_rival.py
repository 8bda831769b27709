"""kademlia 2.2.3 under the conditions of ``table``; runs in an environment that has only that package.

Its one line of output is the answer. Ours measures the same: many nodes in a process, values set, some nodes die, then
get and set.
"""
# pyright: basic, reportMissingImports=false
# It is run with another interpreter, where nothing of ours is.

import asyncio
import json
import logging
import statistics
import sys
import time


async def _measure(nodes, tries, dead):
    from kademlia.network import Server  # noqa: PLC0415 - not there where this file is only checked

    servers = []
    for number in range(nodes):
        server = Server()
        await server.listen(20_000 + number, interface="127.0.0.1")
        if number:
            await server.bootstrap([("127.0.0.1", 20_000)])
        servers.append(server)
    for number in range(tries):
        await servers[number % nodes].set(f"key {number}", f"value {number}")
    living = round(nodes * (1 - dead))
    for server in servers[living:]:
        server.stop()
    lookups, publishes, found = [], [], 0
    for number in range(tries):
        begun = time.perf_counter()
        found += await servers[(7 * number + 3) % living].get(f"key {number}") is not None
        lookups.append(time.perf_counter() - begun)
    for number in range(tries):
        begun = time.perf_counter()
        await servers[(5 * number + 1) % living].set(f"new {number}", "value")
        publishes.append(time.perf_counter() - begun)
    return {
        "lookup_p50_ms": statistics.median(lookups) * 1000,
        "publish_p50_s": statistics.median(publishes),
        "note": f"{nodes} nodes on loopback, {dead:.0%} just stopped, {found} of {tries} found, "
        f"lookups up to {max(lookups):.1f} s",
    }


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(json.dumps(asyncio.run(_measure(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))
