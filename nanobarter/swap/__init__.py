"""From a match to exchanged notes, all parties or none: RING-COMMIT.

Not here: finding matches (``matching``) and the rules of the locks (``mint``). Read ``machine`` first, then ``states``.
"""
