"""Notes as one line of text, to be handed from person to person: whoever has the line may spend them.

``nbn1`` and the base64url form of a 4-byte checksum and the canonical bytes of issuer, notes and their secrets.
Base64url instead of bech32m, since a payment of twenty notes is 7 kB, beyond what bech32m's checksum covers; the
checksum is the first bytes of SHA-256 over the rest, and finds any slip but one in four milliards.
"""

import base64
import binascii
from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, UsageError
from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.keys import SigningKey
from nanobarter.core.units import Quantity
from nanobarter.mint.messages import NOTES_MAX, Note

_PREFIX: Final = "nbn1"
_CHECKSUM_BYTES: Final = 4
_BYTES_MAX: Final = 64 * 1024  # 64 notes of about 345 bytes fit twice

Secret = Annotated[bytes, Meta(min_length=32, max_length=32)]


class NoteToken(Record, frozen=True):
    """Notes of one issuer with the secrets of their keys, in the same order."""

    issuer: NodeId
    notes: Annotated[tuple[Note, ...], Meta(min_length=1, max_length=NOTES_MAX)]
    secrets: Annotated[tuple[Secret, ...], Meta(min_length=1, max_length=NOTES_MAX)]

    @property
    def quantity(self) -> Quantity:
        """What all of them are worth, in MiB."""
        return Quantity(sum(note.quantity for note in self.notes))


def show_token(token: NoteToken) -> str:
    """Return the line of text."""
    body = encode(token)
    packed = sha256(body)[:_CHECKSUM_BYTES] + body
    return _PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def parse_token(text: str) -> NoteToken:
    """Return the notes in a line of text; spaces and line breaks from mail programs do not matter.

    Raises UsageError that says what is wrong, without showing the text: it is money.
    """
    line = "".join(text.split())
    if not line.startswith(_PREFIX):
        raise UsageError(f"this is no note: it does not begin with {_PREFIX}", hint="copy the whole line")
    letters = line[len(_PREFIX) :]
    try:
        packed = base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("this is no note: it has a letter that is never used", hint="copy the whole line") from None
    body = packed[_CHECKSUM_BYTES:]
    if packed[:_CHECKSUM_BYTES] != sha256(body)[:_CHECKSUM_BYTES]:
        raise UsageError("the note's checksum does not match; a part is missing or wrong", hint="copy the whole line")
    try:
        token = decode(body, NoteToken, size_max=_BYTES_MAX)
    except Malformed as error:
        raise UsageError(f"this is no note: {error}", hint="ask the sender which version made it") from None
    if not _owned(token):
        raise UsageError("this note's secrets do not fit its keys", hint="ask the sender for a new one")
    return token


def _owned(token: NoteToken) -> bool:
    keys = [SigningKey(secret).public for secret in token.secrets]
    return keys == [note.key for note in token.notes] and len(set(keys)) == len(keys)
