"""A pack must open whole with the vault's key, show nothing without it, and never open when a bit is wrong."""

import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nanobarter.core.errors import Malformed
from nanobarter.core.system import SeededEntropy
from nanobarter.storage.chunks import CHUNK_MAX, ChunkId, ChunkIds, compress, decompress
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.packs import (
    DATA,
    SEALED_KEY_BYTES,
    Piece,
    Sealer,
    fits,
    make_piece,
    open_pack,
    room,
    share_size_full,
)
from nanobarter.storage.pipeline import plan_packs
from nanobarter.storage.ports import SHARE_SIZES, Pack, pack_id_of
from tests.storage.engine import KEYS

IDS = ChunkIds(KEYS)
SEALER = Sealer(KEYS.hpke_public, KEYS.vault_id, SeededEntropy(1, "packs"))


def piece_of(raw: bytes) -> Piece:
    return make_piece(IDS.data(raw), DATA, raw)


def pack_of(*raws: bytes, k: int = 2, share_size: int = SHARE_SIZES[0]) -> Pack:
    return SEALER.seal([piece_of(raw) for raw in raws], "data", share_size=share_size, k=k, n=5)


@given(st.sets(st.binary(max_size=400), max_size=20))
def test_every_chunk_comes_back(raws: set[bytes]) -> None:
    pack = pack_of(*raws)
    assert len(pack.body) == 2 * pack.share_size
    assert pack.pack_id == pack_id_of(pack.body)
    opened = open_pack(pack.body, KEYS)
    assert {opened.chunk(entry.chunk_id) for entry in opened.index.entries} == raws
    with pytest.raises(Malformed, match="not in this pack"):
        opened.chunk(ChunkId(bytes(32)))


SAMPLE = pack_of(b"needle in the pack" * 20, random.Random(1).randbytes(9000), b"")


@given(st.integers(0, 9900), st.integers(0, 7))
@example(0, 0)
@example(SEALED_KEY_BYTES, 0)
def test_a_flipped_bit_is_found(place: int, bit: int) -> None:
    body = bytearray(SAMPLE.body)
    body[place] ^= 1 << bit
    assert pack_id_of(bytes(body)) != SAMPLE.pack_id
    used = open_pack(SAMPLE.body, KEYS).places.values()
    end = max(offset for _, offset in used)
    try:
        opened = open_pack(bytes(body), KEYS)
        for entry in opened.index.entries:
            opened.chunk(entry.chunk_id)
    except Malformed:
        return
    assert place >= end  # only the padding is not sealed, and the pack id covers it


@given(st.binary(max_size=300))
def test_any_bytes_are_a_pack_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        open_pack(data, KEYS)


def test_another_vault_cannot_open_it() -> None:
    with pytest.raises(Malformed, match="not sealed to this vault"):
        open_pack(SAMPLE.body, VaultKeys.from_seed(b"other" * 10))


def test_a_body_looks_random_and_two_packs_of_the_same_have_nothing_in_common() -> None:
    raw = b"the same old words, " * 2000 + b"/home/anna/secret plans.odt"
    one, other = pack_of(raw), pack_of(raw)
    assert one.pack_id != other.pack_id
    for pack in (one, other):
        assert b"old words" not in pack.body
        assert b"secret" not in pack.body
        assert KEYS.vault_id not in pack.body
        assert IDS.data(raw) not in pack.body
        counts = Counter(pack.body)
        expected = len(pack.body) / 256
        assert sum((counts[value] - expected) ** 2 / expected for value in range(256)) < 400  # chi square, 255 degrees
    pairs = {one.body[at : at + 8] for at in range(0, len(one.body), 8)}
    assert not pairs & {other.body[at : at + 8] for at in range(0, len(other.body), 8)}


@given(st.lists(st.integers(0, CHUNK_MAX), max_size=30), st.sampled_from([1, 2, 3, 6, 10, 40, 255]))
def test_last_packs_hold_everything_and_waste_little(sizes: list[int], k: int) -> None:
    pieces = [Piece(ChunkId(i.to_bytes(32, "big")), DATA, 0, size, bytes(size)) for i, size in enumerate(sizes)]
    held, space = list[Piece](), room(k, share_size_full(k))
    for piece in pieces:
        space -= piece.cost
        if space >= 0:
            held.append(piece)
    plan = plan_packs(held, k)
    assert [piece for taken, _ in plan for piece in taken] == held
    for taken, share_size in plan:
        assert sum(piece.cost for piece in taken) <= room(k, share_size)
        assert fits(taken, k) is not None


@pytest.mark.parametrize("k", [1, 2, 3, 4, 6, 8, 10, 100, 255])
def test_the_largest_chunk_fits_a_full_pack(k: int) -> None:
    raw = random.Random(k).randbytes(CHUNK_MAX)
    pack = pack_of(raw, k=k, share_size=share_size_full(k))
    assert len(pack.body) <= 16 * 1024 * 1024
    assert open_pack(pack.body, KEYS).chunk(IDS.data(raw)) == raw


@given(st.binary(max_size=3000), st.integers(1, 40))
def test_chunks_survive_compression(part: bytes, times: int) -> None:
    method, packed = compress(part * times)
    assert decompress(method, packed, len(part) * times) == part * times
    assert len(packed) <= len(part) * times


@given(st.sampled_from([0, 1, 2, 9]), st.binary(max_size=100), st.integers(0, 200))
def test_any_bytes_decompress_or_are_malformed(method: int, data: bytes, length: int) -> None:
    try:
        assert len(decompress(method, data, length)) == length
    except Malformed:
        return


def test_a_chunk_that_would_explode_is_refused_before_it_does() -> None:
    _, packed = compress(bytes(CHUNK_MAX))
    with pytest.raises(Malformed, match="length"):
        decompress(1, packed, 100)
