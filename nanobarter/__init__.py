"""nanobarter: back up folders on other people's disks, paid for with space on one's own.

The packages stand in layers; imports go down only (docs/architecture.md, held by import-linter).
Read ``core`` first, then the package of the part that interests you.
"""

__version__ = "0.1.0"
