"""The heads of a mint: made once an epoch, served with paths into their trees, and those of others kept.

``epochs`` reads what a head says from the mint's tables, ``rows`` keeps heads, ``herald`` is the service. What a head
means is in ``mint.proofs.heads``.
"""
