"""Notes I issue: keysets, blind signatures, locks, leases, and the law that ties them to my pledged space.

Not here: notes that I hold (``wallet``), the multi-party protocol (``swap``), and the bytes kept under a lease
(``storage``). Read ``messages`` first, then ``rules``.
"""
