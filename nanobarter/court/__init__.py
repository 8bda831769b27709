"""What anyone's signed words prove against them: one kind of proof for all parts of the house, and one judge.

``proofs`` is pure: bytes in, a verdict out. It stands above the mint, the swap and the storage, which each know what
their own statements mean.
"""
