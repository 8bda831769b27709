"""Two nodes must find exactly what differs, cheaply when little does, and whatever a liar answers."""

import hashlib
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.canonical import decode, encode
from nanobarter.core.errors import Malformed
from nanobarter.core.ids import Hash
from nanobarter.gossip.ids import WHOLE, IdSet, Reach, prefix_of, print_of, short_of
from nanobarter.gossip.messages import (
    LIST_CROWDED_MAX,
    PRINTS_MAX,
    CompareAnswer,
    CompareRequest,
    Listed,
    Part,
)
from nanobarter.gossip.reconcile import Comparison, answer, named
from nanobarter.gossip.sync import COMPARE_ANSWER_MAX

SALT = b"saltsalt"


def hashes(count: int, label: str) -> list[Hash]:
    return [Hash(hashlib.sha256(f"{label} {i}".encode()).digest()) for i in range(count)]


def id_set(ids: list[Hash]) -> IdSet:
    made = IdSet()
    for item_id in ids:
        made.add(item_id)
    return made


def compare(ours: IdSet, theirs: IdSet) -> tuple[Comparison, int, int]:
    """Return the comparison when it is over, its rounds, and its bytes both ways."""
    comparison, rounds, size = Comparison(ours, SALT), 0, 0
    while (question := comparison.question()) is not None:
        asked = encode(question)
        said = encode(answer(theirs, decode(asked, CompareRequest, size_max=len(asked))))
        assert len(said) <= COMPARE_ANSWER_MAX
        comparison.take(decode(said, CompareAnswer, size_max=len(said)))
        rounds, size = rounds + 1, size + len(asked) + len(said)
    return comparison, rounds, size


def lacking(comparison: Comparison, theirs: IdSet) -> list[Hash]:
    return sorted(item_id for entry in comparison.lacking for item_id in named(theirs, SALT, entry))


@given(st.integers(0, 2**32), st.sampled_from([0, 1, 15, 17, 200, 1500]), st.integers(0, 40), st.integers(0, 40))
def test_both_sides_end_with_the_union(seed: int, common: int, mine: int, yours: int) -> None:
    shared = hashes(common, f"{seed} shared")
    only_ours, only_theirs = hashes(mine, f"{seed} ours"), hashes(yours, f"{seed} theirs")
    ours, theirs = id_set(shared + only_ours), id_set(shared + only_theirs)
    comparison, rounds, _ = compare(ours, theirs)
    assert sorted(comparison.surplus) == sorted(only_ours)
    assert lacking(comparison, theirs) == sorted(only_theirs)
    assert rounds <= 5


def test_ten_thousand_items_with_twenty_differences_take_two_questions_and_two_kilobytes() -> None:
    rng, worst, total = random.Random(7), 0, 0
    for run in range(5):
        ids = hashes(10_010, f"book {run}")
        rng.shuffle(ids)
        comparison, rounds, size = compare(id_set(ids[10:]), id_set(ids[:10_000]))
        assert rounds == 2, size
        assert sorted(comparison.surplus) == sorted(ids[10_000:])
        worst, total = max(worst, size), total + size
    assert total / 5 < 2400
    assert worst < 2800


def test_equal_sets_take_one_question_of_some_bytes() -> None:
    ids = id_set(hashes(5000, "same"))
    comparison, rounds, size = compare(ids, ids)
    assert (rounds, comparison.lacking, comparison.surplus) == (1, [], [])
    assert size < 32


def test_a_newcomer_learns_of_everything() -> None:
    theirs = id_set(hashes(10_000, "book"))
    comparison, _, size = compare(IdSet(), theirs)
    assert len(lacking(comparison, theirs)) == 10_000
    assert size < 10_000 * 8


def test_a_newcomer_to_the_largest_book_learns_of_everything_at_once() -> None:
    theirs = id_set(sorted(hashes(30_000, "big")))
    comparison, rounds, _ = compare(IdSet(), theirs)
    assert len(lacking(comparison, theirs)) == 30_000
    assert rounds < 32


def test_ids_that_somebody_ground_into_one_range_cost_no_more_than_a_list() -> None:
    crowd = [Hash(bytes(4) + i.to_bytes(4, "big") + bytes(24)) for i in range(1, 1000)]
    comparison, rounds, _ = compare(id_set(hashes(100, "honest")), id_set(hashes(100, "honest") + crowd))
    assert rounds < 34
    assert sum(len(entry.shorts) for entry in comparison.lacking) // 4 == LIST_CROWDED_MAX


def test_what_we_refused_is_not_asked_for_again() -> None:
    ids = hashes(100, "all")
    comparison = Comparison(id_set(ids[:90]), SALT, lambda: [prefix_of(item_id) for item_id in ids[90:95]])
    theirs = id_set(ids)
    while (question := comparison.question()) is not None:
        comparison.take(answer(theirs, question))
    assert lacking(comparison, theirs) == sorted(ids[95:])


def test_an_answer_about_something_else_is_found_out() -> None:
    ids = id_set(hashes(100, "some"))
    for lie in (
        CompareAnswer((), (Listed(3, 1, b""),)),
        CompareAnswer((), (Listed(0, 0, b""), Listed(0, 0, b""))),
        CompareAnswer((Part(0, 0, 0, bytes(4)),), ()),
        CompareAnswer((Part(0, 0, 2, bytes(8)),), ()),
        CompareAnswer((Part(1, 0, 1, bytes(8)),), ()),
    ):
        comparison = Comparison(ids, SALT)
        comparison.question()
        with pytest.raises(Malformed):
            comparison.take(lie)


@pytest.mark.parametrize("seed", range(1))
def test_a_liar_cannot_make_it_last(seed: int) -> None:
    rng, comparison = random.Random(seed), Comparison(id_set(hashes(300, "x")), SALT)
    rounds = 0
    with suppress(Malformed):
        while (question := comparison.question()) is not None:
            parts = [
                Part(reach.depth, reach.number, cut, rng.randbytes(4 << cut))
                for part in question.parts
                for reach in part.reach.parts(part.cut)
                if reach.depth < 32 and (cut := min(rng.choice((1, 7)), 32 - reach.depth))
            ]
            comparison.take(CompareAnswer(tuple(parts[:PRINTS_MAX]), ()))
            rounds += 1
    assert rounds <= 64


@pytest.mark.parametrize(
    "part", [Part(0, 1, 0, bytes(4)), Part(32, 0, 1, bytes(8)), Part(0, 0, 1, bytes(4)), Part(2, 4, 0, bytes(4))]
)
def test_a_question_that_is_not_well_made_is_refused(part: Part) -> None:
    with pytest.raises(Malformed):
        answer(IdSet(), CompareRequest(SALT, (part,)))


def test_too_many_prints_are_refused() -> None:
    with pytest.raises(Malformed):
        answer(IdSet(), CompareRequest(SALT, (Part(0, 0, 8, bytes(1024)),) * 5))


@given(st.lists(st.binary(min_size=32, max_size=32), unique=True), st.integers(0, 6))
def test_ranges_are_what_their_bits_say(raw: list[bytes], cut: int) -> None:
    ids = id_set([Hash(data) for data in raw])
    parts = WHOLE.parts(cut)
    assert [item_id for reach in parts for item_id in ids.within(reach)] == sorted(raw)
    assert all(reach.holds(item_id) for reach in parts for item_id in ids.within(reach))
    for data in raw:
        assert ids.starting(data[:32]) == data
        ids.discard(Hash(data))
    assert len(ids) == ids.count(WHOLE) == ids.count(Reach(0, 0)) == 0


def test_a_print_is_of_another_salt_another() -> None:
    ids = hashes(3, "a")
    assert print_of(b"1" * 8, ids) != print_of(b"2" * 8, ids)
    assert short_of(b"1" * 8, prefix_of(ids[0])) != short_of(b"2" * 8, prefix_of(ids[0]))


@pytest.mark.parametrize(("depth", "number"), [(0, 1), (1, 2), (8, 256), (0, 2**32 - 1), (31, 2**31)])
def test_a_range_that_there_is_not_is_a_fault_of_who_asks_for_it(depth: int, number: int) -> None:
    ids = id_set(hashes(30, "held"))
    with pytest.raises(Malformed):
        named(ids, SALT, Listed(depth, number, bytes(4)))
    with pytest.raises(Malformed):
        answer(ids, CompareRequest(SALT, (Part(depth, number, 0, bytes(4)),)))
