"""Parts of the area ``network``: ``idle``, ``spread`` (gossip, comparing), ``table`` (the hash table), ``rivals``."""
