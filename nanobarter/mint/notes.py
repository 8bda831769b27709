"""A note and the announcement that gives it meaning: the signed message, its id, and what anyone can check offline.

A good note proves that its issuer once promised the quantity to whoever holds the secret of the note's key. It
never tells whether the note is spent: only the issuer's receipt for one's own swap, or a lock in one's favour,
does. The other half of the file judges a stranger's announcement before a wallet believes it.
"""

from dataclasses import dataclass, field
from typing import Final

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, KeysetId, NodeId, NoteId, PublicKey, sha256
from nanobarter.core.keys import Signed, open_signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, Quantity, Span
from nanobarter.mint.bignum import gcd, primorial
from nanobarter.mint.blind import PSS_DETERMINISTIC, verify
from nanobarter.mint.messages import DOMAIN_ANNOUNCEMENT, MODULUS_BYTES, Announcement, Note

SCHEME_BLIND_RSA: Final = 1
DENOMINATION_MAX: Final = Quantity(2**20)  # 1 TiB: twenty halvings bound an announcement to 6 KiB
ANNOUNCEMENT_BYTES_MAX: Final = 8 * 1024
LIFE_MAX: Final = Span(400 * DAY)  # longer windows would let an issuer promise beyond any record that is kept

_NOTE_TAG: Final = b"nanobarter/note\x00"
_SMALL_PRIMES: Final = primorial(2000)


@dataclass(frozen=True)
class Keyset:
    """A checked announcement: who issues, and under which moduli."""

    keyset_id: KeysetId
    issuer: NodeId
    announcement: Announcement
    signed: Signed = field(repr=False)
    moduli: dict[Quantity, int] = field(repr=False)
    withdrawn: bool = False
    """Its own mint retired it before its time: it had lost the record of what was spent."""

    @property
    def quality(self) -> Quality:
        """What its notes are: (issuer, lease kind)."""
        return Quality(self.issuer, self.announcement.kind)

    @property
    def terms_hash(self) -> Hash:
        """The hash of the service terms that its notes promise."""
        return self.announcement.terms_hash

    @property
    def denominations(self) -> tuple[Quantity, ...]:
        """The quantities that its notes may have, ascending powers of two."""
        return tuple(self.moduli)

    def issuing(self, now: Instant) -> bool:
        """Tell whether the issuer signs new notes of it now."""
        return not self.withdrawn and self.announcement.issue_from <= now < self.announcement.issue_until

    def redeemable(self, now: Instant) -> bool:
        """Tell whether its notes are worth anything now."""
        return not self.withdrawn and self.announcement.issue_from <= now < self.announcement.redeem_until


def keyset_id_of(signed: Signed) -> KeysetId:
    """Return the id of a keyset: SHA-256 of its canonical signed announcement, cut to 16 bytes."""
    return KeysetId(sha256(encode(signed))[:16])


def note_message(keyset: KeysetId, quantity: Quantity, key: PublicKey) -> bytes:
    """Return the bytes that the issuer signs blindly: domain tag, keyset, denomination, the note's own key."""
    return _NOTE_TAG + encode((keyset, quantity, key))


def note_id(note: Note) -> NoteId:
    """Return the id of a note: SHA-256 of its message; the signature, which is unique by then, is not in it."""
    return NoteId(sha256(note_message(note.keyset, note.quantity, note.key)))


def verify_note(note: Note, keyset: Keyset) -> bool:
    """Tell whether this keyset's issuer signed the note. Offline; one RSA verification, about 25 us."""
    modulus = keyset.moduli.get(note.quantity)
    if modulus is None or note.keyset != keyset.keyset_id:
        return False
    message = note_message(note.keyset, note.quantity, note.key)
    return verify(PSS_DETERMINISTIC, modulus, message, note.signature)


def split(quantity: int, largest: int = DENOMINATION_MAX) -> tuple[Quantity, ...]:
    """Return the fewest denominations, each a power of two up to ``largest``, that sum to the quantity."""
    whole, rest = divmod(quantity, largest)
    bits = (Quantity(1 << i) for i in reversed(range(rest.bit_length())) if rest >> i & 1)
    return (*(Quantity(largest) for _ in range(whole)), *bits)


def check_announcement(signed: Signed, issuer: NodeId | None = None) -> Keyset:
    """Return the keyset of a signed announcement that a wallet may rely on.

    Raises Malformed when it is not signed by ``issuer`` (where given; else by any node), its windows are not in
    order, or its keys are not what RSA-2048 blind signing needs; the blame is the signer's. A modulus of wrong
    size or with a small divisor would let strangers sign, and a duplicate would let a small note pass for a
    large one. Moduli with a hidden structure cannot be told; a bad one fails at ``blind.finalize``.
    """
    if issuer is not None and signed.signer != issuer:
        raise Malformed("the announcement is signed by another node")
    announcement = open_signed(signed, DOMAIN_ANNOUNCEMENT, Announcement, size_max=ANNOUNCEMENT_BYTES_MAX)
    if announcement.scheme != SCHEME_BLIND_RSA:
        raise Malformed(f"unknown signature scheme {announcement.scheme}")
    _check_windows(announcement)
    return Keyset(keyset_id_of(signed), signed.signer, announcement, signed, _checked_moduli(announcement))


def _check_windows(a: Announcement) -> None:
    if not a.issue_from < a.issue_until < a.redeem_until < a.purge_at:
        raise Malformed("the windows of the announcement are not in order")
    if a.purge_at - a.issue_from > LIFE_MAX:
        raise Malformed("the keyset would live for more than 400 days")


def _checked_moduli(a: Announcement) -> dict[Quantity, int]:
    if not a.keys:
        raise Malformed("the announcement has no keys")
    moduli = dict[Quantity, int]()
    smallest = 0
    for key in a.keys:
        if key.quantity <= smallest or key.quantity > DENOMINATION_MAX or key.quantity & (key.quantity - 1):
            raise Malformed(f"denomination {key.quantity} is not a power of two, in rising order, up to 1 TiB")
        smallest = key.quantity
        modulus = int.from_bytes(key.modulus, "big")
        if modulus.bit_length() != 8 * MODULUS_BYTES:
            raise Malformed(f"a modulus of {modulus.bit_length()} bits instead of {8 * MODULUS_BYTES}")
        if gcd(modulus, _SMALL_PRIMES) != 1:
            raise Malformed("a modulus with a small divisor")
        moduli[key.quantity] = modulus
    if len(set(moduli.values())) != len(moduli):
        raise Malformed("two denominations share a modulus")
    return moduli
