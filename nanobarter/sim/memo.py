"""Signatures that are made and checked once per process: all people of a world share one memory for them.

Ed25519 is deterministic and checking is a pure question, so nothing changes but the time that it takes; more than
half of a run would go by in checking the same approvals again at every node.
"""

from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from nanobarter.core import item, keys
from nanobarter.core.ids import Signature
from nanobarter.core.keys import SigningKey
from nanobarter.mint import authority

REMEMBERED: Final = 1 << 15  # about 30 runs, at up to 2 KB each


@contextmanager
def remembered_signatures() -> Generator[None]:
    """Let signing and checking be remembered while this lasts."""
    verify, sign = keys.verify, SigningKey.sign
    checked = lru_cache(REMEMBERED)(verify)

    @lru_cache(REMEMBERED)
    def signed(secret: bytes, domain: str, body: bytes) -> Signature:
        return sign(SigningKey(secret), domain, body)

    def sign_once(self: SigningKey, domain: str, body: bytes) -> Signature:
        return signed(self.secret, domain, body)

    keys.verify = item.verify = authority.verify = checked
    SigningKey.sign = sign_once
    try:
        yield
    finally:
        keys.verify = item.verify = authority.verify = verify
        SigningKey.sign = sign
