"""The words that every other package speaks: units, ids, keys, canonical bytes, errors, limits, ports.

Not here: anything that knows what a mint, a bid or a share is. Read ``units``, ``ids`` and ``errors`` first.
"""
