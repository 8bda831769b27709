"""Spreading signed, expiring items to all nodes; it never looks inside a payload.

An item is checked, kept, told to subscribers and passed on in a mesh of a few peers; its name goes to some more; and
nodes that meet compare what they hold and trade what differs. Read ``machine`` (what one node does) first, then
``held`` (which version wins), ``mesh`` and ``scores`` (who passes on to whom), ``reconcile`` (comparing). ``service``
is all of that on a network. Not here: what items mean, and who is worth trading with.
"""
