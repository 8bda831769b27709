"""What a thief makes of notes must be worth nothing, and what a mint makes of a good note must be held against it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from nanobarter.core.canonical import encode
from nanobarter.core.errors import Malformed, Reason
from nanobarter.core.ids import KeysetId
from nanobarter.core.keys import seal_signed
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, Quantity
from nanobarter.mint import answer_messages as am
from nanobarter.mint import messages as m
from nanobarter.mint.notes import check_announcement, verify_note
from nanobarter.mint.proofs import records
from nanobarter.mint.proofs.verdict import Convicted, NotProven
from nanobarter.mint.proofs.verify import verify_mint
from nanobarter.translator.rates import Deal, Rates
from tests.mint import crimes
from tests.mint.purse import KIND, NODE, OTHER, Bench, Held, Purse, key_of

Change = Callable[[Held, Held], m.Note]

ATTACKS: dict[str, tuple[Change, Reason]] = {
    "forged": (lambda good, _: replace(good.note, signature=b"\x01" * 256), Reason.BAD_SIGNATURE),
    "of a larger sum": (lambda good, _: replace(good.note, quantity=Quantity(8)), Reason.BAD_SIGNATURE),
    "of no denomination": (lambda good, _: replace(good.note, quantity=Quantity(3)), Reason.BAD_SIGNATURE),
    "of another keyset": (lambda good, other: replace(good.note, keyset=other.note.keyset), Reason.BAD_SIGNATURE),
    "of no keyset": (lambda good, _: replace(good.note, keyset=KeysetId(bytes(16))), Reason.UNKNOWN_KEYSET),
    "with another's signature": (
        lambda good, other: replace(good.note, signature=other.note.signature),
        Reason.BAD_SIGNATURE,
    ),
    "with a signature beyond the modulus": (
        lambda good, _: replace(good.note, signature=b"\xff" * 256),
        Reason.BAD_SIGNATURE,
    ),
}


@pytest.fixture
def bench(tmp_path: Path, keys: list[bytes]) -> Bench:
    return Bench(tmp_path / "store", keys)


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_changed_note_is_refused_and_the_refusal_is_no_fraud(bench: Bench, name: str) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        (good,), (other,) = await purse.issue(4), await purse.issue(4, kind=OTHER)
        change, reason = ATTACKS[name]
        bad = Held(change(good, other), good.owner)
        wanted = purse.outputs([4])
        body = m.SwapBody(NODE.node_id, purse.until, (bad.note,), tuple(p.output for p in wanted))
        request = m.make_request(body, [good.owner])
        answer = await purse.send(request)
        assert isinstance(answer, am.Refusal)
        assert answer.reason == reason
        signed = am.open_answer(purse.sent[-1][1], NODE.node_id, answer.request)[0]
        announced = tuple(keyset.signed for keyset in mint.usable())[:8]
        assert isinstance(verify_mint(records.FalseRefusal(request, signed, announced)), NotProven)
        assert isinstance(await purse.swap([good], 4), am.Minted)  # the note itself is as good as before
        assert mint.audit() == []


async def test_notes_of_two_kinds_buy_nothing_together(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        (one,), (two,) = await purse.issue(4), await purse.issue(4, kind=OTHER)
        answer = await purse.swap([one, two], 8)
        assert isinstance(answer, am.Refusal)
        assert answer.reason == Reason.WRONG_TERMS


async def test_a_note_cut_short_or_blown_up_is_no_request(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        (good,) = await purse.issue(4)
        body = m.SwapBody(NODE.node_id, purse.until, (good.note,), tuple(p.output for p in purse.outputs([4])))
        raw = encode(m.make_request(body, [good.owner]))
        long = encode(m.make_request(replace(body, inputs=(good.note,) * 65), [good.owner] * 65))
        wide = encode(m.make_request(replace(body, inputs=(replace(good.note, signature=bytes(257)),)), [good.owner]))
        for bad in (*(raw[:cut] for cut in range(0, len(raw), 37)), raw + b"\x00", long, wide):
            with pytest.raises(Malformed):
                await mint.handle(NODE.node_id, bad)


async def test_a_note_given_twice_in_one_request_counts_once_or_not_at_all(bench: Bench) -> None:
    async with bench.open():
        purse = Purse(bench)
        (good,) = await purse.issue(4)
        answer = await purse.swap([good, good], 8)
        assert isinstance(answer, am.Refusal)
        assert answer.reason == Reason.CONFLICT


async def test_a_replayed_request_moves_nothing(bench: Bench) -> None:
    async with bench.open() as mint:
        purse = Purse(bench)
        (good,) = await purse.issue(4)
        await purse.swap([good], 4)
        raw, answer = purse.sent[-1]
        before = mint.capacity()
        assert [await mint.handle(key_of("thief").node_id, raw) for _ in range(3)] == [answer] * 3
        assert mint.capacity() == before


BODY = crimes.KEYSET.announcement
KEY = BODY.keys[0]
PRODUCT = int.from_bytes(KEY.modulus, "big")


def with_keys(*keys: m.DenominationKey) -> m.Announcement:
    return replace(BODY, keys=keys)


BAD_ANNOUNCEMENTS: dict[str, tuple[m.Announcement, bool]] = {
    "even modulus": (with_keys(replace(KEY, modulus=(PRODUCT ^ 1).to_bytes(256, "big"))), True),
    "small factor": (with_keys(replace(KEY, modulus=(PRODUCT - PRODUCT % 3).to_bytes(256, "big"))), True),
    "short modulus": (with_keys(replace(KEY, modulus=(PRODUCT >> 9 | 1).to_bytes(256, "big"))), True),
    "shared modulus": (with_keys(KEY, replace(KEY, quantity=Quantity(2))), True),
    "no keys": (with_keys(), False),
    "no power of two": (with_keys(replace(KEY, quantity=Quantity(3))), False),
    "keys out of order": (with_keys(*reversed(BODY.keys)), False),
    "windows out of order": (replace(BODY, redeem_until=BODY.issue_from), False),
    "a life of years": (replace(BODY, purge_at=Instant(BODY.purge_at + 800 * DAY)), False),
    "unknown scheme": (replace(BODY, scheme=9), False),
}


@pytest.mark.parametrize("name", BAD_ANNOUNCEMENTS)
def test_a_bad_announcement_is_refused_and_a_bad_modulus_convicts(name: str) -> None:
    body, convicts = BAD_ANNOUNCEMENTS[name]
    signed = seal_signed(NODE, m.DOMAIN_ANNOUNCEMENT, body)
    with pytest.raises(Malformed):
        check_announcement(signed)
    assert isinstance(verify_mint(records.BadModulus(signed)), Convicted) is convicts


def test_a_modulus_of_another_length_is_no_announcement() -> None:
    for length in (128, 255, 257, 512):
        key = m.DenominationKey(Quantity(1), b"\xff" * length)
        with pytest.raises(Malformed):
            check_announcement(seal_signed(NODE, m.DOMAIN_ANNOUNCEMENT, with_keys(key)))


def test_an_exponent_is_not_the_mints_to_choose() -> None:
    assert m.DenominationKey.__struct_fields__ == ("quantity", "modulus")
    assert verify_note(crimes.note("owner"), crimes.KEYSET)


# -- what a conviction does to value


def test_the_notes_of_a_convicted_issuer_are_worth_nothing_here() -> None:
    mine, theirs = Quality(key_of("me").node_id, KIND), Quality(NODE.node_id, KIND)
    deal = Deal(mine, 4, theirs, 4, crimes.NOW)

    def worth(*, convicted: bool) -> object:
        rates = Rates(
            own=mine.issuer,
            deals=[deal],
            reliability=lambda _: None,
            now=crimes.NOW,
            verdict=lambda node: "worthless" if convicted and node == NODE.node_id else None,
        )
        figure, own = rates.figure(theirs), rates.figure(mine)
        assert own is not None
        assert own.value == 1
        assert figure is not None
        return figure.value

    assert worth(convicted=False) == 1
    assert worth(convicted=True) == 0
