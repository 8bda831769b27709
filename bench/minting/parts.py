"""The raw parts that a mint's work is made of, measured in the same minute: what a figure is worth on this machine."""

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nanobarter.core.canonical import decode, encode
from nanobarter.core.keys import SigningKey, verify
from nanobarter.mint import blind
from nanobarter.mint.messages import Note
from nanobarter.mint.rsa import GmpyKey, LibcryptoKey, libcrypto, make_key

_MESSAGE = b"a note's message, about as long as they are: sixty-odd bytes......"


def cpu_of(work: Callable[[], object], count: int) -> float:
    """Return the CPU-seconds of one call, over ``count`` calls after a first one."""
    work()
    started = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - started) / count


def private_operation(count: int) -> tuple[float | None, float]:
    """Return the CPU-seconds of one RSA-2048 private operation: through libcrypto (None: not here), and in GMP."""
    der = make_key()
    other = GmpyKey(der)
    operand = (other.modulus >> 1).to_bytes(256, "big")
    slow = cpu_of(partial(other.private, operand), count // 3)
    if libcrypto() is None:
        return None, slow
    return cpu_of(partial(LibcryptoKey(der).private, operand), count), slow


def signature_checks(count: int) -> tuple[float, float, float]:
    """Return the CPU-seconds of an RSA-PSS check, an Ed25519 check and an Ed25519 signature, without a mint around."""
    der = make_key()
    key, node = GmpyKey(der), SigningKey(bytes(32))
    made = blind.blind(blind.PSS_DETERMINISTIC, key.modulus, _MESSAGE, salt=bytes(48), factor=65539)
    signed = blind.blind_sign(key, made.message)
    whole = blind.finalize(blind.PSS_DETERMINISTIC, key.modulus, _MESSAGE, signed, made.inverse)
    signature = node.sign("bench", _MESSAGE)
    return (
        cpu_of(partial(blind.verify, blind.PSS_DETERMINISTIC, key.modulus, _MESSAGE, whole), count),
        cpu_of(partial(verify, node.public, "bench", _MESSAGE, signature), count),
        cpu_of(partial(node.sign, "bench", _MESSAGE), count),
    )


def codec(note: Note, count: int) -> float:
    """Return the CPU-seconds of encoding and strictly decoding one note."""
    return cpu_of(lambda: decode(encode(note), Note, size_max=1000), count)


def sqlite_rows(folder: Path, count: int) -> float:
    """Return the CPU-seconds of inserting one row of 100 bytes under a random key, committed in hundreds."""
    db = sqlite3.connect(folder / "rows", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")
    started = time.process_time()
    for _ in range(count // 100):
        db.execute("BEGIN")
        for _ in range(100):
            db.execute("INSERT INTO t VALUES (randomblob(32), zeroblob(68))")
        db.execute("COMMIT")
    spent = time.process_time() - started
    db.close()
    return spent / (count // 100 * 100)
