"""``python -m tests.storage.fuzz --runs N --seed S``: whatever a peer or a disk gives back is a value or Malformed.

Every format of a backup is mutated and read by the code that reads it in life: shares, packs, trees, snapshots,
catalogs, heads, and what vaults are asked and answer. What is sealed or signed is also mutated inside its seal and
sealed again, as somebody who has the phrase could. Message number i of a seed is always the same.
"""

import random
import sys
from collections.abc import Iterator
from functools import cache, partial
from typing import Any, Final, cast

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Reason
from nanobarter.core.ids import Hash, LeaseId, NodeId, PackId, sha256
from nanobarter.core.keys import Signed, derive, seal_signed
from nanobarter.core.system import SeededEntropy
from nanobarter.core.units import Instant
from nanobarter.storage import erasure, head
from nanobarter.storage.catalog_lines import parse_export
from nanobarter.storage.chunks import ChunkIds
from nanobarter.storage.listings import Known, decode_listing
from nanobarter.storage.packs import (
    SEALED_KEY_BYTES,
    SUITE,
    TAG_BYTES,
    OpenPack,
    open_pack,
    pack_info,
    piece_of,
    seal_rest,
)
from nanobarter.storage.share import HEADER_BYTES, Tree, make_share, open_share, verify_block
from nanobarter.storage.snapshot import open_snapshot, seal_snapshot
from nanobarter.storage.tree import EMPTY, Content, Directory, Fold, decode_entry, decode_node, read_directory
from nanobarter.storage.vault_access import read_ask
from nanobarter.storage.vault_bytes import read_answer, read_request
from nanobarter.storage.vault_messages import (
    RECEIPT_BODY,
    Allocate,
    Allocated,
    Ask,
    Commit,
    Data,
    Entry,
    Held,
    Listing,
    NoProof,
    Place,
    Placed,
    Proof,
    Prove,
    PutHead,
    Receipt,
    ReceiptBody,
    Refusal,
    VaultRequest,
    Write,
)
from nanobarter.storage.verdicts import judge_proof
from tests import fuzzing
from tests.fuzzing import SIGNED, Sample, Told, mutate, outcome
from tests.storage.vectors import CHUNKS, KEYS, PACK_KEY, SHARE_SIZE, catalog_lines, node, pieces, snapshot

IDS: Final = ChunkIds(KEYS)
MASK: Final = bytes(32)
NODE: Final = NodeId(KEYS.signing.node_id)
LEASE: Final = LeaseId(sha256(b"lease"))
PACK: Final = PackId(sha256(b"pack"))
_SIZE: Final = 2**20


def _share(data: bytes) -> object:
    return open_share(data, MASK)


def _digested(data: bytes) -> bytes:
    """Make the share's data again what its header says, as far as there is a header."""
    at = data.find(blake3(_SHARE.raw[HEADER_BYTES:]).digest())
    return data if at < 0 else data[:at] + blake3(data[HEADER_BYTES:]).digest() + data[at + 32 :]


def _pack(data: bytes) -> object:
    pack = open_pack(data, KEYS)
    return [outcome(partial(_piece, pack), entry.chunk_id) for entry in pack.index.entries]


def _piece(pack: OpenPack, chunk_id: bytes) -> object:
    return piece_of(pack, cast("Any", chunk_id), IDS)


def _pack_with(index: bytes) -> bytes:
    """Return a pack whose index is what somebody with the vault's public key made of it."""
    seal, body = AESGCM(PACK_KEY), _PACK
    start = SEALED_KEY_BYTES + 4 + TAG_BYTES
    end = start + len(_INDEX) + TAG_BYTES
    count = seal.encrypt(bytes(12), len(index).to_bytes(4, "big"), None)
    made = body[:SEALED_KEY_BYTES] + count + seal.encrypt(bytes(11) + b"\1", index, None) + body[end:]
    return made[: len(body)].ljust(len(body), b"\0")


def _chunk_swapped(stored: bytes) -> bytes:
    """Return the pack with other bytes sealed in the place of its first chunk."""
    seal, start = AESGCM(PACK_KEY), SEALED_KEY_BYTES + 4 + TAG_BYTES + len(_INDEX) + TAG_BYTES
    length = open_pack(_PACK, KEYS).index.entries[0].stored
    made = seal.encrypt(bytes(11) + b"\2", stored[:length].ljust(length, b"\0"), None)
    return _PACK[:start] + made + _PACK[start + len(made) :]


def _directory(data: bytes) -> object:
    """Read a directory whose chunks are what a stranger says."""
    content = decode(data, Content, size_max=_SIZE)
    return list(read_directory(content, lambda _chunk_id: encode(node())))


def _snapshot(data: bytes) -> object:
    return open_snapshot(data, KEYS)


def _resigned(domain: str, data: bytes) -> bytes:
    return encode(Signed(data, KEYS.signing.public, KEYS.signing.sign(domain, data)))


def _export(plain: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(plain)


def _head(data: bytes) -> object:
    return head.open_head(KEYS, decode(data, Signed, size_max=_SIZE), _SIZE)


def _head_of(plain: bytes) -> bytes:
    """Return a signed head with other bytes inside its seal."""
    sealed = head.seal(KEYS.seal_key, "storage/head", plain, SeededEntropy(1, "fuzz"), (5).to_bytes(8, "big"))
    return encode(seal_signed(KEYS.head, "storage/head", head.HeadBody(5, Instant(1), sealed)))


def _part(data: bytes) -> object:
    return head.unseal_part(KEYS, data)


def _part_of(padded: bytes) -> bytes:
    return bytes(12) + AESGCM(derive(KEYS.seal_key, "storage/catalog")).encrypt(bytes(12), padded, b"")


def _request(data: bytes) -> object:
    signed, rest = read_request(data, _SIZE)
    if encode(VaultRequest(signed, bytes(rest))) != data:
        raise AssertionError("a request that is not canonical was taken")
    return read_ask(signed, _SIZE)


def _answer(data: bytes) -> object:
    answer = read_answer(data, _SIZE)
    if encode(answer) != data:
        raise AssertionError("an answer that is not canonical was taken")
    return answer


def _judged(data: bytes) -> object:
    body = cast("ReceiptBody", decode(data, cast("Any", RECEIPT_BODY), size_max=_SIZE))
    return judge_proof(body, data, Prove(_SHARE.root, bytes(16), 3), LEASE, len(_SHARE.raw))


def _block(data: bytes) -> object:
    proof = decode(data, Proof, size_max=_SIZE)
    return verify_block(_SHARE.root, len(_SHARE.raw), proof.block_index, proof.block, proof.path)


def _shares(data: bytes) -> object:
    """Decode from shares by index, as many and as long as the bytes say."""
    cut = [data[i : i + 18] for i in range(0, len(data), 18)]
    return erasure.decode({piece[0]: piece[2:] for piece in cut if piece}, 2, 5, 32)


_PACK: Final = SUITE.encrypt(PACK_KEY, KEYS.hpke_public, pack_info(KEYS.vault_id)) + seal_rest(
    PACK_KEY, KEYS.vault_id, pieces(), SHARE_SIZE
)
_INDEX: Final = encode(open_pack(_PACK, KEYS).index)
_SHARE: Final = make_share(KEYS.vault_id, PACK, 1, (2, 5), bytes(range(256)) * 80, MASK)


@cache
def samples() -> tuple[Sample, ...]:
    """Return one of each format."""
    return (*_formats(), *_asks(), *_answers())


def _formats() -> Iterator[Sample]:
    signed = seal_snapshot(KEYS, snapshot())
    lines = b"".join(len(line).to_bytes(4, "big") + line for line in catalog_lines())
    placed = head.PlacedPack(PACK, "data", 2, 5, SHARE_SIZE, (head.PlacedShare(1, NODE, LEASE, _SHARE.root),))
    plain = encode(head.HeadPlain(0, 7, (placed, placed), (head.NodeAddress(NODE, "host", 4773),)))
    file = encode(head.CatalogFile(_export(lines), (placed,), (signed,)))
    yield Sample("share", _SHARE.raw, _share)
    yield Sample("share, digested again", _SHARE.raw, _share, _digested)
    yield Sample("pack", _PACK, _pack)
    yield Sample("index in a pack", _INDEX, _pack, _pack_with)
    yield Sample("chunk in a pack", pieces()[2].packed, _pack, _chunk_swapped)
    yield Sample("node", encode(node()), decode_node)
    yield Sample("entry", encode(Directory(b"d", node().entries[0].attributes, EMPTY)), decode_entry)
    yield Sample("content", encode(Content(0, (IDS.meta(b"x"),))), _directory)
    yield Sample("fold", encode(Fold((IDS.meta(b"x"), IDS.meta(b"y")))), partial(decode, kind=Fold, size_max=_SIZE))
    yield Sample("snapshot", encode(signed), _snapshot)
    yield Sample("snapshot, signed again", signed.body, _snapshot, partial(_resigned, "snapshot"))
    yield Sample("export", _export(lines), partial(parse_export, size_max=_SIZE))
    yield Sample("lines in an export", lines, partial(parse_export, size_max=_SIZE), _export)
    yield Sample("head", _head_of(plain), _head)
    yield Sample("inside a head", plain, _head, _head_of)
    yield Sample("catalog part", head.seal_part(KEYS, b"text", 4096), _part)
    yield Sample("inside a catalog part", (4).to_bytes(4, "big") + b"text" * 50, _part, _part_of)
    yield Sample("catalog file", file, partial(decode, kind=head.CatalogFile, size_max=_SIZE))
    yield Sample("listing", encode((Known(b"f", (1, 2, 3, 4), encode(node().entries[3])),)), decode_listing)
    pieces_ = erasure.encode(CHUNKS[2][:32], 2, 5)
    yield Sample("shares to decode", b"".join(bytes([i, 0]) + pieces_[i] for i in (1, 3, 4)), _shares)


def _asks() -> Iterator[Sample]:
    digest = Hash(blake3(b"data").digest())
    kept = decode(_head_of(b"x"), Signed, size_max=_SIZE)
    deeds = {"allocate": Allocate(_SHARE.root, 9), "write": Write(_SHARE.root, 0, digest), "head": PutHead(kept)}
    for name, deed in (
        deeds
        | {
            "commit": Commit(_SHARE.root),
            "prove": Prove(_SHARE.root, bytes(16), 3),
            "place": Place(_SHARE.root, bytes(16), 3),
        }
    ).items():
        ask = Ask(NODE, LEASE, Instant(5), bytes(16), deed)
        made = encode(VaultRequest(seal_signed(KEYS.signing, "storage/ask", ask), b"data"))
        yield Sample(f"ask to {name}", made, _request)

        def again(data: bytes) -> bytes:
            return encode(VaultRequest(decode(_resigned("storage/ask", data), Signed, size_max=_SIZE), b""))

        yield Sample(f"ask to {name}, signed again", encode(ask), _request, again)


def _answers() -> Iterator[Sample]:
    tree, nonce = Tree(_SHARE.raw), bytes(16)
    block = _SHARE.raw[3 * 4096 : 4 * 4096]
    proof = Proof(LEASE, _SHARE.root, nonce, 3, Instant(5), block, tree.path(3))
    held = Held(LEASE, _SHARE.root, len(_SHARE.raw), Instant(5))
    answers: dict[str, Any] = {
        "allocated": Allocated(committed=False, have=((0, 5), (7, 9))),
        "data": Data(b"data"),
        "long data": Data(bytes(2**16)),
        "placed": Placed(*(seal_signed(KEYS.signing, "storage/receipt", said) for said in (held, proof))),
        "listing": Listing((Entry(_SHARE.root, 9, committed=True),), 9, more=False),
        "receipt": Receipt(seal_signed(KEYS.signing, "storage/receipt", held)),
        "refusal": Refusal(Reason.BUSY, "later"),
    }
    for name, answer in answers.items():
        yield Sample(f"answer {name}", encode(answer), _answer)
    yield Sample("proof", encode(proof), _judged)
    yield Sample("block", encode(proof), _block)
    yield Sample("held", encode(held), _judged)
    yield Sample("no proof", encode(NoProof(LEASE, _SHARE.root, nonce, Instant(5))), _judged)


def one(seed: str, number: int, told: Told) -> None:
    """Mutate and read one message; note what must not be."""
    luck, all_ = random.Random(f"{seed}/{number}"), samples()
    sample = all_[number % len(all_)]
    data = mutate(sample.data, luck, all_)
    if sample.resign is not None:
        sealed_last = luck.randrange(SIGNED) != 0
        data = sample.resign(data) if sealed_last else mutate(sample.resign(sample.data), luck, all_)
    told.messages += 1
    try:
        value = outcome(sample.read, data)
        told.values[sample.name] += value is not None
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        told.faults.append(f"--seed {seed} --first {number}: {sample.name}: {type(error).__name__} {error}")


campaign = partial(fuzzing.campaign, one)


def main() -> int:
    """Run the campaign; 0 only when every message gave a value or Malformed."""
    return fuzzing.command("storage", __doc__, one, lambda _: {"formats": len(samples())})


if __name__ == "__main__":
    sys.exit(main())
