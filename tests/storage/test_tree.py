"""A tree may come from an enemy: a name that leaves its directory, or a decoder that hangs, is our problem."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import seal_signed
from nanobarter.core.units import Instant
from nanobarter.storage.chunks import ChunkId, ChunkIds
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.snapshot import Root, Snapshot, Stats, open_snapshot, seal_snapshot
from nanobarter.storage.tree import (
    EMPTY,
    IDS_MAX,
    Attributes,
    Content,
    Directory,
    File,
    Node,
    Symlink,
    decode_entry,
    decode_node,
    fold,
    read_directory,
    unfold,
    write_directory,
)
from tests.storage.engine import KEYS

PLAIN = Attributes(0o644, 0, 0, b"root", b"root", 1_700_000_000, 0)
IDS = ChunkIds(KEYS)


class Shelf(dict[ChunkId, bytes]):
    """Metadata chunks in memory."""

    def put(self, raw: bytes) -> ChunkId:
        chunk_id = IDS.meta(raw)
        self[chunk_id] = raw
        return chunk_id


@pytest.mark.parametrize("count", [0, 1, IDS_MAX, IDS_MAX + 1, 8192, 8193, 40_000])
def test_any_number_of_chunks_folds_and_unfolds(count: int) -> None:
    shelf, ids = Shelf(), [ChunkId(i.to_bytes(32, "big")) for i in range(count)]
    content = fold(ids, shelf.put)
    assert len(content.ids) <= IDS_MAX
    assert list(unfold(content, shelf.__getitem__)) == ids


@given(st.sets(st.binary(min_size=1, max_size=30).map(lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"-"))))
def test_a_directory_reads_as_it_was_written(names: set[bytes]) -> None:
    shelf = Shelf()
    entries = [File(name, PLAIN, 0, EMPTY) for name in sorted(names - {b".", b".."})]
    content = write_directory(((entry.name, encode(entry)) for entry in entries), shelf.put)
    assert list(read_directory(content, shelf.__getitem__)) == entries


def test_a_new_name_in_a_large_directory_changes_few_nodes() -> None:
    before, after = Shelf(), Shelf()
    entries = [File(b"name %06d" % i, PLAIN, 0, EMPTY) for i in range(20_000)]
    write_directory(((entry.name, encode(entry)) for entry in entries), before.put)
    entries.insert(7000, File(b"name 006999 and a half", PLAIN, 0, EMPTY))
    write_directory(((entry.name, encode(entry)) for entry in entries), after.put)
    assert len(before) > 20
    assert len(set(after) - set(before)) <= 2


@pytest.mark.parametrize("name", [b".", b"..", b"a/b", b"/etc/passwd", b"../x", b"nul\0"])
def test_a_name_that_leaves_its_directory_is_malformed(name: bytes) -> None:
    data = encode(Node((File(name, PLAIN, 0, EMPTY),)))
    with pytest.raises(Malformed, match="not a name"):
        decode_node(data)


@pytest.mark.parametrize("names", [(b"a", b"a"), (b"b", b"a")])
def test_double_names_are_malformed_within_and_across_nodes(names: tuple[bytes, bytes]) -> None:
    # Two entries of one name could swap a directory for a link while it is restored.
    one, other = (Symlink(name, PLAIN, b"/etc") for name in names)
    with pytest.raises(Malformed, match="order"):
        decode_node(encode(Node((one, other))))
    shelf = Shelf()
    content = Content(0, (shelf.put(encode(Node((one,)))), shelf.put(encode(Node((other,))))))
    with pytest.raises(Malformed, match="order"):
        list(read_directory(content, shelf.__getitem__))


@pytest.mark.parametrize("holes", [((0, 5), (4, 2)), ((8, 3),), ((2, 0),), ((5, 1), (1, 1))])
def test_impossible_holes_are_malformed(holes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(Malformed, match="holes"):
        decode_entry(encode(File(b"f", PLAIN, 10, EMPTY, holes)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_node_or_malformed(data: bytes) -> None:
    for decoder in (decode_node, decode_entry):
        try:
            value = decoder(data)
        except Malformed:
            continue
        assert encode(value) == data


NODE = encode(
    Node((File(b"a", PLAIN, 7, Content(0, (ChunkId(b"c" * 32),)), ((1, 2),), (3, 4)), Directory(b"b", PLAIN, EMPTY)))
)


@given(st.integers(0, len(NODE) - 1), st.integers(0, 255))
def test_a_changed_byte_is_another_node_or_malformed(place: int, value: int) -> None:
    data = bytearray(NODE)
    data[place] = value
    try:
        node = decode_node(bytes(data))
    except Malformed:
        return
    assert encode(node) == data
    assert all(one.name < other.name for one, other in pairwise(node.entries))


SNAPSHOT = Snapshot(
    version=1,
    vault=KEYS.vault_id,
    host="here",
    started=Instant(1),
    ended=Instant(2),
    roots=(Root(b"/home", Directory(b"home", PLAIN, EMPTY)),),
    complete=True,
    problems=(),
    problem_count=0,
    stats=Stats(0, 1, 0, 0, 0),
    k=2,
    n=5,
)


def test_a_snapshot_of_another_key_or_vault_is_malformed() -> None:
    other = VaultKeys.from_seed(b"other" * 10)
    data = encode(seal_snapshot(KEYS, SNAPSHOT))
    assert open_snapshot(data, KEYS) == SNAPSHOT
    with pytest.raises(Malformed, match="another key"):
        open_snapshot(data, other)
    with pytest.raises(Malformed, match="another vault"):
        open_snapshot(encode(seal_snapshot(other, SNAPSHOT)), other)
    with pytest.raises(Malformed, match="does not verify"):
        open_snapshot(encode(seal_signed(KEYS.signing, "lease", SNAPSHOT)), KEYS)


@given(st.integers(0, 10**4), st.integers(0, 7))
def test_no_flipped_bit_keeps_a_snapshot_valid(place: int, bit: int) -> None:
    data = bytearray(encode(seal_snapshot(KEYS, SNAPSHOT)))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(Malformed):
        open_snapshot(bytes(data), KEYS)


def test_data_and_metadata_never_share_an_id() -> None:
    assert IDS.data(NODE) != IDS.meta(NODE)
