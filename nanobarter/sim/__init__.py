"""Worlds in virtual time: production decisions among bad luck and cheats, the same each time for the same seed.

Read ``world``, then ``seat`` and ``issuer``. What runs unchanged: the swap's ``step`` with its orders and tables, the
mint's authorisation, rules, operations and tables, the matcher. What is modelled: the network, the disk's time, and
the carrying of orders and pushes, which the daemon does in trio tasks. ``campaigns`` says what goes wrong, ``check``
what must never be. ``gossiping`` does the same for gossip: its machine runs unchanged in a ``crowd``.
"""
