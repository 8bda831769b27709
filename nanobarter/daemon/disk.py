"""What a node has promised of its disk, and what the disk really has."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nanobarter.core.units import MIB, show_size

if TYPE_CHECKING:
    from nanobarter.daemon.services import Node


def lent_left(node: "Node") -> int:
    """Return the bytes that are lent, or promised by notes, and not filled yet."""
    return max(lent(node) - stored(node), 0)


def lent(node: "Node") -> int:
    """Return the bytes that are lent, or promised by notes."""
    return sum(c.outstanding + c.locked + c.leased for c in node.mint.capacity()) * MIB


def room(node: "Node") -> int:
    """Return how many MiB more of the disk may be promised."""
    return max(0, node.diary.room(lent(node)) // MIB)


def offered_left(node: "Node") -> int:
    """Return the bytes of the offer that nobody has filled yet."""
    return max(node.config.offer.space_bytes - stored(node), 0)


def stored(node: "Node") -> int:
    """Return the bytes that are kept for others."""
    return sum(node.vault.used_bytes(contract.lease_id) for contract in node.mint.leases())


def too_little(free: int, offered: int, lent: int) -> str:
    """Return what to tell when the disk could not hold what is still to come: of the offer, or of what is lent."""
    if free < lent:
        return f"the disk has {show_size(free)} free, and {show_size(lent)} that you promised may still be filled"
    if free < offered:
        return f"the disk has {show_size(free)} free, and {show_size(offered)} of your offer may still be filled"
    return ""


def disk_free(path: Path) -> int:
    """Return what is free on the disk of a folder, which need not be there yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free
