"""A process that works at a mint until it is killed, and says what it was answered: ``-m tests.mint.victim FILE N``."""

import sys
from pathlib import Path

import trio

from tests.mint.purse import Bench, Purse, key_of, stored_keys


async def work(path: Path, life: int) -> None:
    """Issue, swap, lock, open, take and redeem for ever; print each request and its answer once it is there."""
    bench = Bench(path, stored_keys())
    async with bench.open(), trio.open_nursery() as nursery:
        for worker in range(8):
            nursery.start_soon(one, bench, f"{life}/{worker}")


async def one(bench: Bench, name: str) -> None:
    """Work alone."""
    purse, turn = Purse(bench, name), 0
    while True:
        turn += 1
        held = await purse.issue(1, 2)
        await purse.swap(held[1:], 1, 1)
        terms = purse.terms(f"{name}/{turn}", 1)
        await purse.lock(terms, held[:1])
        await purse.open(f"{name}/{turn}", terms.lock_id)
        await purse.take(key_of(f"{name}/{turn}/to"), terms.lock_id, 1)
        await purse.redeem(purse.notes, key_of("holder"))
        purse.notes.clear()
        for request, answer in purse.sent:
            sys.stdout.write(f"{request.hex()} {answer.hex()}\n")
        sys.stdout.flush()
        purse.sent.clear()


if __name__ == "__main__":
    trio.run(work, Path(sys.argv[1]), int(sys.argv[2]))
