"""Notes that I hold: choose, reserve, lock, take, redeem, refresh, and hand on as text.

Not here: notes that I issue (``mint``), the protocol that a lock is a leg of (``swap``), and the bytes kept under a
lease (``storage``). Read ``choice`` and ``secrets`` first, then ``service``.
"""
