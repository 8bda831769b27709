"""Others trust this disk: a quota off by one byte, a torn file or a forged delete is a promise broken."""

import errno
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

import hypothesis.strategies as st
import pytest
import trio
from blake3 import blake3
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused
from nanobarter.core.ids import Hash, LeaseId, NodeId, PackId, VaultId
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.limits import Limits
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, MIB, MINUTE, Instant, Quantity, Span
from nanobarter.mint.answer_messages import Contract
from nanobarter.mint.messages import LeaseTerms
from nanobarter.net.memory import MemoryNetwork
from nanobarter.net.methods import Failed
from nanobarter.storage import vault_rows
from nanobarter.storage.network_tables import NETWORK_MIGRATIONS
from nanobarter.storage.share import Tree, make_share, verify_block
from nanobarter.storage.vault import Vault
from nanobarter.storage.vault_client import Kept, VaultClient, split
from nanobarter.storage.vault_files import ShareFiles
from nanobarter.storage.vault_messages import (
    ANSWER,
    DOMAIN_ASK,
    Allocate,
    Answer,
    Ask,
    Commit,
    Data,
    Deed,
    Delete,
    Done,
    List,
    Prove,
    Read,
    Receipt,
    Refusal,
    VaultRequest,
    Write,
)
from tests.storage.vaults import KIND, TINY, signing

T = TypeVar("T")
LEASE = LeaseId(b"L" * 32)
HOLDER, STRANGER = signing("holder"), signing("stranger")
START = ManualClock().now()
SIZES = (7, 4096, 5000, 300_000, 700_000)


def content(seed: int) -> bytes:
    return hashlib.shake_256(bytes([seed])).digest(SIZES[seed % len(SIZES)])


class FullDisk(ShareFiles):
    """A disk that says no when told to."""

    full = False
    full_at_sync = False

    def reserve(self, fd: int, size: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")
        super().reserve(fd, size)

    def sync(self, path: Path) -> None:
        if self.full_at_sync:
            raise OSError(errno.ENOSPC, "no space left on device")
        super().sync(path)


class One:
    """One vault with one lease of 1 MiB, asked directly."""

    def __init__(self, home: Path, limits: Limits = TINY) -> None:
        self.home = home
        self.limits = limits
        self.others = dict[LeaseId, Contract]()
        self.key = signing("vault")
        self.clock = ManualClock()
        terms = LeaseTerms(KIND, Quantity(1), HOLDER.public)
        end = Instant(START + 30 * DAY)
        self.contract: Contract | None = Contract(LEASE, self.key.node_id, terms, Hash(bytes(32)), START, end, 1)
        self.files = FullDisk(home / "vault")
        self.counter = 0
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.home / "store.sqlite", NETWORK_MIGRATIONS)
        self.vault = Vault(
            home=self.home,
            store=self.store,
            key=self.key,
            lease=lambda lease: self.contract if lease == LEASE else self.others.get(lease),
            clock=self.clock,
            limits=self.limits,
            files=self.files,
        )
        self.node = MemoryNetwork(TINY).node(self.key)
        self.vault.register(self.node)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def main() -> T:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.store.run)
                result = await work()
                nursery.cancel_scope.cancel()
            return result

        return trio.run(main)

    def request(self, deed: Deed, data: bytes = b"", *, key: SigningKey = HOLDER, **other: bytes | int) -> bytes:
        self.counter += 1
        fields = {"node": self.key.node_id, "lease": LEASE, "at": self.clock.now(), **other}
        nonce = self.counter.to_bytes(16, "big")
        ask = Ask(
            NodeId(bytes(fields["node"])), LeaseId(bytes(fields["lease"])), Instant(int(fields["at"])), nonce, deed
        )
        return encode(VaultRequest(seal_signed(key, DOMAIN_ASK, ask), data))

    async def send(self, deed: Deed, body: bytes) -> Answer:
        method = f"storage.{deed.__struct_config__.tag}"
        answer = await self.node.call(self.key.node_id, method, body, timeout=Span(20_000))
        return decode(answer, ANSWER, size_max=2 * MIB)

    async def ask(self, deed: Deed, data: bytes = b"", *, key: SigningKey = HOLDER, **other: bytes | int) -> Answer:
        self.clock.advance(Span(1))
        return await self.send(deed, self.request(deed, data, key=key, **other))

    async def put(self, data: bytes) -> Answer:
        share = Tree(data).root
        answer = await self.ask(Allocate(share, len(data)))
        if isinstance(answer, Refusal):
            return answer
        for start, end in split(len(data), 100_000):
            answer = await self.ask(write(share, start, data[start:end]), data[start:end])
            if isinstance(answer, Refusal):
                return answer
        return await self.ask(Commit(share))

    async def read(self, data: bytes) -> bytes:
        parts = list[bytes]()
        for start, end in split(len(data), 1_000_000):
            answer = await self.ask(Read(Tree(data).root, start, end - start))
            assert isinstance(answer, Data), answer
            parts.append(answer.data)
        return b"".join(parts)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.home.rglob("*") if path.is_file() and "sqlite" not in path.name)


def write(share: Hash, offset: int, data: bytes) -> Write:
    return Write(share, offset, Hash(blake3(data).digest()))


def reason(answer: Answer) -> Reason | None:
    return answer.reason if isinstance(answer, Refusal) else None


class VaultMachine(RuleBasedStateMachine):
    """Allocate, write in any order, commit, crash, delete, expire: what was promised is there, to the byte."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.one = One(Path(self.folder.name))
        self.allocated = dict[int, int]()  # seed to size
        self.written = dict[int, set[int]]()
        self.committed = set[int]()
        self.expired = False

    @initialize()
    def start(self) -> None:
        self.one.run(self.one.vault.start)

    @rule(seed=st.integers(0, 9))
    def allocate(self, seed: int) -> None:
        data = content(seed)
        answer = self.one.run(lambda: self.one.ask(Allocate(Tree(data).root, len(data))))
        if self.expired:
            assert reason(answer) == Reason.EXPIRED
        elif seed not in self.allocated and sum(self.allocated.values()) + len(data) > MIB:
            assert reason(answer) == Reason.OVER_QUOTA
        else:
            assert reason(answer) is None
            self.allocated[seed] = len(data)
            self.written.setdefault(seed, set())

    @rule(seed=st.integers(0, 9), pieces=st.permutations(range(3)), count=st.integers(1, 3))
    def write(self, seed: int, pieces: list[int], count: int) -> None:
        data = content(seed)
        for piece in pieces[:count]:
            start, end = len(data) * piece // 3, len(data) * (piece + 1) // 3
            part = data[start:end]
            if not part:
                continue
            answer = self.one.run(lambda s=start, p=part: self.one.ask(write(Tree(data).root, s, p), p))
            if self.expired:
                assert reason(answer) == Reason.EXPIRED
            elif seed in self.allocated:
                assert answer == Done()
                self.written[seed].add(piece)
            else:
                assert reason(answer) == Reason.NOT_FOUND

    @rule(seed=st.integers(0, 9))
    def commit(self, seed: int) -> None:
        data = content(seed)
        answer = self.one.run(lambda: self.one.ask(Commit(Tree(data).root)))
        whole = {i for i in range(3) if len(data) * i // 3 < len(data) * (i + 1) // 3}
        if self.expired:
            assert reason(answer) == Reason.EXPIRED
        elif seed not in self.allocated:
            assert reason(answer) == Reason.NOT_FOUND
        elif seed in self.committed or self.written[seed] >= whole:
            assert isinstance(answer, Receipt)
            self.committed.add(seed)
        else:
            assert reason(answer) == Reason.CONFLICT
            self.written[seed] = set()

    @rule(seed=st.integers(0, 9))
    def delete(self, seed: int) -> None:
        assert self.one.run(lambda: self.one.ask(Delete(Tree(content(seed)).root))) == Done()
        self.allocated.pop(seed, None)
        self.written.pop(seed, None)
        self.committed.discard(seed)

    @rule()
    def crash(self) -> None:
        self.one.store.close()
        self.one.open()
        assert self.one.run(self.one.vault.start) == 0
        self.written = {seed: set[int]() for seed in self.allocated}
        assert len(self.one.names()) == len(self.committed)

    @rule()
    def expire(self) -> None:
        assert self.one.contract is not None or self.expired
        if not self.expired:
            self.one.clock.advance(Span(30 * DAY))
            self.expired = True
            self.one.run(self.one.vault.sweep)
            for seed in set(self.allocated) - self.committed:  # uploads that nobody finished for a day
                del self.allocated[seed]

    @invariant()
    def what_was_committed_can_be_read_and_is_counted(self) -> None:
        for seed in self.committed:
            data = content(seed)
            assert self.one.run(lambda d=data: self.one.read(d)) == data
        assert self.one.vault.used_bytes(LEASE) == sum(self.allocated.values()) <= MIB
        assert self.one.store.read_now(vault_rows.check) == []

    def teardown(self) -> None:
        self.one.clock.advance(Span(40 * DAY))
        self.one.run(self.one.vault.sweep)
        assert self.one.names() == []
        assert self.one.vault.used_bytes(LEASE) == 0
        self.one.store.close()
        self.folder.cleanup()


TestVault = VaultMachine.TestCase
TestVault.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)


@pytest.fixture
def one(tmp_path: Path) -> One:
    return One(tmp_path)


def test_a_lease_is_filled_to_the_last_byte_and_no_further(one: One) -> None:
    async def work() -> None:
        assert reason(await one.ask(Allocate(Hash(b"a" * 32), MIB - 5))) is None
        assert reason(await one.ask(Allocate(Hash(b"b" * 32), 6))) == Reason.OVER_QUOTA
        assert reason(await one.ask(Allocate(Hash(b"b" * 32), 5))) is None
        assert reason(await one.ask(Allocate(Hash(b"c" * 32), 1))) == Reason.OVER_QUOTA
        assert reason(await one.ask(Allocate(Hash(b"b" * 32), 4))) == Reason.CONFLICT
        assert one.vault.used_bytes(LEASE) == MIB

    one.run(work)


def test_forged_and_replayed_asks_are_refused(one: One) -> None:
    data = content(1)
    share = Tree(data).root

    async def work() -> None:
        assert isinstance(await one.put(data), Receipt)
        deed = Read(share, 0, 10)
        assert reason(await one.ask(deed, key=STRANGER)) == Reason.NOT_OWNER
        assert reason(await one.ask(deed, node=STRANGER.node_id)) == Reason.WRONG_MINT
        assert reason(await one.ask(deed, lease=b"M" * 32)) == Reason.UNKNOWN_LEASE
        for skew in (-11 * MINUTE, 11 * MINUTE):
            assert reason(await one.ask(deed, at=one.clock.now() + skew)) == Reason.CLOCK_OFF
        request = decode(one.request(deed), VaultRequest, size_max=MIB)
        swapped = VaultRequest(Signed(request.ask.body, STRANGER.public, request.ask.signature), b"")
        assert reason(await one.send(deed, encode(swapped))) == Reason.BAD_SIGNATURE
        with pytest.raises(PeerFault, match="another method"):
            await one.send(Delete(share), one.request(deed))
        assert await one.read(data) == data

    one.run(work)


def test_a_repeated_delete_does_not_meet_a_newer_share(one: One) -> None:
    data = content(1)
    deed = Delete(Tree(data).root)

    async def before() -> bytes:
        await one.put(data)
        one.clock.advance(Span(1))
        old = one.request(deed)
        assert await one.send(deed, old) == Done()
        await one.put(data)
        assert reason(await one.send(deed, old)) == Reason.CONFLICT
        return old

    async def after() -> None:
        assert await one.send(deed, old) == Done()
        assert await one.read(data) == data

    old = one.run(before)
    one.store.close()
    one.open()  # the nonces are forgotten; the times are not
    one.run(after)


@pytest.mark.parametrize("where", ["full", "full_at_sync"])
def test_a_full_disk_is_a_clean_no(one: One, where: str) -> None:
    data = content(3)

    async def work() -> None:
        await one.put(content(1))
        setattr(one.files, where, True)
        assert reason(await one.put(data)) == Reason.DISK_FULL
        assert one.names() == [Tree(content(1)).root.hex()]
        setattr(one.files, where, False)
        assert isinstance(await one.put(data), Receipt)
        assert await one.read(data) == data

    one.run(work)


def test_a_nearly_full_disk_refuses_before_it_allocates(tmp_path: Path) -> None:
    one = One(tmp_path, replace(TINY, vault_disk_reserve_bytes=2**60))

    async def work() -> None:
        assert reason(await one.put(content(1))) == Reason.DISK_FULL
        assert one.vault.used_bytes(LEASE) == 0

    one.run(work)


def test_a_crash_between_file_and_row_leaves_no_orphan(one: One) -> None:
    data = content(2)
    share = Tree(data).root

    async def half() -> None:
        await one.ask(Allocate(share, len(data)))
        await one.ask(write(share, 0, data), data)
        assert one.files.commit(LEASE, share, len(data))

    one.run(half)
    one.store.close()
    one.open()
    one.run(one.vault.start)
    assert one.names() == []
    assert isinstance(one.run(lambda: one.put(data)), Receipt)


def test_a_lost_file_is_noticed_at_the_start_and_proofs_say_so(one: One) -> None:
    data = content(2)
    one.run(lambda: one.put(data))
    one.files.delete(LEASE, Tree(data).root)
    assert isinstance(one.run(lambda: one.ask(Prove(Tree(data).root, bytes(16), 0))), Receipt)
    one.store.close()
    one.open()
    assert one.run(one.vault.start) == 1
    assert one.vault.used_bytes(LEASE) == 0


def test_reading_lasts_through_the_grace_also_when_the_mint_forgot(one: One) -> None:
    data = content(2)

    async def work() -> None:
        await one.put(data)
        one.clock.advance(Span(30 * DAY))
        one.contract = None
        assert await one.read(data) == data
        assert reason(await one.put(content(1))) == Reason.EXPIRED
        one.clock.advance(Span(7 * DAY))
        assert reason(await one.ask(Read(Tree(data).root, 0, 1))) == Reason.EXPIRED
        await one.vault.sweep()
        assert one.names() == []

    one.run(work)


def test_wrong_bytes_under_a_name_are_never_kept(one: One) -> None:
    data, other = content(2), bytes(len(content(2)))
    share = Tree(data).root

    async def work() -> None:
        await one.ask(Allocate(share, len(data)))
        await one.ask(write(share, 0, other), other)
        assert reason(await one.ask(Commit(share))) == Reason.CONFLICT
        assert one.names() == []
        with pytest.raises(PeerFault, match="not those"):
            await one.ask(write(share, 0, data), other)
        with pytest.raises(PeerFault, match="bytes 1 to"):
            await one.ask(write(share, 1, data), data)

    one.run(work)


def test_another_lease_of_the_same_holder_sees_nothing(one: One) -> None:
    data, second = content(2), LeaseId(b"N" * 32)
    mine = one.contract
    assert mine is not None
    other = Contract(second, mine.issuer, mine.terms, mine.terms_hash, mine.start, mine.end, 1)
    one.others[second] = other

    async def work() -> None:
        await one.put(data)
        assert reason(await one.ask(Read(Tree(data).root, 0, 1), lease=second)) == Reason.NOT_FOUND
        assert await one.ask(Delete(Tree(data).root), lease=second) == Done()
        assert await one.read(data) == data

    one.run(work)


@given(st.binary(max_size=300))
@settings(max_examples=25)
def test_no_bytes_from_outside_stop_a_vault(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        one = One(Path(folder))

        async def work() -> None:
            for body in (data, one.request(List(b""))[: len(data)] + data):
                with pytest.raises(PeerFault):
                    await one.node.call(one.key.node_id, "storage.list", body, timeout=Span(20_000))

        one.run(work)
        one.store.close()


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_every_share_lies_inside_its_folder(lease: bytes, share: bytes) -> None:
    path = ShareFiles(Path("/vault")).path(LeaseId(lease), Hash(share))
    assert path.resolve().parent.parent == Path("/vault")


@given(st.binary(max_size=100).filter(lambda name: len(name) != 32))
def test_a_name_of_another_length_reaches_no_file(name: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ShareFiles(Path("/vault")).path(LEASE, Hash(name))
    with pytest.raises(Malformed):
        decode(encode(("commit", name)), Commit, size_max=1000)


def test_a_client_goes_on_where_it_stopped(one: One) -> None:
    client = VaultClient(caller=one.node, holder=HOLDER, clock=one.clock, entropy=SeededEntropy(1, "c"), limits=TINY)
    share = make_share(VaultId(bytes(32)), PackId(bytes(32)), 0, (1, 2), content(3), bytes(32))

    async def work() -> None:
        await one.ask(Allocate(share.root, len(share.raw)))
        first = share.raw[: split(len(share.raw), TINY.share_range_bytes)[4][1]]
        await one.ask(write(share.root, 0, first), first)
        seen = list[int]()
        one.node.methods.answer = counting(one, seen)
        assert isinstance(await client.put(one.key.node_id, LEASE, share), Kept)
        assert min(seen) == len(first)
        assert await client.get(one.key.node_id, LEASE, share.root, len(share.raw)) == share.raw
        listing = await client.list(one.key.node_id, LEASE)
        assert not isinstance(listing, Refused)
        assert [entry.share for entry in listing.entries] == [share.root]

    one.run(work)


class _Answerer(Protocol):
    async def __call__(self, peer: NodeId, method: str, body: bytes) -> bytes | Failed: ...


def counting(one: One, seen: list[int]) -> _Answerer:
    real = one.node.methods.answer

    async def answer(peer: NodeId, method: str, body: bytes) -> bytes | Failed:
        deed = decode(decode(body, VaultRequest, size_max=MIB).ask.body, Ask, size_max=MIB).deed
        if isinstance(deed, Write):
            seen.append(deed.offset)
        return await real(peer, method, body)

    return answer


def test_the_first_proof_shows_the_disk_and_not_what_was_written(tmp_path: Path) -> None:
    files, lease = ShareFiles(tmp_path), LeaseId(bytes(32))
    raw = bytes(range(256)) * 100
    root = Tree(raw).root
    files.write(lease, root, len(raw), 0, raw)
    assert files.commit(lease, root, len(raw))
    path = files.path(lease, root)
    path.write_bytes(raw[:5000] + b"rot" + raw[5003:])
    assert files.prove(lease, root, len(raw), 1) is None
    assert files.prove(lease, root, len(raw), 0) is None  # from now on a proof stands for the whole file
    path.write_bytes(raw)
    shown = files.prove(lease, root, len(raw), 1)
    assert shown is not None
    assert verify_block(root, len(raw), 1, shown.block, shown.path)
    path.unlink()
    assert files.prove(lease, root, len(raw), 1) is None
