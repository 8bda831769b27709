"""What really lies on the peers' disks, beside what the owner counts on: read from the files themselves."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from nanobarter.core.ids import NodeId, show_node
from nanobarter.storage.share import Tree
from tests.e2e.village import Machine

Holders = dict[str, set[str]]
"""By pack, in hex: the nodes."""


def _placements(owner: Machine) -> list[tuple[str, bytes, bytes, bytes, str, int, int | None]]:
    with closing(sqlite3.connect(f"file:{owner.home.state_path}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT hex(pack_id), node, lease_id, root, state, last_proof_at, silent_since FROM storage_placements "
            "JOIN storage_placed_packs USING (pack_id) WHERE given_up = 0"
        )
        return rows.fetchall()


def _packs(owner: Machine) -> list[str]:
    with closing(sqlite3.connect(f"file:{owner.home.state_path}?mode=ro", uri=True)) as db:
        return [row[0] for row in db.execute("SELECT hex(pack_id) FROM storage_placed_packs WHERE given_up = 0")]


def proven(owner: Machine) -> Holders:
    """Return the peers whose shares the owner counts on, and who are not known to be silent."""

    found = {pack: set[str]() for pack in _packs(owner)}
    for pack, node, _, _, state, at, silent in _placements(owner):
        if state == "held" and at and silent is None:
            found[pack].add(show_node(NodeId(node)))
    return found


def whole(owner: Machine, peers: list[Machine]) -> Holders:
    """Return the peers who run and have a share of each pack, whole, as the owner named it."""

    found, by_node = defaultdict[str, set[str]](set), {peer.node: peer for peer in peers}
    for pack in _packs(owner):
        found[pack] = set()
    for pack, node, lease, root, state, _, _ in _placements(owner):
        name = show_node(NodeId(node))
        peer = by_node.get(name)
        if state == "held" and peer is not None and is_awake(peer):
            path = peer.home.vault_path / lease.hex() / root.hex()
            if path.exists() and Tree(path.read_bytes()).root == root:
                found[pack].add(name)
    return found


def is_awake(machine: Machine) -> bool:
    """Tell whether a daemon runs and is not stopped."""
    pid = machine.home.running_pid()
    try:
        text = Path(f"/proc/{pid}/stat").read_text() if pid else ""
    except OSError:
        return False
    return bool(text) and text.rpartition(")")[2].split()[0] != "T"


def shares_of(machine: Machine) -> list[Path]:
    """Return the files of shares in a vault, the largest first."""
    found = [path for path in machine.home.vault_path.rglob("*") if path.is_file() and not path.name.endswith(".part")]
    return sorted(found, key=lambda path: (-path.stat().st_size, path))
