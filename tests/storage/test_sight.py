"""At stake: what a keeper of shares learns, who has all bytes of his disk and of his end of the wire to look at."""

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import Signed
from nanobarter.net.methods import Failed
from nanobarter.storage.head import PAD_BYTES, HeadBody, read_head
from nanobarter.storage.ports import SHARE_SIZES
from nanobarter.storage.share import HEADER_BYTES
from nanobarter.storage.vault_client import split
from nanobarter.storage.vault_messages import VaultRequest
from tests.storage.test_independent import back_up
from tests.storage.vaults import TINY, Peer, Town, town

MARKS = (b"the silver is under the plum tree", b"diary of ada", b"plum trees", b"folder of hers", b"\xff\xfe not text")
SEAL_BYTES = 12 + 16  # a nonce and a tag
WHOLE = frozenset(HEADER_BYTES + size for size in SHARE_SIZES)
RANGES = (TINY.share_range_bytes, TINY.vault_range_bytes_max)  # to a vault that was slow, and to one that was quick
PARTS = frozenset(end - start for size in WHOLE for most in RANGES for start, end in split(size, most))


@dataclass
class Sight:
    """Everything that peers saw: what was asked and answered, and their files."""

    heard: list[bytes] = field(default_factory=list[bytes])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def tap(self, peer: Peer) -> None:
        inner = peer.node.methods.answer

        async def answer(peer: NodeId, method: str, body: bytes) -> bytes | Failed:
            told = await inner(peer, method, body)
            self.heard += [body, told if isinstance(told, bytes) else told.detail.encode()]
            return told

        peer.node.methods.answer = answer

    def look(self, peers: list[Peer]) -> None:
        for peer in peers:
            for path in peer.home.rglob("*"):
                if path.is_file():
                    self.files[f"{peer.home.name}/{path.name}"] = path.read_bytes()

    @property
    def shares(self) -> list[bytes]:
        return [data for name, data in self.files.items() if len(Path(name).name) == 64]

    def written(self) -> Counter[int]:
        """Count the lengths of what was sent to be stored."""
        found = Counter[int]()
        for body in self.heard:
            try:
                found[len(decode(body, VaultRequest, size_max=2**24).data)] += 1
            except Malformed:
                continue  # an answer, or a question for a head
        del found[0]
        return found


async def seen(folder: Path, sizes: list[int], *, seed: int = 1) -> Sight:
    """Back up files of these sizes, with marks in content and names, at five peers who look."""
    draw, source = random.Random(seed), folder / MARKS[3].decode()
    place = os.fsencode(source) + b"/" + MARKS[2]
    os.makedirs(place)  # noqa: PTH103 - a path of bytes
    for number, size in enumerate(sizes):
        name = MARKS[1] if number == 0 else MARKS[4] + str(number).encode()
        with open(place + b"/" + name, "wb") as file:  # noqa: PTH123, ASYNC230 - as above
            file.write(MARKS[0] + draw.randbytes(size - len(MARKS[0])))
    sight = Sight()
    async with town(folder, 5) as (here, _):
        for peer in here.peers:
            sight.tap(peer)
        await back_up(here, source)
        sight.look(here.peers)
        heads = _heads(here)
    assert heads
    assert {(len(head.sealed) - SEAL_BYTES) % PAD_BYTES for head in heads} == {0}
    return sight


def _heads(here: Town) -> list[HeadBody]:
    found = list[HeadBody]()
    for peer in here.peers:
        for (body,) in peer.store.read_now(lambda db: db.execute("SELECT body FROM storage_vault_heads").fetchall()):
            found.append(read_head(decode(body, Signed, size_max=10**6), 10**6))
    return found


async def test_no_content_and_no_name_is_on_a_peers_disk_or_on_its_wire(tmp_path: Path) -> None:
    sight = await seen(tmp_path, [100_000] * 20)
    assert len(sight.shares) >= 10
    for bytes_seen in (*sight.heard, *sight.files.values()):
        assert not [mark for mark in MARKS if mark in bytes_seen]


@pytest.mark.parametrize("sizes", [[4_000_000], [1_000_000] * 4, [1_300_001, 2_699_999], [2000] * 2000])
async def test_all_that_is_stored_has_one_of_a_few_lengths(tmp_path: Path, sizes: list[int]) -> None:
    sight = await seen(tmp_path, sizes)
    assert {len(share) for share in sight.shares} <= WHOLE
    assert set(sight.written()) <= PARTS


async def test_equal_amounts_cut_otherwise_look_alike(tmp_path: Path) -> None:
    lengths = list[object]()
    for number, sizes in enumerate([[3_000_000, 1_000_000], [1_999_999, 2_000_001], [3_900_000, 100_000]]):
        (folder := tmp_path / str(number)).mkdir()
        sight = await seen(folder, sizes, seed=number)
        lengths.append((Counter(map(len, sight.shares)), sight.written()))
    assert lengths[0] == lengths[1] == lengths[2]


async def test_the_same_folder_looks_different_each_time(tmp_path: Path) -> None:
    blocks = list[set[bytes]]()
    for number in range(2):
        (folder := tmp_path / str(number)).mkdir()
        sight = await seen(folder, [200_000, 300_000])
        masked = b"".join(share[HEADER_BYTES:] for share in sight.shares)
        blocks.append({masked[at : at + 16] for at in range(0, len(masked), 16)})
        assert len(blocks[-1]) == len(masked) // 16  # and no two peers have a piece in common
    assert not blocks[0] & blocks[1]
