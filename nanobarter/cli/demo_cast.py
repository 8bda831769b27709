"""Who plays in the demo, and the config of each: short times, and wants that make one agreement need three partners."""

from pathlib import Path
from typing import Final

from nanobarter.core.units import MIB, LeaseKind
from nanobarter.daemon.config import Audit, Backup, Config, Market, Offer, Swap
from nanobarter.daemon.config_network import Network
from nanobarter.translator.plan import Plan

_PEERS: Final = ("bruno", "cleo", "dara", "emil", "fatima", "goran", "hana", "ivo", "jun", "kofi", "lena", "mei")
KIND: Final = LeaseKind("30d")
SWAP: Final = Swap(approve="5s", lock="10s", vote="15s", delta="15s")
AUDIT: Final = Audit(period="20s", grace="10min")
BID_SPAN: Final = "5min"
_STOCK: Final = 4


def name_of(index: int) -> str:
    """Return what the peer of an index, from 0, is called."""
    return _PEERS[index] if index < len(_PEERS) else f"peer{index + 1}"


def _size(mib: int) -> str:
    return f"{max(mib, 64)}MiB"


def owner_config(folder: Path, plan: Plan, address: str, bootstrap: tuple[str, ...]) -> Config:
    """Return the config of the node whose folder is kept: she lends twice what the plan needs."""
    return Config(
        backup=Backup(folders=(str(folder),)),
        offer=Offer(space=_size(2 * plan.lent), kinds=(KIND,)),
        market=Market(bid_span=BID_SPAN),
        network=Network(listen=address, bootstrap=bootstrap, same_host_ok=True),
        swap=SWAP,
        audit=AUDIT,
    )


def peer_config(plan: Plan, address: str, bootstrap: tuple[str, ...], wants: str) -> Config:
    """Return the config of a peer that lends space for a stock of another's notes.

    A stock of many times the owner's need at one issuer: bruno gives notes in his own swap and in every ring.
    """
    reserve = _STOCK * plan.per_issuer * MIB
    return Config(
        offer=Offer(space=_size(2 * _STOCK * plan.per_issuer), kinds=(KIND,)),
        market=Market(reserve=str(reserve), wants=(wants,), bid_span=BID_SPAN),
        network=Network(listen=address, bootstrap=bootstrap, same_host_ok=True),
        swap=SWAP,
        audit=AUDIT,
    )
