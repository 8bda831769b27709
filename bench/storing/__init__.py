"""The parts of ``python -m bench storage``: the data, this engine, and its rivals restic and Tahoe-LAFS."""
