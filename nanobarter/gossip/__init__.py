"""Spreading signed, expiring items to all nodes; it never looks inside a payload.

An item is checked, kept, told to subscribers and passed on; a node that connects compares digests with its peer
and fetches what it lacks. Read ``held`` (which version wins) first, then ``service``. Not here yet: a mesh with
scores and grafting, and range-based reconciliation; today's digests are 256 fixed ranges.
"""
