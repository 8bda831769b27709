"""A share in one ask must promise no less than one in many: on disk, within the quota, nothing half-written."""

import hashlib

import pytest

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed, PeerFault, Reason, Refused
from nanobarter.core.ids import PackId, VaultId
from nanobarter.core.keys import open_signed
from nanobarter.core.ports import whole
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import MIB
from nanobarter.storage.share import Tree, block_count, make_share, verify_block
from nanobarter.storage.vault_bytes import read_answer, read_request, write_request
from nanobarter.storage.vault_client import Kept, VaultClient
from nanobarter.storage.vault_messages import (
    ANSWER,
    DOMAIN_RECEIPT,
    Allocate,
    Data,
    Held,
    Place,
    Placed,
    Proof,
    Receipt,
    VaultRequest,
)
from nanobarter.storage.verdicts import Proven
from tests.storage.test_vault import HOLDER, LEASE, One, content, one, reason
from tests.storage.vaults import TINY

__all__ = ["one"]  # the fixture
NONCE = bytes(range(16))


def test_a_placed_share_is_held_proven_counted_and_read_back(one: One) -> None:
    data = content(3)
    last = block_count(len(data)) - 1

    async def work() -> None:
        for _ in range(2):  # the second is a repeat, and counts nothing
            answer = await one.ask(Place(Tree(data).root, NONCE, last), data)
            assert isinstance(answer, Placed)
            held = open_signed(answer.held, DOMAIN_RECEIPT, Held, size_max=2048)
            shown = open_signed(answer.shown, DOMAIN_RECEIPT, Proof, size_max=8192)
            assert (held.lease, held.share, held.size) == (LEASE, Tree(data).root, len(data))
            assert (shown.nonce, shown.block_index) == (NONCE, last)
            assert verify_block(held.share, held.size, last, shown.block, shown.path)
            assert answer.held.signer == answer.shown.signer == one.key.node_id
            assert one.vault.used_bytes(LEASE) == len(data)
        assert await one.read(data) == data
        assert one.names() == [Tree(data).root.hex()]

    one.run(work)


def test_what_was_allocated_before_is_counted_once(one: One) -> None:
    data = content(3)

    async def work() -> None:
        await one.ask(Allocate(Tree(data).root, len(data)))
        assert isinstance(await one.ask(Place(Tree(data).root, NONCE, 0), data), Placed)
        assert one.vault.used_bytes(LEASE) == len(data)
        assert isinstance(await one.put(data), Receipt)

    one.run(work)


def test_other_bytes_a_full_lease_and_a_full_disk_leave_nothing(one: One) -> None:
    data, more = content(3), hashlib.shake_256(b"more").digest(700_000)

    async def work() -> None:
        for wrong in (data[:-1], data + b"x", b"", bytes(len(data))):
            with pytest.raises(PeerFault):
                await one.ask(Place(Tree(data).root, NONCE, 0), wrong)
        with pytest.raises(PeerFault):
            await one.ask(Place(Tree(data).root, NONCE, block_count(len(data))), data)
        for where in ("full", "full_at_sync"):
            setattr(one.files, where, True)
            assert reason(await one.ask(Place(Tree(data).root, NONCE, 0), data)) == Reason.DISK_FULL
            setattr(one.files, where, False)
        assert (one.names(), one.vault.used_bytes(LEASE)) == ([], 0)
        assert isinstance(await one.ask(Place(Tree(more).root, NONCE, 0), more), Placed)
        other = hashlib.shake_256(b"other").digest(MIB - 700_000 + 1)
        assert reason(await one.ask(Place(Tree(other).root, NONCE, 0), other)) == Reason.OVER_QUOTA
        assert one.names() == [Tree(more).root.hex()]
        fits = other[:-1]
        assert isinstance(await one.ask(Place(Tree(fits).root, NONCE, 0), fits), Placed)
        assert one.vault.used_bytes(LEASE) == MIB

    one.run(work)


def test_a_crash_between_file_and_row_leaves_neither(one: One) -> None:
    data = content(3)
    assert one.files.place(LEASE, Tree(data).root, data, 0) is not None
    one.store.close()
    one.open()
    one.run(one.vault.start)
    assert one.names() == []


def test_a_quick_peer_gets_a_share_whole_and_a_slow_one_in_ranges(one: One) -> None:
    client = VaultClient(caller=one.node, holder=HOLDER, clock=one.clock, entropy=SeededEntropy(1, "c"), limits=TINY)
    first, second = (
        make_share(VaultId(bytes(32)), PackId(bytes(32)), i, (1, 2), content(3), bytes(32)) for i in (0, 1)
    )
    methods = list[str]()
    answer = one.node.methods.answer

    async def noting(peer: "object", method: str, body: bytes) -> "object":
        methods.append(method)
        return await answer(peer, method, body)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    one.node.methods.answer = noting  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]

    async def work() -> None:
        for share in (first, second):
            kept = await client.put(one.key.node_id, LEASE, share)
            assert isinstance(kept, Kept)
            assert kept.outcome == Proven()
            back = await client.get(one.key.node_id, LEASE, share.root, len(share.raw))
            assert not isinstance(back, Refused)
            assert back == share.raw

    one.run(work)
    assert methods.count("storage.allocate") == methods.count("storage.place") == 1


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536, 300_000])
def test_requests_and_answers_are_the_canonical_bytes(one: One, size: int) -> None:
    data = bytes(size)
    ask = decode(one.request(Place(Tree(b"x").root, NONCE, 0)), VaultRequest, size_max=MIB).ask
    raw = encode(VaultRequest(ask, data))
    assert whole(write_request(ask, data)) == raw
    back, view = read_request(raw, MIB)
    assert (back, bytes(view)) == (ask, data)
    answer = encode(Data(data))
    assert read_answer(answer, MIB) == decode(answer, ANSWER, size_max=MIB) == Data(data)
    for broken in (raw[:-1], raw + b"\0", raw[:1] + b"\x92" + raw[1:], _longer(raw, data)):
        with pytest.raises(Malformed):
            read_request(broken, MIB)
    for broken in (answer[:-1] if data else b"", answer + b"\0", _longer(answer, data)):
        with pytest.raises(Malformed):
            read_answer(broken, MIB)
    for short in (lambda: read_request(raw, len(raw) - 1), lambda: read_answer(answer, len(answer) - 1)):
        with pytest.raises(Malformed):
            short()


def test_an_answer_that_is_cut_off_anywhere_is_malformed() -> None:
    answer = encode(Data(bytes(2**16)))
    for end in range(32):
        with pytest.raises(Malformed):
            read_answer(answer[:end], MIB)


def _longer(raw: bytes, data: bytes) -> bytes:
    """Return the same with a longer header of the last bytes than is canonical; nothing for the longest."""
    head = raw[: len(raw) - len(data)]
    for code, width, wider in ((b"\xc4", 1, b"\xc5"), (b"\xc5", 2, b"\xc6")):
        header = code + len(data).to_bytes(width, "big") if len(data) < 256**width else b"?"
        if head.endswith(header):
            return head[: -len(header)] + wider + len(data).to_bytes(2 * width, "big") + data
    return b""
