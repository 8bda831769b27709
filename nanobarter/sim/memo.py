"""Signatures that are made and checked once per process: all people of a world share one memory for them.

Ed25519 is deterministic, and what was signed here verifies; so nothing changes but the time that it takes. More than
half of a run would go by in checking the same approvals again at every node. Notes are checked once each.
"""

from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from nanobarter.core import item, keys
from nanobarter.core.ids import KeysetId, PublicKey, Signature
from nanobarter.core.keys import SigningKey
from nanobarter.mint import authority
from nanobarter.mint.messages import Note
from nanobarter.mint.notes import Keyset

REMEMBERED: Final = 1 << 14  # a few dozen runs, at up to 2 KB each


@contextmanager
def remembered_signatures() -> Generator[None]:
    """Let signing and checking be remembered while this lasts."""
    verify, sign, verify_note = keys.verify, SigningKey.sign, authority.verify_note
    made = dict[tuple[PublicKey, str, bytes], Signature]()

    def sign_once(self: SigningKey, domain: str, body: bytes) -> Signature:
        name = (self.public, domain, body)
        known = made.get(name)
        if known is None:
            if len(made) >= REMEMBERED:
                made.clear()
            known = made[name] = sign(self, domain, body)
        return known

    def verify_once(key: PublicKey, domain: str, body: bytes, signature: Signature) -> bool:
        return made.get((key, domain, body)) == signature or verify_other(key, domain, body, signature)

    verify_other = lru_cache(REMEMBERED)(verify)  # what was signed elsewhere, or never

    checked = dict[tuple[Note, KeysetId], bool]()

    def note_once(note: Note, keyset: Keyset) -> bool:
        name = (note, keyset.keyset_id)
        if name not in checked:
            checked[name] = verify_note(note, keyset)
        return checked[name]

    keys.verify = item.verify = authority.verify = verify_once
    SigningKey.sign = sign_once
    authority.verify_note = note_once
    try:
        yield
    finally:
        keys.verify = item.verify = authority.verify = verify
        SigningKey.sign = sign
        authority.verify_note = verify_note
