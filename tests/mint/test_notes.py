"""A wallet believes an announcement once, for weeks: what a malicious issuer may announce is refused before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nanobarter.core.canonical import decode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash, KeysetId, PublicKey, Signature
from nanobarter.core.keys import Signed, SigningKey, seal_signed
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.mint import blind
from nanobarter.mint.answer_messages import DOMAIN_LOCKED
from nanobarter.mint.messages import DOMAIN_ANNOUNCEMENT, Announcement, DenominationKey, Note
from nanobarter.mint.notes import Keyset, check_announcement, note_id, note_message, split, verify_note
from nanobarter.mint.rsa import load_key

NODE = SigningKey(bytes(range(32)))
OWNER = SigningKey(bytes(32)).public


def announcement(keys: list[bytes], count: int = 3) -> Announcement:
    moduli = [load_key(der).modulus.to_bytes(256, "big") for der in keys[:count]]
    denominations = tuple(DenominationKey(Quantity(1 << i), modulus) for i, modulus in enumerate(moduli))
    return Announcement(
        kind=LeaseKind("30d"),
        generation=0,
        scheme=1,
        issue_from=Instant(7 * DAY),
        issue_until=Instant(14 * DAY),
        redeem_until=Instant(49 * DAY),
        purge_at=Instant(56 * DAY),
        terms_hash=Hash(bytes(32)),
        keys=denominations,
    )


def signed(a: Announcement) -> Signed:
    return seal_signed(NODE, DOMAIN_ANNOUNCEMENT, a)


def make_note(keyset: Keyset, der: bytes, quantity: int = 1) -> Note:
    key = load_key(der)
    message = note_message(keyset.keyset_id, Quantity(quantity), OWNER)
    made = blind.blind(blind.PSS_DETERMINISTIC, key.modulus, message, salt=bytes(48), factor=12345)
    answer = blind.blind_sign(key, made.message)
    signature = blind.finalize(blind.PSS_DETERMINISTIC, key.modulus, message, answer, made.inverse)
    return Note(keyset.keyset_id, Quantity(quantity), OWNER, signature)


def test_a_good_note_verifies_and_no_changed_one_does(keys: list[bytes]) -> None:
    keyset = check_announcement(signed(announcement(keys)), NODE.node_id)
    note = make_note(keyset, keys[0])
    assert verify_note(note, keyset)
    assert note_id(note) == note_id(replace(note, signature=bytes(256)))
    for other in (
        replace(note, quantity=Quantity(2)),
        replace(note, quantity=Quantity(8)),
        replace(note, key=PublicKey(bytes(32))),
        replace(note, keyset=KeysetId(bytes(16))),
        replace(note, signature=bytes(256)),
        replace(note, signature=b"\xff" * 256),
    ):
        assert not verify_note(other, keyset)


def test_a_note_does_not_cross_keysets(keys: list[bytes]) -> None:
    first = check_announcement(signed(announcement(keys)))
    second = check_announcement(signed(replace(announcement(keys), generation=1)))
    note = make_note(first, keys[0])
    assert not verify_note(replace(note, keyset=second.keyset_id), second)


def test_malicious_announcements_are_refused(keys: list[bytes]) -> None:
    good = announcement(keys)
    one, two, four = good.keys

    def with_modulus(modulus: int) -> Announcement:
        return replace(good, keys=(DenominationKey(Quantity(1), modulus.to_bytes(256, "big")), two))

    n = int.from_bytes(one.modulus, "big")
    bad = {
        "even modulus": with_modulus(n - 1),
        "small divisor": with_modulus((1 << 2047) + 1 - ((1 << 2047) + 1) % 1999),
        "short modulus": with_modulus(n >> 1),
        "zero modulus": with_modulus(0),
        "shared modulus": replace(good, keys=(one, replace(two, modulus=one.modulus))),
        "same denomination twice": replace(good, keys=(one, replace(two, quantity=Quantity(1)))),
        "falling order": replace(good, keys=(two, one)),
        "no power of two": replace(good, keys=(one, replace(two, quantity=Quantity(3)))),
        "nothing": replace(good, keys=(replace(one, quantity=Quantity(0)), two)),
        "above the largest": replace(good, keys=(replace(four, quantity=Quantity(1 << 21)),)),
        "no keys": replace(good, keys=()),
        "unknown scheme": replace(good, scheme=2),
        "issue window reversed": replace(good, issue_until=good.issue_from),
        "redeem before issue ends": replace(good, redeem_until=good.issue_until),
        "purge before redeem ends": replace(good, purge_at=good.redeem_until),
        "too long a life": replace(good, purge_at=Instant(good.issue_from + 401 * DAY)),
    }
    for what, a in bad.items():
        with pytest.raises(Malformed):
            pytest.fail(f"{what} was accepted: {check_announcement(signed(a))}")


def test_an_announcement_binds_its_signer(keys: list[bytes]) -> None:
    good = signed(announcement(keys))
    with pytest.raises(Malformed, match="another node"):
        check_announcement(good, SigningKey(b"\x05" * 32).node_id)
    for bad in (
        replace(good, signature=Signature(bytes(64))),
        replace(good, key=SigningKey(b"\x05" * 32).public),
        replace(good, body=good.body + b"\x00"),
        seal_signed(NODE, DOMAIN_LOCKED, announcement(keys)),
    ):
        with pytest.raises(Malformed):
            check_announcement(bad)


@given(st.binary(max_size=400))
def test_a_decoder_gives_a_value_or_malformed(data: bytes) -> None:
    for kind in (Signed, Note, Announcement):
        try:
            decode(data, kind, size_max=300)
        except Malformed:
            continue


@given(st.integers(0, 2**12), st.integers(0, 20))
def test_a_split_sums_up_with_the_fewest_notes(quantity: int, largest: int) -> None:
    parts = split(quantity, 1 << largest)
    assert sum(parts) == quantity
    assert all(part & (part - 1) == 0 and part <= 1 << largest for part in parts)
    assert len(parts) == (quantity >> largest) + (quantity & ((1 << largest) - 1)).bit_count()
