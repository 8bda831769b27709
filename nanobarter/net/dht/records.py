"""What is stored: ``[pubkey, signature, salt, sequence, expires, value]`` under SHA-256(pubkey | salt). As in BEP 44.

Only the owner of the key can make or change it, the highest sequence wins, and nobody can keep it after it expires. An
empty salt is the node's own record: its key then is the node's id.
"""

from collections import OrderedDict
from typing import Annotated, Final

from msgspec import Meta

from nanobarter.core.canonical import Record, encode
from nanobarter.core.ids import PublicKey, Signature, sha256
from nanobarter.core.keys import SigningKey, verify
from nanobarter.core.units import DAY, Instant, Span, after

VALUE_MAX: Final = 800
SALT_MAX: Final = 32
VALID_MAX: Final = Span(32 * DAY)  # a month: so long a lost machine may wait for its owner, while others carry its word
_DOMAIN: Final = "dht/value"


class Value(Record, frozen=True):
    """One signed value."""

    key: PublicKey
    signature: Signature
    salt: Annotated[bytes, Meta(max_length=SALT_MAX)]
    sequence: Annotated[int, Meta(ge=0, le=2**62)]
    expires: Instant
    body: Annotated[bytes, Meta(max_length=VALUE_MAX)]

    @property
    def place(self) -> bytes:
        """Under which key of the table it is stored: 20 bytes."""
        return place_of(self.key, self.salt)


def place_of(key: bytes, salt: bytes) -> bytes:
    """Return the key of the table for a signer's values under a salt."""
    return sha256(key + salt)[:20]


def make_value(key: SigningKey, salt: bytes, *, sequence: int, expires: Instant, body: bytes) -> Value:
    """Return a signed value."""
    signature = key.sign(_DOMAIN, encode((salt, sequence, expires, body)))
    return Value(key.public, signature, salt, sequence, expires, body)


def is_good(value: Value, place: bytes, now: Instant) -> bool:
    """Tell whether a value belongs in this place, lives, not for too long, and is signed by its owner."""
    if value.place != place or not now < value.expires <= after(now, VALID_MAX):
        return False
    signed = encode((value.salt, value.sequence, value.expires, value.body))
    return verify(value.key, _DOMAIN, signed, value.signature)


class Shelf:
    """The values that a node keeps for others; the one asked for longest ago makes room."""

    def __init__(self, count_max: int) -> None:
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self._told: dict[bytes, float] = {}
        self._count_max = count_max

    def __len__(self) -> int:
        return len(self._values)

    def get(self, place: bytes, now: Instant) -> Value | None:
        """Return what is kept in a place."""
        value = self._values.get(place)
        if value is None:
            return None
        if value.expires <= now:
            self._drop(place)
            return None
        self._values.move_to_end(place)
        return value

    def put(self, value: Value, at: float = 0.0) -> bool:
        """Keep a good value unless a newer one is kept. ``at`` is when it was told, in seconds of any clock."""
        held = self._values.get(value.place)
        if held is not None and held.sequence > value.sequence:
            return False
        self._values[value.place] = value
        self._values.move_to_end(value.place)
        self._told[value.place] = at
        if len(self._values) > self._count_max:
            self._drop(next(iter(self._values)))
        return True

    def to_carry(self, before: float, now: Instant, count: int) -> list[Value]:
        """Return values that nobody has told since, so that they live on when nodes that keep them leave.

        Each is taken as told by that: of the eight that keep a value the first to do it spares the others.
        """
        for place in [place for place, value in self._values.items() if value.expires <= now]:
            self._drop(place)
        silent = [place for place, told in self._told.items() if told < before]
        return [self._values[place] for place in sorted(silent, key=lambda place: self._told[place])[:count]]

    def _drop(self, place: bytes) -> None:
        del self._values[place], self._told[place]
