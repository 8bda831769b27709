"""TLS connections between pinned peers, RPC and streams over them, and how peers find each other.

A node is named by the hash of its key; nothing here needs an authority or an introducer. Read ``network`` (what the
services use) first, then ``handshake``, ``connection`` and ``doors``; docs/spec/network.md has the bytes. ``memory``
keeps the same promises inside one process. Not here yet: a distributed hash table for node records, ways through
home routers (IPv6 pinholes, port mapping, relays), and a beacon on the local network.
"""
