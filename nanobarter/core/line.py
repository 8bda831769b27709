"""A record as one line of text that a person hands to another: by mail, by telephone camera, over the counter.

A prefix, then the base64url form, without padding, of a 4-byte checksum and the canonical bytes. Base64url instead of
bech32m, since a line may hold kilobytes, beyond what bech32m's checksum covers; the checksum is the first bytes of
SHA-256 over the rest, and finds any slip but one in four milliards.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nanobarter.core.canonical import Record, decode, encode
from nanobarter.core.errors import Malformed, UsageError
from nanobarter.core.ids import sha256

_CHECKSUM_BYTES: Final = 4

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class LineForm(Generic[R]):
    """How records of one kind are written. ``name`` is what a person calls such a line; ``size_max`` is in bytes."""

    prefix: str
    name: str
    kind: type[R]
    size_max: int

    def show(self, record: R) -> str:
        """Return the line of text."""
        body = encode(record)
        packed = sha256(body)[:_CHECKSUM_BYTES] + body
        return self.prefix + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def read(self, text: str) -> R:
        """Return the record in a line; spaces and line breaks from mail programs do not matter.

        Raises UsageError that says what is wrong, without showing the text: it may be money or a secret.
        """
        line, name = "".join(text.split()), self.name
        if not line.startswith(self.prefix):
            raise UsageError(f"this is no {name}: it does not begin with {self.prefix}", hint="copy the whole line")
        letters = line[len(self.prefix) :]
        try:
            packed = base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            why = f"this is no {name}: it has a letter that is never used"
            raise UsageError(why, hint="copy the whole line") from None
        body = packed[_CHECKSUM_BYTES:]
        if packed[:_CHECKSUM_BYTES] != sha256(body)[:_CHECKSUM_BYTES]:
            why = f"the {name}'s checksum does not match; a part is missing or wrong"
            raise UsageError(why, hint="copy the whole line")
        try:
            return decode(body, self.kind, size_max=self.size_max)
        except Malformed as error:
            raise UsageError(f"this is no {name}: {error}", hint="ask the sender which version made it") from None
