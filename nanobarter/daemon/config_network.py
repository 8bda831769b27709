"""``[network]`` of config.toml: where this node listens, whom it asks first, and what of the line it may take."""

import re
from typing import Final, Literal

from nanobarter.core.hours import ALWAYS, Hours, parse_hours
from nanobarter.core.ids import NodeId, parse_node
from nanobarter.core.units import parse_size
from nanobarter.daemon.section import Section
from nanobarter.net.socks import parse_proxy

PORT_DEFAULT: Final = 4773
UNLIMITED: Final = "unlimited"
RATE_MIN: Final = 16 * 1024  # less would not bring one range of a share through while a peer waits for its answer

PeerPolicy = Literal["open", "only"]
RelayPolicy = Literal["off", "friends", "open"]


class Network(Section, frozen=True, kw_only=True):
    """``[network]``: where this node listens and whom it asks first."""

    listen: str = f"0.0.0.0:{PORT_DEFAULT}"
    bootstrap: tuple[str, ...] = ()
    advertise: tuple[str, ...] = ()
    peers: PeerPolicy = "open"
    friends: tuple[str, ...] = ()
    upload: str = UNLIMITED
    download: str = UNLIMITED
    limit_hours: str = ALWAYS
    lan: bool = True
    dht: bool = True
    map_port: bool = True
    proxy: str = ""
    relay: RelayPolicy = "friends"
    same_host_ok: bool = False

    @property
    def upload_rate(self) -> int | None:
        """The bytes per second that shares may take on their way out; None is no limit."""
        return parse_rate(self.upload)

    @property
    def download_rate(self) -> int | None:
        """The bytes per second that shares may take on their way in; None is no limit."""
        return parse_rate(self.download)

    @property
    def limited_hours(self) -> Hours:
        """In which hours of the day the limits hold."""
        return parse_hours(self.limit_hours)

    @property
    def advertised_addresses(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports that are told to others; empty means what this node finds out by itself."""
        return tuple(parse_host_port(text) for text in self.advertise)

    @property
    def friend_nodes(self) -> tuple[NodeId, ...]:
        """The ids of the friends by config; those by invitation are in the store."""
        return tuple(parse_node(text) for text in self.friends)

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port to bind; port 0 lets the system choose."""
        return parse_host_port(self.listen)

    @property
    def bootstrap_addresses(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports of nodes to dial at first."""
        return tuple(parse_host_port(text) for text in self.bootstrap)


def parse_rate(text: str) -> int | None:
    """Return the bytes per second of ``"2MiB/s"``, None for ``"unlimited"``. Raises ValueError, naming the text."""
    if text == UNLIMITED:
        return None
    try:
        rate = parse_size(text.removesuffix("/s")) if text.endswith("/s") else 0
    except ValueError:
        rate = 0
    if rate < RATE_MIN:
        raise ValueError(f'{text!r} is not a rate; write it like 2MiB/s, at least 16KiB/s, or "{UNLIMITED}"')
    return rate


def check_proxy(text: str) -> None:
    """Take the address of a SOCKS5 proxy, or nothing. Raises UsageError."""
    if text:
        parse_proxy(text)


def parse_host_port(text: str) -> tuple[str, int]:
    """Return the host and port of ``host:port`` or ``[ipv6]:port``. Raises ValueError, naming the text."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > 65535:  # noqa: PLR2004 - the last TCP port
        raise ValueError(f"{text!r} is not an address; write it like 192.0.2.7:{PORT_DEFAULT}")
    return found[1] or found[2], int(found[3])
