"""Where a node listens: a host (name or number) and a TCP port."""

import ipaddress
import re
from typing import Annotated

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.errors import UsageError

_PORT_MAX = 65535
_HOST = r"^[A-Za-z0-9._:%-]+\Z"  # numbers, and names in their ASCII form; strangers' records are resolved too
HOST_MAX = 253  # RFC 1035: the longest name in the DNS


class Address(Record, frozen=True, order=True):
    """One place to dial. Port 0 means "any free port" and is only for listening."""

    host: Annotated[str, Meta(min_length=1, max_length=HOST_MAX, pattern=_HOST)]
    port: Annotated[int, Meta(ge=0, le=_PORT_MAX)]

    def show(self) -> str:
        """Return ``host:port``, with brackets around an IPv6 number as in RFC 3986."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Whether this means "every interface", which nobody can dial."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def parse_address(text: str) -> Address:
    """Return the address that ``host:port`` or ``[v6]:port`` names. Raises UsageError, naming the text."""
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"{text!r} is not an address", hint="put brackets around an IPv6 number: [::1]:7070")
    numeric = port.isascii() and port.isdigit() and int(port) <= _PORT_MAX
    if not colon or not numeric or len(host) > HOST_MAX or re.match(_HOST, host) is None:
        raise UsageError(f"{text!r} is not an address", hint="write it like 192.0.2.1:7070 or example.org:7070")
    return Address(host, int(port))


def is_loopback(host: str) -> bool:
    """Tell whether a numeric host is this machine itself."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def public_host(host: str) -> str:
    """Return a numeric host that the whole internet knows; nothing for a name, and for one of a private network."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return ""
    number = number.ipv4_mapped or number if isinstance(number, ipaddress.IPv6Address) else number
    return str(number) if number.is_global else ""
