"""A daemon that keeps nothing and says that it does: ``python -m tests.e2e.liar --home DIR``.

It is the real one in everything but proofs: to each challenge it signs a block that it has made up, with a path as
long as a true one.
"""

import sys
from typing import Any, cast

from nanobarter.daemon.main import main
from nanobarter.storage.share import BLOCK_BYTES, block_count
from nanobarter.storage.vault import Vault
from nanobarter.storage.vault_messages import Proof, Prove
from nanobarter.storage.vault_rows import Entry, Lease
from nanobarter.storage.vault_uploads import find_entry


async def lie(self: Any, lease: Lease, deed: Prove) -> object:
    """Answer every challenge with confidence."""
    entry = find_entry(self._store, lease, deed.share)
    size = entry.size if isinstance(entry, Entry) else BLOCK_BYTES
    block = deed.nonce * (min(BLOCK_BYTES, size - deed.block_index * BLOCK_BYTES) // len(deed.nonce))
    path = tuple(deed.share for _ in range((block_count(size) - 1).bit_length()))
    now = self._clock.now()
    return self._receipt(Proof(lease.lease_id, deed.share, deed.nonce, deed.block_index, now, block, path))


if __name__ == "__main__":
    cast("Any", Vault)._prove = lie
    sys.exit(main())
