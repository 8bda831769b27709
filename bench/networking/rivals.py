"""Others' libraries measured beside ours, each in an environment of its own that is made for the occasion.

When one cannot be made or run, its figures are null and the note has the reason.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figure import Figure

_HERE = Path(__file__).parent
_SECONDS = 420
_PREFERRED = "--prefer-binary"  # what has no wheel is built, if the machine has a compiler


def libp2p(*, quick: bool) -> Iterator[Figure]:
    """Measure py-libp2p: bulk over one stream, and echoes on 32."""
    sizes = (64 * 1024 * 1024, 5)
    note = f"py-libp2p 0.8.1 beside, {sizes[0] >> 20} MiB over one stream, echoes for {sizes[1]} s on 32 open streams"
    told = _skipped(quick=quick) or measure("libp2p==0.8.1", "libp2p_rival.py", *map(str, sizes))
    for name, key, unit in (
        ("net.bulk_mb_s.libp2p", "bulk_mb_s", "MB/s"),
        ("net.rpc_per_s_32.libp2p", "rpc_per_s", "1/s"),
        ("net.rpc_p99_ms_32.libp2p", "rpc_p99_ms", "ms"),
    ):
        yield Figure(name, told.get(key), unit, told.get("note", note))


def kademlia(nodes: int, tries: int, dead: float, *, quick: bool) -> Iterator[Figure]:
    """Measure kademlia under the conditions of ``table``; most of its minutes it waits."""
    told = _skipped(quick=quick) or measure("kademlia==2.2.3", "kademlia_rival.py", str(nodes), str(tries), str(dead))
    for name, key, unit in (
        ("dht.lookup_p50_ms_30dead.kademlia", "lookup_p50_ms", "ms"),
        ("dht.publish_p50_s_30dead.kademlia", "publish_p50_s", "s"),
    ):
        yield Figure(name, told.get(key), unit, told.get("note", ""))


def measure(package: str, script: str, *words: str) -> dict[str, Any]:
    """Run a script of this folder where only the package is; return its last line, or a ``note`` why there is none."""
    with tempfile.TemporaryDirectory(prefix="nanobarter-bench-") as folder:
        python = Path(folder) / "env" / "bin" / "python"
        steps = (
            [sys.executable, "-m", "venv", str(python.parent.parent)],
            [str(python), "-m", "pip", "install", "--quiet", _PREFERRED, package],
            [str(python), str(_HERE / script), *words],
        )
        said = ""
        for step in steps:
            try:
                done = subprocess.run(step, capture_output=True, text=True, timeout=_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                return {"note": f"could not be run: {error}"[:300]}
            if done.returncode:
                return {"note": f"could not be run: {' '.join(step[:4])}: {done.stderr.strip()[-250:]}"}
            said = done.stdout
    return json.loads(said.splitlines()[-1])


def _skipped(*, quick: bool) -> dict[str, Any]:
    return {"note": "left out by --quick: it takes minutes"} if quick else {}
