"""What the mint costs, beside the raw parts that no mint can do without and beside nutshell, the Cashu mint.

CPU time is inflated by whatever else a machine does: the raw RSA private operation is measured before and after the
load, and the costs are told in such operations too. A swap of two notes for two needs two of them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from bench.figure import Figure
from bench.minting import parts, spent_set
from bench.minting.load import AT_ONCE, Load, run_load
from bench.minting.restoring import restore_cpu
from nanobarter.core.canonical import encode
from nanobarter.mint.notes import verify_note
from nanobarter.mint.rsa import libcrypto

_ROOT = Path(__file__).resolve().parents[1]


def figures(quick: bool) -> Iterator[Figure]:  # noqa: FBT001 - the signature that all areas share
    """Yield the mint's figures. The anchors are nutshell's, measured on another day on a quiet machine."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _operations(Path(folder), quick=quick)
        yield from _restore(Path(folder), 200 if quick else 1000)
    with tempfile.TemporaryDirectory() as folder:
        yield from _spent_set(Path(folder), 10**5 if quick else 10**7)
    yield from _kills(2 if quick else 50)


def _operations(folder: Path, *, quick: bool) -> Iterator[Figure]:
    count = 100 if quick else 1000
    before = parts.private_operation(300)
    load = trio.run(run_load, folder, count)
    after = parts.private_operation(300)
    gmp = (before[1] + after[1]) / 2
    fast = (before[0] + after[0]) / 2 if before[0] and after[0] else None
    raw = fast or gmp
    yield from _parts(folder, load, fast, gmp)
    told, one = f"{count} requests, {AT_ONCE} at once", "private RSA operations"
    swap, note = load.swap_cpu / count, load.issue_cpu / (2 * count)
    yield Figure("mint.swap_per_cpu_s", 1 / swap, "1/s", f"2 notes for 2, {told}", ("nutshell", 51))
    yield Figure("mint.swap_cost", swap / raw, one, "2 notes for 2; 2 cannot be saved")
    yield Figure("mint.issue_cpu_ms_per_note", note * 1000, "ms", told, ("nutshell", 6.5))
    yield Figure("mint.issue_cost", note / raw, one, "per note; 1 cannot be saved")
    yield Figure("mint.verify_per_cpu_s", 1 / _verify_cpu(load, 5 if quick else 20), "1/s", "", ("nutshell", 6500))
    yield Figure("mint.note_bytes", max(len(encode(n)) for n in load.notes), "bytes", "", ("nutshell", 220))


def _parts(folder: Path, load: Load, fast: float | None, gmp: float) -> Iterator[Figure]:
    pss, check, sign = parts.signature_checks(1000)
    note = "" if libcrypto() else "libcrypto does not load; the mint signs with GMP"
    yield Figure("raw.rsa_private_per_cpu_s", None if fast is None else 1 / fast, "1/s", note, ("GMP", 1 / gmp))
    yield Figure("raw.rsa_verify_per_cpu_s", 1 / pss, "1/s")
    yield Figure("raw.ed25519_verify_per_cpu_s", 1 / check, "1/s")
    yield Figure("raw.ed25519_sign_per_cpu_s", 1 / sign, "1/s")
    yield Figure("raw.codec_per_cpu_s", 1 / parts.codec(load.notes[0], 5000), "1/s", "a note to bytes and back")
    yield Figure("raw.sqlite_rows_per_cpu_s", 1 / parts.sqlite_rows(folder, 10_000), "1/s", "100 bytes, random keys")


def _verify_cpu(load: Load, rounds: int) -> float:
    started = time.process_time()
    good = sum(verify_note(note, load.keyset) for _ in range(rounds) for note in load.notes)
    spent = time.process_time() - started
    if good != rounds * len(load.notes):
        raise RuntimeError("a good note did not verify")
    return spent / good


def _restore(folder: Path, count: int) -> Iterator[Figure]:
    spent = trio.run(restore_cpu, folder, count) * 1000 / count
    yield Figure("mint.restore_1000_cpu_s", spent, "s", f"{count} notes, wallet and mint together")


def _spent_set(folder: Path, count: int) -> Iterator[Figure]:
    found, told = spent_set.measure(folder, count), f"of {count} spent notes"
    middle = len(found.fresh_us) // 2
    yield Figure("mint.spent_lookup_p50_us", found.fresh_us[middle], "us", f"of a note that is none {told}")
    yield Figure("mint.spent_lookup_p99_us", found.fresh_us[-len(found.fresh_us) // 100], "us", "the same")
    yield Figure("mint.spent_witness_p50_us", found.spent_us[len(found.spent_us) // 2], "us", f"of one {told}")
    yield Figure("mint.spent_row_bytes", found.row_bytes, "bytes", "on disk, with what random order leaves empty")
    yield Figure("mint.spent_witness_bytes", found.witness_bytes, "bytes", "beside it: who spent it, 64 of them signed")
    yield Figure("mint.retire_keyset_s", found.retire_s, "s", f"the writer is held, {told}")
    yield Figure("mint.reclaim_step_s", found.step_s, "s", "the longest of 20 steps of 10,000 rows, one per sweep")


def _kills(count: int) -> Iterator[Figure]:
    """Kill a real mint under its customers; the campaign is one of the tests, which an installation has not."""
    command = [sys.executable, "-m", "tests.e2e.mint_kills", "--runs", str(count), "--seed", "bench"]
    ended = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = ended.stdout.strip().splitlines()
    told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if told.get("type") != "mint_kills":
        yield Figure("mint.kill_wrong", None, "runs", f"the campaign did not run: exit {ended.returncode}")
        return
    what = f"of {told['kills']} kill -9: something lost, stuck or doubled"
    yield Figure("mint.kill_wrong", told["wrong"], "runs", what)
    yield Figure("mint.kill_in_flight", told["in_flight"], "operations", "on the line at the moments of the kills")
    refused = told["double_spends_refused_with_witness"]
    yield Figure("mint.kill_double_spends", refused, "refusals", "each with the witness that spent the note first")
