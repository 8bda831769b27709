"""What a mint's own signatures prove against it, for anyone who looks: records, and pure functions that judge them.

Read ``heads`` and ``tree`` for what a mint signs about itself each epoch, ``records`` for the proofs, ``verify`` for
the one function that judges them. docs/spec/mint.md says what is provable and what is not.
"""
