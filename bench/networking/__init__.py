"""Parts of the area ``network``: ``spread`` (gossip, comparing) and ``table`` (the hash table, kademlia beside it)."""
