"""Makes tests/vectors/storage-packs.json: ``python -m tests.storage.vectors``. Run it only to add a version."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from nanobarter.core.canonical import encode
from nanobarter.core.units import Instant
from nanobarter.storage import erasure
from nanobarter.storage.catalog_lines import ChunkLine, Head, PackLine, SnapshotLine
from nanobarter.storage.chunks import Chunker, ChunkIds, Readable
from nanobarter.storage.keys import VaultKeys
from nanobarter.storage.packs import DATA, SUITE, TREE, Piece, make_piece, pack_info, seal_rest
from nanobarter.storage.ports import pack_id_of
from nanobarter.storage.snapshot import Problem, Root, Snapshot, Stats, seal_snapshot, snapshot_id_of
from nanobarter.storage.tree import Attributes, Content, Device, Directory, File, Node, Symlink

PATH = Path(__file__).parents[1] / "vectors" / "storage-packs.json"
SEED = bytes(range(64))
KEYS = VaultKeys.from_seed(SEED)
PACK_KEY = bytes(range(100, 132))
SHARE_SIZE = 65536
CHUNKS = (b"", b"hello, peer", b"long words " * 1000)


class Stream:
    """Bytes to cut."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer."""
        part = self.data[self.at : self.at + len(buffer)]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)


def cuts() -> list[int]:
    """Return the lengths of the chunks of three MiB of a repeatable stream."""
    stream: Readable = Stream(random.Random(7).randbytes(3 << 20))
    return [len(piece) for piece in Chunker.of(KEYS).cut(stream)]


def node() -> Node:
    """Return a node with an entry of each kind."""
    ids = ChunkIds(KEYS)
    plain = Attributes(0o644, 1000, 100, b"anna", b"users", -5, 999_999_999)
    full = Attributes(0o4755, 0, 0, b"root", b"root", 2**33, 1, ((b"user.colour", b"blue"),))
    content = Content(0, tuple(ids.data(chunk) for chunk in CHUNKS[1:]))
    return Node(
        (
            Device(b"dev", plain, "char", 5, 1),
            Directory(b"folder", full, Content(1, (ids.meta(b"node"),))),
            Symlink(b"link", plain, b"../\xff", (2049, 77)),
            File(b"new\nline \xff", full, 11_111, content, ((11_011, 100),), (2049, 78)),
        )
    )


def snapshot() -> Snapshot:
    """Return a snapshot of that node."""
    top = Directory(b"home", node().entries[0].attributes, Content(0, (ChunkIds(KEYS).meta(encode(node())),)))
    return Snapshot(
        version=1,
        vault=KEYS.vault_id,
        host="here",
        started=Instant(1_700_000_000_000),
        ended=Instant(1_700_000_001_000),
        roots=(Root(b"/home", top),),
        complete=False,
        problems=(Problem(b"/home/closed", "unreadable", "Permission denied"),),
        problem_count=1,
        stats=Stats(4, 2, 11_111, 11_011, 131_072),
        k=2,
        n=5,
    )


def pieces() -> list[Piece]:
    """Return the pieces of the pack."""
    ids = ChunkIds(KEYS)
    held = [make_piece(ids.data(chunk), DATA, chunk) for chunk in CHUNKS]
    return [*held, make_piece(ids.meta(encode(node())), TREE, encode(node()))]


def catalog_lines() -> list[bytes]:
    """Return the records of a catalog, encoded."""
    signed = seal_snapshot(KEYS, snapshot())
    pack_id = pack_id_of(b"some pack")
    chunks = tuple(
        sorted((ChunkLine(piece.chunk_id, piece.length) for piece in pieces()), key=lambda one: one.chunk_id)
    )
    chunk_id = ChunkIds(KEYS).meta(encode(signed))
    return [
        encode(Head(1, 1, 1)),
        encode(PackLine(pack_id, "data", SHARE_SIZE, 2, 5, chunks)),
        encode(SnapshotLine(snapshot_id_of(signed), snapshot().started, pack_id, chunk_id, encode(signed))),
    ]


def computed() -> dict[str, Any]:
    """Return what must never change."""
    ids, rest = ChunkIds(KEYS), seal_rest(PACK_KEY, KEYS.vault_id, pieces(), 2 * SHARE_SIZE)
    body = bytes(range(12)) * 3
    return {
        "seed": SEED.hex(),
        "vault_id": KEYS.vault_id.hex(),
        "signing_public": KEYS.signing.public.hex(),
        "head_public": KEYS.head.public.hex(),
        "hpke_public": KEYS.hpke_public.public_bytes_raw().hex(),
        "chunk_id_key": KEYS.chunk_id_key.hex(),
        "chunker_seed": KEYS.chunker_seed,
        "cuts": cuts(),
        "data_ids": [ids.data(chunk).hex() for chunk in CHUNKS],
        "meta_ids": [ids.meta(chunk).hex() for chunk in CHUNKS],
        "node": encode(node()).hex(),
        "snapshot": encode(seal_snapshot(KEYS, snapshot())).hex(),
        "snapshot_id": snapshot_id_of(seal_snapshot(KEYS, snapshot())).hex(),
        "pack_key": PACK_KEY.hex(),
        "pack_start_after_key": rest[:4096].hex(),
        "pack_after_key_sha256": hashlib.sha256(rest).hexdigest(),
        "catalog_lines": [line.hex() for line in catalog_lines()],
        "erasure_body": body.hex(),
        "erasure_3_of_6": [share.hex() for share in erasure.encode(body, 3, 6)],
    }


def main() -> None:
    """Write the file."""
    sealed = SUITE.encrypt(PACK_KEY, KEYS.hpke_public, pack_info(KEYS.vault_id))
    PATH.write_text(json.dumps({**computed(), "sealed_pack_key": sealed.hex()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
