"""TLS connections between pinned peers, RPC and streams over them, and how peers find each other.

A node is named by the hash of its key; nothing here needs an authority or an introducer. Read ``network`` (what the
services use) first, then ``handshake``, ``connection`` and ``doors``; docs/spec/network.md has the bytes. ``memory``
keeps the same promises inside one process. ``reach`` has the ways past home routers: neighbours by beacon, a
forwarded port (PCP, NAT-PMP), a proxy, reverse dial, TCP simultaneous open and relays through common peers. Not here:
UPnP, for the reasons in docs/decisions/0013-no-upnp.md.
"""
