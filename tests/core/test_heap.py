"""Memory that one thread frees must serve the next: a backup would hold nearly twice what it needs."""

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import sys, threading
from pathlib import Path
from nanobarter.core.heap import share_heap
assert sys.argv[1] == "apart" or share_heap()
gate = threading.Barrier(9)

def work() -> None:
    blocks = [bytes(5_000) for _ in range(100)]
    gate.wait()
    gate.wait()

for _ in range(8):
    threading.Thread(target=work).start()
gate.wait()
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmSize:")))
gate.wait()
"""


def _reserved_kib(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other heaps")
def test_threads_reserve_no_heaps_of_their_own() -> None:
    # glibc reserves 64 MiB of addresses, or twice that while it aligns them, for the heap of each thread.
    assert _reserved_kib("apart") - _reserved_kib("shared") > 4 * 64 * 1024
