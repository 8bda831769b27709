"""Issues and swaps on a real file with real fsyncs and keys made for the occasion, and what they cost.

CPU time is that of the whole process, worker threads included, between the first request's arrival and the last
answer; what the wallet does before and after is not counted.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import RequestId
from nanobarter.core.keys import SigningKey
from nanobarter.core.store import Store
from nanobarter.core.system import SystemClock, SystemEntropy
from nanobarter.core.units import MINUTE, Instant, LeaseKind, Quantity
from nanobarter.mint import blind
from nanobarter.mint.answer_messages import Minted, open_answer
from nanobarter.mint.messages import BlindOutput, IssueBody, Note, Request, SwapBody, make_request, request_id_of
from nanobarter.mint.notes import Keyset, note_message
from nanobarter.mint.service import Mint
from nanobarter.mint.tables import MIGRATIONS

KIND = LeaseKind("30d")
AT_ONCE = 64


@dataclass
class Pending:
    """An output with what unblinds it."""

    output: BlindOutput
    owner: SigningKey
    inverse: int


class Client:
    """Prepares requests and unblinds answers, off the clock."""

    def __init__(self, mint: Mint, node: SigningKey) -> None:
        self.mint, self.node = mint, node
        self.keyset: Keyset = mint.usable()[0]
        self.until = Instant(SystemClock().now() + 10 * MINUTE)

    def outputs(self, count: int) -> list[Pending]:
        """Return so many outputs of 1 MiB."""
        quantity, modulus = Quantity(1), self.keyset.moduli[Quantity(1)]
        made = list[Pending]()
        for _ in range(count):
            owner = SigningKey(os.urandom(32))
            message = note_message(self.keyset.keyset_id, quantity, owner.public)
            factor = blind.factor_from(os.urandom(272), modulus)
            done = blind.blind(blind.PSS_DETERMINISTIC, modulus, message, salt=os.urandom(48), factor=factor)
            made.append(Pending(BlindOutput(self.keyset.keyset_id, quantity, done.message), owner, done.inverse))
        return made

    def notes(self, answer: bytes, request: bytes, pending: list[Pending]) -> list[tuple[Note, SigningKey]]:
        """Return the notes that an answer brings."""
        minted = open_answer(answer, self.node.node_id, _request_id(request))[1]
        if not isinstance(minted, Minted):
            raise TypeError(f"the mint refused: {minted}")
        found = list[tuple[Note, SigningKey]]()
        for p, signature in zip(pending, minted.signatures, strict=True):
            message = note_message(p.output.keyset, p.output.quantity, p.owner.public)
            modulus = self.keyset.moduli[p.output.quantity]
            whole = blind.finalize(blind.PSS_DETERMINISTIC, modulus, message, signature, p.inverse)
            found.append((Note(p.output.keyset, p.output.quantity, p.owner.public, whole), p.owner))
        return found

    async def send_all(self, requests: list[bytes]) -> tuple[list[bytes], float]:
        """Return all answers in order and the CPU-seconds they took."""
        answers = dict[int, bytes]()
        room = trio.CapacityLimiter(AT_ONCE)

        async def send(place: int, raw: bytes) -> None:
            async with room:
                answers[place] = await self.mint.handle(self.node.node_id, raw)

        started = time.process_time()
        async with trio.open_nursery() as nursery:
            for place, raw in enumerate(requests):
                nursery.start_soon(send, place, raw)
        spent = time.process_time() - started
        return [answers[place] for place in range(len(requests))], spent


def _request_id(request: bytes) -> RequestId:
    """Return the id of an encoded request."""
    return request_id_of(decode(request, Request, size_max=len(request)).body)


@dataclass(frozen=True)
class Load:
    """What the load cost, in CPU-seconds, and the notes that it left."""

    issue_cpu: float
    swap_cpu: float
    notes: list[Note]
    keyset: Keyset


async def run_load(folder: Path, count: int) -> Load:
    """Issue ``count`` pairs of notes, then swap each pair for another, and audit the mint."""
    node = SigningKey(os.urandom(32))
    store = Store.open(folder / "store", MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        pledged = {KIND: Quantity(2 * count)}
        clock, entropy = SystemClock(), SystemEntropy()
        mint = Mint(store=store, key=node, clock=clock, entropy=entropy, pledged=pledged, service_terms=b"bench")
        await mint.start()
        await nursery.start(mint.run)
        client = Client(mint, node)
        pending = [client.outputs(2) for _ in range(count)]
        issues = [
            encode(make_request(IssueBody(node.node_id, client.until, tuple(p.output for p in pair)), [node]))
            for pair in pending
        ]
        answers, issue_cpu = await client.send_all(issues)
        held = [client.notes(a, r, p) for a, r, p in zip(answers, issues, pending, strict=True)]
        fresh = [tuple(p.output for p in client.outputs(2)) for _ in range(count)]
        bodies = [
            (SwapBody(node.node_id, client.until, tuple(n for n, _ in pair), out), [k for _, k in pair])
            for pair, out in zip(held, fresh, strict=True)
        ]
        swaps = [encode(make_request(body, keys)) for body, keys in bodies]
        _, swap_cpu = await client.send_all(swaps)
        findings = mint.audit()
        nursery.cancel_scope.cancel()
    store.close()
    if findings:
        raise RuntimeError(f"the mint does not add up: {findings}")
    return Load(issue_cpu, swap_cpu, [n for pair in held for n, _ in pair], client.keyset)
