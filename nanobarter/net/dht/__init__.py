"""A signed distributed hash table: small records of nodes that cannot be reached otherwise, found by their key.

It is one more way to find a node's addresses and a vault's holders, never the only one. Routing is kademlia's
(``table``); everything on the wire is ours, since what the package sends can be forged by anyone: ``wire`` is the
datagram, ``records`` what is stored, ``lookup`` decides whom to ask next, ``service`` does the asking over a
``Datagrams`` port (``udp``, or ``memory`` in tests). Bytes: docs/spec/dht.md.
"""
