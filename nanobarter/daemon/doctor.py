"""``nbctl doctor`` on the daemon's side: gathers the facts of a running node and tells what the diagnosis says."""

import resource
import shutil
import socket
import stat

import trio

from nanobarter.daemon.diagnosis import Facts, diagnose
from nanobarter.daemon.disk import lent_left
from nanobarter.daemon.facade_doctor import Doctor, doctor_of
from nanobarter.daemon.services import Node
from nanobarter.translator.ledger_audit import audit, differences

_SOME_IPV6 = ("2001:db8::1", 9)  # any address beyond this network: the kernel is asked for a route, nothing is sent

_BOOKED_WITHIN = 2.0  # seconds: what happens just now is booked a moment later


async def examine(node: Node, listening: str) -> Doctor:
    """Look at a running node; takes some seconds while peers dial back."""
    network, config = node.network, node.config.network
    said = tuple(await network.check_up())
    disk = await trio.to_thread.run_sync(shutil.disk_usage, node.home.path)
    bad, off = await _ledger(node)
    facts = Facts(
        connected=len(network.connected()),
        known=len(network.known()),
        bootstrap=len(config.bootstrap),
        listening=listening,
        addresses=tuple(address.show() for address in network.own_addresses()),
        said=said,
        has_ipv6=has_ipv6(),
        friends_only=network.circle.only,
        friends=len(network.circle.friends),
        same_host=config.same_host_ok,
        disk_free_bytes=disk.free,
        promised_left_bytes=lent_left(node),
        fd_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        connections_max=node.limits.connections_max,
        paths=tuple(peer.path for peer in network.known() if peer.connected),
        seed_mode=stat.S_IMODE(node.home.seed_path.stat().st_mode),
        ledger_bad=bad,
        ledger_off=off,
    )
    return doctor_of(diagnose(facts), daemon=True)


async def _ledger(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which entries cannot be right, and where the ledger differs from what it tells of, for longer than now."""
    bad = await node.store.read(audit)
    off = await node.store.read(differences)
    if off:
        await trio.sleep(_BOOKED_WITHIN)
        again = await node.store.read(differences)
        off = [line for line in off if line in again]
    return tuple(each.told for each in bad), tuple(off)


def has_ipv6() -> bool:
    """Tell whether this machine has a way into the IPv6 internet."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(_SOME_IPV6)
    except OSError:
        return False
    return True
