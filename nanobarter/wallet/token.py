"""Notes as one line of text (``core.line``), to be handed from person to person: whoever has it may spend them."""

from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.line import LineForm
from nanobarter.core.units import Quantity
from nanobarter.mint.messages import NOTES_MAX, Note

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


_LINE: Final = LineForm("nbn1", "note", NoteToken, size_max=64 * 1024)  # 64 notes of about 345 bytes fit twice


def show_token(token: NoteToken) -> str:
    """Return the line of text."""
    return _LINE.show(token)


def parse_token(text: str) -> NoteToken:
    """Return the notes in a line of text. Raises UsageError that says what is wrong with it, without showing it."""
    token = _LINE.read(text)
    if not _owned(token):
        raise UsageError("this note's secrets do not fit its keys", hint="ask the sender for a new one")
    return token


def _owned(token: NoteToken) -> bool:
    keys = [SigningKey(secret).public for secret in token.secrets]
    return keys == [note.key for note in token.notes] and len(set(keys)) == len(keys)
