"""In any order of operations, restarts and days: promises never exceed the pledge, and nothing counts twice."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nanobarter.core.ids import LeaseId, LockId
from nanobarter.core.keys import SigningKey, open_signed
from nanobarter.core.units import DAY, HOUR, MINUTE, Quantity, Span
from nanobarter.mint.answer_messages import (
    DOMAIN_CONTRACT,
    Answer,
    Contract,
    Leased,
    LockAnswer,
    LockState,
    Minted,
    Refusal,
)
from nanobarter.mint.messages import NOTES_MAX
from nanobarter.mint.notes import split
from tests.mint.purse import KIND, NODE, PLEDGED, Bench, Crash, Held, Purse, key_of, stored_keys

WRITES_OF_A_DAY = 4  # the sweep, a keyset of each kind, the mark of being alive
REPEATABLE_DAYS = 45  # after it a keyset is purged, and its requests with it


class World:
    """The mint beside a model of it: sums of what should be promised, kept the naive way."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.purse = bench, Purse(bench)
        self.start = bench.clock.now()
        self.locks = dict[LockId, tuple[str, Quantity, bool]]()
        self.settled = dict[LockId, SigningKey]()
        self.leases = dict[LeaseId, Contract]()
        self.spent = list[Held]()
        self.honoured = list[tuple[bytes, bytes]]()
        self.names = 0

    def some(self, n: int) -> list[Held]:
        return [h for i, h in enumerate(self.purse.notes[:6]) if n >> i & 1]

    def drop(self, notes: list[Held]) -> None:
        self.spent += notes
        self.purse.notes = [h for h in self.purse.notes if h not in notes]

    def kept(self, answer: Answer) -> bool:
        if not isinstance(answer, Refusal):
            self.honoured.append(self.purse.sent[-1])
        return not isinstance(answer, Refusal)

    async def issue(self, n: int) -> None:
        free = next(c.free for c in self.bench.mint.capacity() if c.kind == KIND)
        quantity = n % 60
        if 0 < quantity <= free:
            self.purse.notes += await self.purse.issue(*split(quantity))
            self.honoured.append(self.purse.sent[-1])

    async def swap(self, n: int) -> None:
        notes = self.some(n)
        if notes:
            wanted = split(sum(h.note.quantity for h in notes), 1 << n % 7)
            if len(wanted) <= NOTES_MAX and self.kept(await self.purse.swap(notes, *wanted)):
                self.drop(notes)

    async def spend_again(self, n: int) -> None:
        if self.spent:
            held = self.spent[n % len(self.spent)]
            assert isinstance(await self.purse.swap([held], held.note.quantity), Refusal)

    async def lock(self, n: int) -> None:
        notes = self.some(n) if n % 2 else []
        quantity = sum(h.note.quantity for h in notes) or n % 20 + 1
        self.names += 1
        name = f"lock{self.names}"
        terms = self.purse.terms(name, quantity, index=n % 3)
        answer = await self.purse.lock(terms, notes)
        if self.kept(answer):
            assert isinstance(answer, LockAnswer)
            self.locks[terms.lock_id] = (name, terms.quantity, not notes)
            self.drop(notes)

    async def open(self, n: int) -> None:
        if self.locks:
            lock_id = sorted(self.locks)[n % len(self.locks)]
            name = self.locks[lock_id][0]
            if self.kept(await self.purse.open(name, lock_id)):
                assert self.settled.setdefault(lock_id, key_of(name + "/to")) == key_of(name + "/to")

    async def give_back(self, n: int) -> None:
        if self.locks:
            lock_id = sorted(self.locks)[n % len(self.locks)]
            name, _, fresh = self.locks[lock_id]
            answer = await (self.purse.refund if n % 2 else self.purse.release)(name, lock_id)
            if self.kept(answer):
                assert isinstance(answer, LockState)
                assert self.settled.setdefault(lock_id, key_of(name + "/refund")) == key_of(name + "/refund")
                if fresh:
                    del self.locks[lock_id]

    async def take(self, n: int) -> None:
        if self.locks:
            lock_id = sorted(self.locks)[n % len(self.locks)]
            name, quantity, _ = self.locks[lock_id]
            owner = self.settled.get(lock_id, key_of(name + "/to"))
            if n % 2:
                answer = await self.purse.take(owner, lock_id, quantity)
                assert isinstance(answer, Minted | Refusal)
            else:
                answer = await self.purse.take_lease(owner, lock_id, quantity, key_of("holder"))
                self.leased(answer)
            if self.kept(answer):
                assert lock_id in self.settled
                del self.locks[lock_id]

    async def redeem(self, n: int) -> None:
        notes = self.some(n)
        if notes:
            answer = await self.purse.redeem(notes, key_of("holder"))
            if self.kept(answer):
                self.leased(answer)
                self.drop(notes)

    async def extend(self, n: int) -> None:
        notes = sorted(self.purse.notes, key=lambda h: h.note.quantity)[:1]  # little enough for any lease
        if notes and self.leases:
            lease_id = sorted(self.leases)[n % len(self.leases)]
            keep = sum(h.note.quantity for h in notes)
            answer = await self.purse.extend(notes, lease_id, keep, key_of("holder"))
            if self.kept(answer):
                self.leased(answer)
                self.drop(notes)

    def leased(self, answer: Answer) -> None:
        if isinstance(answer, Leased):
            contract = open_signed(answer.contract, DOMAIN_CONTRACT, Contract, size_max=4096)
            self.leases[contract.lease_id] = contract

    async def pass_time(self, n: int) -> None:
        self.bench.clock.advance(Span((n % 40) * (MINUTE, MINUTE, HOUR, DAY)[n % 4]))
        try:
            await self._let_time_work(n)
        except Crash:
            await self.bench.restart()
            await self._let_time_work(n)
        now = self.bench.clock.now()
        usable = {k.keyset_id for k in self.bench.mint.usable()}
        self.purse.notes = [h for h in self.purse.notes if h.note.keyset in usable]
        self.leases = {i: c for i, c in self.leases.items() if c.end > now}
        live = {x.terms.lock_id for x in self.bench.mint.locks()}
        self.locks = {i: x for i, x in self.locks.items() if i in live}

    async def _let_time_work(self, n: int) -> None:
        await self.bench.mint.expire()
        await self.bench.mint.make_keysets()
        if n % 5:
            await self.bench.mint.alive()

    async def repeat(self, n: int) -> None:
        if self.honoured and self.bench.clock.now() - self.start < REPEATABLE_DAYS * DAY:
            request, answer = self.honoured[n % len(self.honoured)]
            assert await self.bench.mint.handle(NODE.node_id, request) == answer  # a Crash escapes: nothing is written

    def check(self) -> None:
        mint = self.bench.mint
        assert mint.audit() == []
        (row,) = (c for c in mint.capacity() if c.kind == KIND)
        assert row.outstanding == sum(h.note.quantity for h in self.purse.notes)
        assert row.locked == sum(quantity for _, quantity, _ in self.locks.values())
        assert row.leased == sum(c.terms.quantity for c in self.leases.values())
        assert row.free == PLEDGED[KIND] - row.outstanding - row.locked - row.leased >= 0


OPERATIONS: dict[str, Callable[[World, int], Awaitable[None]]] = {
    "issue": World.issue,
    "swap": World.swap,
    "spend_again": World.spend_again,
    "lock": World.lock,
    "open": World.open,
    "give_back": World.give_back,
    "take": World.take,
    "redeem": World.redeem,
    "extend": World.extend,
    "pass_time": World.pass_time,
    "repeat": World.repeat,
}
STEP = st.tuples(
    st.sampled_from([*OPERATIONS, "restart"]),
    st.integers(0, 2**16),
    st.sampled_from([0, 0, 1, 2]),  # in which of its durable writes the plug is pulled, if it has so many
    st.booleans(),  # before or after the commit
)


@settings(
    max_examples=8, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)  # a failing run of steps is read as it is
@given(steps=st.lists(STEP, min_size=40, max_size=60))
async def test_the_law_holds_after_every_step(steps: list[tuple[str, int, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "store", stored_keys())
        world = World(bench)
        rest = list(steps)
        while rest:
            async with bench.open():
                while rest and (step := rest.pop(0))[0] != "restart":
                    name, n, bench.crash_in, bench.crash_after = step
                    await OPERATIONS[name](world, n)
                    bench.crash_in = 0
                    world.check()
        async with bench.open() as mint:
            world.check()
            for request, answer in world.honoured:
                if bench.clock.now() - world.start < REPEATABLE_DAYS * DAY:
                    assert await mint.handle(NODE.node_id, request) == answer
            world.check()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(1, 7))
async def test_a_crash_at_each_write_of_a_start_leaves_a_whole_mint(tmp_path: Path, write: int, *, after: bool) -> None:
    """A start ends what ran out, takes over the pledge, and makes keysets: each alone, and each again."""
    bench = Bench(tmp_path / "store", stored_keys())
    async with bench.open():
        world = World(bench)
        await world.issue(9)
        await world.redeem(1)
        bench.clock.advance(Span(36 * DAY))
        bench.crash_in, bench.crash_after = write, after
        await world.pass_time(3)
        assert bench.crashes == (write <= WRITES_OF_A_DAY)
        world.check()
