"""A share that is not what it says, or a proof that can be faked, makes every promise of health a lie."""

import hashlib
import json
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Malformed
from nanobarter.core.ids import PackId, VaultId
from nanobarter.storage.share import (
    BLOCK_BYTES,
    HEADER_BYTES,
    Tree,
    apply_mask,
    block_count,
    make_share,
    open_share,
    read_header,
    verify_block,
)

VAULT, PACK, MASK = VaultId(b"v" * 32), PackId(b"p" * 32), b"m" * 32
DATA = bytes(i * 7 % 251 for i in range(10_000))
SHARE = make_share(VAULT, PACK, 3, (2, 5), DATA, MASK)
GOLDEN = Path(__file__).parent.parent / "vectors" / "storage-net-share.json"


def test_a_share_gives_back_its_data_and_says_what_it_is() -> None:
    header, data = open_share(SHARE.raw, MASK)
    assert (header, data) == (SHARE.header, DATA)
    assert (header.vault, header.pack, header.index, header.k, header.n) == (VAULT, PACK, 3, 2, 5)


def test_equal_pieces_differ_at_every_peer() -> None:
    copies = [make_share(VAULT, PACK, i, (1, 3), DATA, MASK).raw[HEADER_BYTES:] for i in range(3)]
    assert len({copy[:16] for copy in copies}) == 3
    assert DATA[:16] not in copies[0]
    assert apply_mask(MASK, PACK, 1, copies[1]) == DATA


@given(st.integers(0, len(SHARE.raw) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(place: int, change: int) -> None:
    raw = bytearray(SHARE.raw)
    raw[place] ^= change
    assert Tree(bytes(raw)).root != SHARE.root
    try:
        header, data = open_share(bytes(raw), MASK)
    except Malformed:
        return
    assert header != SHARE.header  # another header may be well formed; the root told them apart above
    assert place < HEADER_BYTES
    assert data is not None


@given(st.binary(max_size=400))
def test_any_bytes_are_a_header_or_malformed(data: bytes) -> None:
    for raw in (data, SHARE.raw[:10] + data, SHARE.raw[: len(data)]):
        try:
            read_header(raw)
        except Malformed:
            continue


@given(st.integers(1, 40_000), st.data())
def test_every_block_of_every_length_is_proven_and_no_other(size: int, data: st.DataObject) -> None:
    raw = hashlib.shake_256(b"share").digest(size)
    tree = Tree(raw)
    index = data.draw(st.integers(0, block_count(size) - 1))
    block, path = raw[index * BLOCK_BYTES :][:BLOCK_BYTES], tree.path(index)
    assert verify_block(tree.root, size, index, block, path)
    assert not verify_block(tree.root, size + 1, index, block, path)
    assert not verify_block(tree.root, size, index + 1, block, path)
    assert not verify_block(tree.root, size, index, block[:-1] + bytes([block[-1] ^ 1]), path)
    assert not verify_block(tree.root, size, index, block, (*path, tree.root))
    assert not verify_block(tree.root, size, -1, block, path)
    if path:
        assert not verify_block(tree.root, size, index, block, path[:-1])


def test_a_share_of_an_impossible_geometry_is_malformed() -> None:
    for index, k, n in ((5, 2, 5), (0, 6, 5)):
        with pytest.raises(Malformed, match="cannot be"):
            read_header(make_share(VAULT, PACK, index, (k, n), DATA, MASK).raw)


def test_the_bytes_stay_as_they_were_released() -> None:
    golden = json.loads(GOLDEN.read_text())
    share = make_share(VAULT, PACK, golden["index"], (golden["k"], golden["n"]), bytes(golden["zeros"]), MASK)
    assert share.raw[:HEADER_BYTES].hex() == golden["header"]
    assert share.root.hex() == golden["root"]
    assert blake3(share.raw).hexdigest() == golden["blake3"]
