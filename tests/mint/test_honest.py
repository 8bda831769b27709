"""An honest mint is never convicted: not after crashes, clock jumps, long sleeps, late retries or a restoration.

Random histories are run, every statement is kept, and then everything that can be held against it is.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nanobarter.core.canonical import decode, encode
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.units import DAY, HOUR, Instant, Span
from nanobarter.mint.heads import rows
from nanobarter.mint.heads.herald import Herald
from nanobarter.mint.heads.messages import HEAD, HeadAnswer, HeadQuestion
from nanobarter.mint.messages import StateBody
from nanobarter.mint.notes import note_id
from nanobarter.mint.proofs.heads import open_head
from nanobarter.mint.proofs.verdict import Convicted
from nanobarter.mint.proofs.verify import verify_mint
from nanobarter.mint.restoration import begin_generation
from nanobarter.net.memory import MemoryNetwork
from tests.mint.accuse import Evidence, accusations, omissions
from tests.mint.purse import NODE, Bench, stored_keys
from tests.mint.test_law import OPERATIONS, World

PEER = SigningKey(b"p" * 32)


class Life:
    """One mint through its history: its bench, its customers, a peer that keeps its heads, and all that it signs."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder / "store", stored_keys())
        self.backup = folder / "backup"
        self.world = World(self.bench)
        self.evidence = Evidence()
        self.herald: Herald
        self.seen = 0
        self.latest = self.bench.clock.instant

    @asynccontextmanager
    async def awake(self) -> AsyncGenerator[None]:
        hub = MemoryNetwork()
        mine, peer = hub.node(NODE), hub.node(PEER)
        peer.add(HEAD, self._peer_answers, body_max=1000)
        async with self.bench.open() as mint:
            self.herald = Herald(
                store=self.bench.store,
                key=NODE,
                caller=mine,
                registrar=mine,
                connected=lambda: [PEER.node_id],
                clock=self.bench.clock,
                limits=LIMITS,
            )
            await self.herald.ask_new_peers()
            self.note()
            yield
            self.evidence.announce([keyset.signed for keyset in mint.usable()])

    async def _peer_answers(self, _peer: NodeId, body: bytes) -> bytes:
        asked = decode(body, HeadQuestion, size_max=1000)
        ours = asked.node == NODE.node_id and self.evidence.heads
        return encode(HeadAnswer(self.evidence.heads[-1] if ours else None))

    def note(self) -> None:
        """Keep what was said since the last time."""
        self.latest = max(self.latest, self.bench.clock.instant)
        sent = self.world.purse.sent
        self.evidence.add(sent[self.seen :])
        self.seen = len(sent)
        self.evidence.announce([keyset.signed for keyset in self.bench.mint.usable()])

    async def step(self, name: str, n: int) -> None:
        if name == "ask":
            notes = tuple(note_id(h.note) for h in (self.world.spent + self.world.purse.notes)[:64])
            await self.world.purse.ask(StateBody(NODE.node_id, self.world.purse.until, notes, tuple(self.world.locks)))
        elif name == "sign":
            self.bench.clock.advance(Span(n % 3 * HOUR))
            self.evidence.heads += await self.herald.sign_due()
        elif name == "jump":  # ahead or back by up to a day, but never two days behind what it was
            back = max(self.bench.clock.instant + (n % 49 - 24) * HOUR, self.latest - rows.CLOCK_AHEAD_MAX + HOUR)
            self.bench.clock.instant = Instant(back)
        elif name == "late" and self.evidence.said:  # an old request, by somebody who never got the answer
            request, _ = self.evidence.said[n % len(self.evidence.said)]
            await self.world.purse.send(request)
        elif name in OPERATIONS:
            with suppress(AssertionError, RuntimeError):  # what customers expect of it is the concern of test_law
                await OPERATIONS[name](self.world, n)
        self.note()

    def restore(self) -> None:
        """Put the old state back, and begin a new generation as a mint must that knows it."""
        shutil.copy(self.backup, self.bench.path)
        now = self.bench.clock.now()
        with sqlite3.connect(self.bench.path) as db:
            begin_generation(db, NODE, now)
            generation = rows.memory(db).generation
            db.execute("UPDATE mint_locks SET ended = 'lapsed' WHERE ended = ''")
            db.execute("UPDATE mint_totals SET outstanding = 0, locked = 0, reserved = 0")
        db.close()
        world = World(self.bench)
        world.purse.name, world.names, world.start = f"purse{generation}", 1000 * generation, self.world.start
        self.world, self.seen = world, 0

    async def convictions(self) -> list[str]:
        held = [*accusations(self.evidence), *await omissions(self.evidence, self.herald)]
        return [f"{type(p).__name__}: {v.why}" for p in held if isinstance(v := verify_mint(p), Convicted)]


STEPS = st.lists(
    st.tuples(st.sampled_from([*OPERATIONS, "ask", "sign", "sign", "jump", "late", "restart"]), st.integers(0, 2**16)),
    min_size=30,
    max_size=45,
)
SETTINGS = settings(
    max_examples=5,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SETTINGS
@given(steps=STEPS)
async def test_no_history_convicts_an_honest_mint(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        life, rest = Life(Path(folder)), list(steps)
        while rest:
            async with life.awake():
                while rest and (step := rest.pop(0))[0] != "restart":
                    await life.step(*step)
        async with life.awake():
            await life.step("sign", 2)
            assert life.herald.behind is None
            assert await life.convictions() == []


@SETTINGS
@given(steps=STEPS, after=STEPS)
async def test_nor_one_that_was_restored_and_says_so(
    steps: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder))
        async with life.awake():
            for step in steps[:20]:
                await life.step(*step)
        shutil.copy(life.bench.path, life.backup)
        async with life.awake():
            for step in steps[20:]:
                await life.step(*step)
        life.restore()
        async with life.awake():
            assert life.herald.behind is None
            for name, n in after[:25]:
                if name != "repeat":  # what was lost is not answered as before, and need not be
                    await life.step(name, n)
            await life.step("sign", 2)
            assert await life.convictions() == []


async def test_a_mint_put_back_unknowingly_learns_it_from_a_peer_and_signs_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.awake():
        await life.step("issue", 5)
    shutil.copy(life.bench.path, life.backup)
    async with life.awake():
        life.bench.clock.advance(Span(2 * HOUR))
        await life.step("issue", 9)
        await life.step("sign", 2)
        assert life.evidence.heads
    shutil.copy(life.backup, life.bench.path)
    life.bench.clock.advance(Span(DAY))
    async with life.awake():
        assert life.herald.behind is not None
        assert await life.herald.sign_due() == []
        head = life.herald.behind
        await life.bench.store.write(lambda db: rows.begin_generation(db, head.generation + 1, life.bench.clock.now()))
        life.bench.clock.advance(Span(2 * HOUR))
        (signed,) = await life.herald.sign_due()
        assert open_head(signed).generation == 1
        life.evidence.heads.append(signed)
        assert await life.convictions() == []
