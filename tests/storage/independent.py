"""A restore program written from docs/spec alone: ``python -m tests.storage.independent PHRASE_FILE TARGET VAULT...``

It imports nothing of nanobarter, so that it shows whether the pages say enough. Given the recovery phrase and some
peers' vault folders (any files in them, at any depth) it puts the packs together, finds the newest snapshot and writes
it to a folder. It is simple and slow, holds everything in memory, and does the sums of the erasure code byte by byte.
"""

import hashlib
import hmac
import os
import stat
import sys
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEADER: Final = 256
BLOCK: Final = 4096
SNAPSHOT: Final = 2

# -- keys


def seed_of(phrase: str) -> bytes:
    """BIP 39, without a passphrase."""
    words = unicodedata.normalize("NFKD", " ".join(phrase.split())).encode()
    return hashlib.pbkdf2_hmac("sha512", words, b"mnemonic", 2048)


def derive(secret: bytes, label: str, *context: bytes) -> bytes:
    parts = (b"nanobarter", label.encode(), *context)
    return hmac.digest(secret, b"".join(len(part).to_bytes(4, "big") + part for part in parts), "sha512")[:32]


class Keys:
    def __init__(self, seed: bytes) -> None:
        self.signing = Ed25519PrivateKey.from_private_bytes(derive(seed, "vault/signing")).public_key()
        self.head = Ed25519PrivateKey.from_private_bytes(derive(seed, "vault/head")).public_key()
        self.vault_id = hashlib.sha256(self.signing.public_bytes_raw()).digest()
        self.head_id = hashlib.sha256(self.head.public_bytes_raw()).digest()
        self.hpke = X25519PrivateKey.from_private_bytes(derive(seed, "vault/hpke"))
        self.seal = derive(seed, "vault/seal")
        self.mask = derive(self.seal, "storage/share-masks")
        self.data_ids = derive(seed, "vault/chunk-id")
        context = "nanobarter 2026 storage metadata chunk id"
        self.meta_ids = blake3(self.data_ids, derive_key_context=context).digest()


def opened(signed: list[Any], key: Ed25519PublicKey, domain: str) -> Any:
    """What a signed record holds."""
    body, public, signature = signed
    assert public == key.public_bytes_raw()
    key.verify(signature, b"nanobarter/" + domain.encode() + b"\0" + body)
    return msgspec.msgpack.decode(body)


# -- shares


def root_of(share: bytes) -> bytes:
    level = [blake3(b"\0" + share[at : at + BLOCK]).digest() for at in range(0, len(share), BLOCK)]
    while len(level) > 1:
        pairs = [blake3(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return blake3(b"\2" + len(share).to_bytes(8, "big") + level[0]).digest()


def read_share(raw: bytes, keys: Keys) -> tuple[bytes, int, int, int, bytes] | None:
    """Pack id, index, k, n and the piece; None for what is no share of this vault, or damaged."""
    if raw[:8] != b"nbshare1":
        return None
    record = raw[10 : 10 + int.from_bytes(raw[8:10], "big")]
    vault, pack, index, k, n, size, digest = msgspec.msgpack.decode(record)
    masked = raw[HEADER:]
    if vault != keys.vault_id or len(masked) != size or blake3(masked).digest() != digest:
        return None
    key = derive(keys.mask, "storage/share-mask", pack, bytes([index]))
    machine = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return pack, index, k, n, machine.update(masked)


# -- the erasure code: GF(2^8), polynomial 0x11d

_POWERS = [1]
while len(_POWERS) < 255:
    _POWERS.append(_POWERS[-1] << 1 ^ (0x11D if _POWERS[-1] & 128 else 0))
_LOGS = {power: at for at, power in enumerate(_POWERS)}


def times(a: int, b: int) -> int:
    return _POWERS[(_LOGS[a] + _LOGS[b]) % 255] if a and b else 0


def inverse(matrix: list[list[int]]) -> list[list[int]]:
    """Gauss and Jordan."""
    k = len(matrix)
    rows = [row[:] + [int(i == j) for j in range(k)] for i, row in enumerate(matrix)]
    for at in range(k):
        pivot = next(i for i in range(at, k) if rows[i][at])
        rows[at], rows[pivot] = rows[pivot], rows[at]
        factor = _POWERS[-_LOGS[rows[at][at]] % 255]
        rows[at] = [times(factor, x) for x in rows[at]]
        for i in range(k):
            if i != at and rows[i][at]:
                rows[i] = [x ^ times(rows[i][at], y) for x, y in zip(rows[i], rows[at], strict=True)]
    return [row[k:] for row in rows]


def product(a: list[list[int]], b: list[list[int]]) -> list[list[int]]:
    def cell(row: list[int], column: tuple[int, ...]) -> int:
        total = 0
        for x, y in zip(row, column, strict=True):
            total ^= times(x, y)
        return total

    return [[cell(row, column) for column in zip(*b, strict=True)] for row in a]


def coding(k: int, n: int) -> list[list[int]]:
    """The row of each share: the unit matrix, then the parity."""
    points = [0, *_POWERS[: n - 1]]
    vandermonde = [[1, *([0] * (k - 1))]] + [[_POWERS[_LOGS[x] * j % 255] for j in range(k)] for x in points[1:]]
    return product(vandermonde, inverse(vandermonde[:k]))


def decode(pieces: dict[int, bytes], k: int, n: int) -> bytes:
    if k == 1:
        return next(iter(pieces.values()))
    chosen = sorted(pieces)[:k]
    size, body = len(pieces[chosen[0]]), list[bytes]()
    for row in inverse([coding(k, n)[index] for index in chosen]):
        total = 0
        for factor, index in zip(row, chosen, strict=True):
            table = bytes(times(factor, x) for x in range(256))
            total ^= int.from_bytes(pieces[index].translate(table), "big")
        body.append(total.to_bytes(size, "big"))
    return b"".join(body)


def read_packs(folders: Iterable[Path], keys: Keys) -> dict[bytes, bytes]:
    """The bodies of all packs of which k shares are there."""
    found, codes = defaultdict[bytes, dict[int, bytes]](dict), dict[bytes, tuple[int, int]]()
    for folder in folders:
        for path in folder.rglob("*"):
            share = read_share(path.read_bytes(), keys) if path.is_file() else None
            if share is not None:
                pack, index, k, n, piece = share
                found[pack][index], codes[pack] = piece, (k, n)
    bodies = dict[bytes, bytes]()
    for pack, pieces in found.items():
        k, n = codes[pack]
        if len(pieces) >= k:
            bodies[pack] = decode(pieces, k, n)
            assert hashlib.sha256(bodies[pack]).digest() == pack
    return bodies


# -- packs


@dataclass
class Chunks:
    """Every chunk of every pack that opens, and the snapshots among them."""

    keys: Keys
    held: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    snapshots: list[Any] = field(default_factory=list[Any])

    def take(self, body: bytes) -> bool:
        suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
        info = b"nanobarter/pack/1\0" + self.keys.vault_id
        try:
            pack_key = AESGCM(suite.decrypt(body[:80], self.keys.hpke, info))
        except Exception:  # noqa: BLE001 - a pack of the catalog, which is sealed otherwise
            return False

        def seal(number: int, sealed: bytes) -> bytes:
            return pack_key.decrypt(number.to_bytes(12, "big"), sealed, None)

        at = 100 + int.from_bytes(seal(0, body[80:100]), "big") + 16
        version, vault, entries = msgspec.msgpack.decode(seal(1, body[100:at]))
        assert (version, vault) == (1, self.keys.vault_id)
        for number, (chunk_id, role, method, length, stored) in enumerate(entries):
            raw = seal(2 + number, body[at : at + stored + 16])
            at += stored + 16
            raw = zstandard.ZstdDecompressor().decompress(raw) if method else raw
            id_key = self.keys.meta_ids if role else self.keys.data_ids
            assert len(raw) == length
            assert blake3(raw, key=id_key).digest() == chunk_id
            self.held[chunk_id] = raw
            if role == SNAPSHOT:
                self.snapshots.append(opened(msgspec.msgpack.decode(raw), self.keys.signing, "snapshot"))
        return True

    def leaves(self, content: list[Any]) -> Iterator[bytes]:
        depth, ids = content
        for chunk_id in ids:
            if depth:
                yield from self.leaves([depth - 1, msgspec.msgpack.decode(self.held[chunk_id])[0]])
            else:
                yield self.held[chunk_id]


# -- heads and catalogs


def follow(head: bytes, keys: Keys, bodies: dict[bytes, bytes]) -> Any:
    """The catalog file to which a canonical Signed head leads: engine's catalog, packs, contracts, more."""
    sequence, _at, sealed = opened(msgspec.msgpack.decode(head), keys.head, "storage/head")
    key = AESGCM(derive(keys.seal, "storage/head"))
    framed = key.decrypt(sealed[:12], sealed[12:], sequence.to_bytes(8, "big"))
    plain = zlib.decompress(framed[8 : 8 + int.from_bytes(framed[:8], "big")])
    level, size, packs, _addresses = msgspec.msgpack.decode(plain)
    while True:
        text = b""
        for pack in packs:
            body = bodies[pack[0]]
            part = AESGCM(derive(keys.seal, "storage/catalog")).decrypt(body[:12], body[12:], b"")
            text += part[4 : 4 + int.from_bytes(part[:4], "big")]
        assert len(text) == size
        if not level:
            return msgspec.msgpack.decode(text)
        level, size, packs, _addresses = msgspec.msgpack.decode(text)


# -- folders


def write_tree(snapshot: Any, chunks: Chunks, target: bytes) -> None:
    """Write the only root of a snapshot as the target."""
    ((_path, entry),) = snapshot[5]
    _write(entry, target, chunks, {})


def _write(entry: list[Any], path: bytes, chunks: Chunks, links: dict[tuple[int, int], bytes]) -> None:
    kind, _name, attributes, *rest = entry
    if kind == "d":
        os.mkdir(path, 0o700)  # noqa: PTH102 - a path of bytes
        last = b""
        for node in chunks.leaves(rest[0]):
            for child in msgspec.msgpack.decode(node)[0]:
                assert child[1] > last
                assert child[1] not in (b".", b"..")
                assert not set(child[1]) & set(b"/\0")
                last = child[1]
                _write(child, path + b"/" + last, chunks, links)
    elif (link := rest[-1]) is not None and tuple(link) in links:
        os.link(links[tuple(link)], path, follow_symlinks=False)
        return
    elif kind == "f":
        _fill(path, rest[0], chunks.leaves(rest[1]), rest[2])
    elif kind == "l":
        os.symlink(rest[0], path)  # noqa: PTH211 - as above
    else:
        os.mknod(path, stat.S_IFBLK if rest[0] == "block" else stat.S_IFCHR, os.makedev(rest[1], rest[2]))
    if kind != "d" and rest[-1] is not None:
        links[tuple(rest[-1])] = path
    _dress(path, attributes, is_link=kind == "l")


def _fill(path: bytes, size: int, pieces: Iterator[bytes], holes: list[list[int]]) -> None:
    data, at = b"".join(pieces), 0
    with open(path, "xb") as file:  # noqa: PTH123 - a path of bytes
        for start, length in [*holes, [size, 0]]:
            room = start - file.tell()
            file.write(data[at : at + room])
            at += room
            file.seek(length, 1)
        file.truncate(size)
    assert at == len(data)


def _dress(path: bytes, attributes: list[Any], *, is_link: bool) -> None:
    mode, uid, gid, _user, _group, seconds, nanoseconds, xattrs = attributes
    if os.geteuid() == 0:
        os.chown(path, uid, gid, follow_symlinks=False)
    if not is_link:
        os.chmod(path, mode)  # noqa: PTH101 - as above
    for name, value in xattrs:
        os.setxattr(path, name, value, follow_symlinks=False)
    time = seconds * 10**9 + nanoseconds
    os.utime(path, ns=(time, time), follow_symlinks=False)


def restore(seed: bytes, vaults: Iterable[Path], target: Path) -> Chunks:
    """Bring the newest snapshot back; return what was read."""
    keys = Keys(seed)
    chunks = Chunks(keys)
    for body in read_packs(vaults, keys).values():
        chunks.take(body)
    newest = max(chunks.snapshots, key=lambda snapshot: snapshot[3])
    write_tree(newest, chunks, os.fsencode(target))
    return chunks


if __name__ == "__main__":
    restore(seed_of(Path(sys.argv[1]).read_text()), map(Path, sys.argv[3:]), Path(sys.argv[2]))
