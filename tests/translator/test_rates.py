"""A person decides by these figures: each must come from the best that is known, and say what that is."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.ids import NodeId, sha256
from nanobarter.core.quality import Quality
from nanobarter.core.units import DAY, Instant, LeaseKind
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import Deal, Rates, Source, value_by_reliability

NOW = Instant(1_700_000_000_000)
ME, A, B, C = (NodeId(sha256(b"n%d" % i)) for i in range(4))
MINE, QA, QB, QC = (Quality(node, LeaseKind("30d")) for node in (ME, A, B, C))


def deal(gave: Quality, given_: int, got: Quality, gotten: int, days: int = 0, source: Source = "agreement") -> Deal:
    return Deal(gave, given_, got, gotten, Instant(NOW - days * DAY), source)


def rates(*deals: Deal, known: dict[NodeId, float] | None = None) -> Rates:
    return Rates(own=ME, deals=deals, reliability=(known or {}).get, now=NOW)


@pytest.mark.parametrize(
    ("reliability", "value"), [(0.99, 1.28), (0.95, 1.0), (0.90, 0.81), (0.80, 0.58), (0.50, 0.26), (0.30, 0.13)]
)
def test_the_value_of_reliability(reliability: float, value: float) -> None:
    assert value_by_reliability(reliability) == pytest.approx(value, abs=0.005)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_reliable_is_never_worth_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= value_by_reliability(low) <= value_by_reliability(high)


def test_executed_agreements_go_before_quotes_and_both_before_reliability() -> None:
    known = {A: 0.5}
    only = rates(known=known).figure(QA)
    quoted = rates(deal(MINE, 1, QA, 2, source="quote"), known=known).figure(QA)
    done = rates(deal(MINE, 1, QA, 2, source="quote"), deal(MINE, 3, QA, 4), known=known).figure(QA)
    assert only is not None
    assert quoted is not None
    assert done is not None
    assert (float(only.value), only.source) == (pytest.approx(0.26, abs=0.005), "reliability 0.50")
    assert quoted.value == Fraction(1, 2)
    assert quoted.source.startswith("1 quote with")
    assert done.value == Fraction(3, 4)
    assert done.source.startswith("1 agreement with")


def test_notes_of_who_proved_bad_are_worth_what_that_says_and_vouch_for_no_others() -> None:
    deals = (deal(MINE, 1, QA, 1), deal(QA, 1, QB, 1))
    known = {A: 0.3, B: 0.95}
    found = Rates(own=ME, deals=deals, reliability=known.get, now=NOW, verdict=lambda n: "bad" if n == A else None)
    bad, other = found.figure(QA), found.figure(QB)
    assert bad is not None
    assert (float(bad.value), bad.source) == (pytest.approx(0.13, abs=0.005), "reliability 0.30")
    assert other is not None
    assert other.source == "reliability 0.95"


def test_a_path_over_others_is_found_and_told() -> None:
    figure = rates(deal(MINE, 1, QA, 2), deal(QA, 1, QB, 3)).figure(QB)
    assert figure is not None
    assert figure.value == Fraction(1, 6)
    assert figure.source.count("agreement") == 2
    assert rates(deal(MINE, 1, QA, 2)).figure(QC) is None


def test_old_rates_fade() -> None:
    figure = rates(deal(MINE, 1, QA, 1), deal(MINE, 1, QA, 4, days=90)).figure(QA)
    assert figure is not None
    assert figure.value == Fraction(5, 8)  # the old one weighs a quarter: (1 + 1/4) given for (1 + 4/4)
    ancient = rates(deal(MINE, 1, QA, 9, days=6000), known={A: 0.95}).figure(QA)
    assert ancient is not None
    assert ancient.source == "reliability 0.95"


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_rate_reads_the_same_from_both_ends(given_: int, gotten: int) -> None:
    there = rates(deal(MINE, given_, QA, gotten)).figure(QA)
    back = rates(deal(QA, gotten, MINE, given_)).figure(QA)
    assert there is not None
    assert back is not None
    assert there.value == back.value == Fraction(given_, gotten)


def test_the_anchor_is_what_the_person_said() -> None:
    pet = Pet.anchored("acorn", "ac", size_bytes=2**30, days=30, reliability=0.95, worth=Fraction(10))
    best = rates(known={A: 0.95}).figure(QA)
    long = rates(known={A: 0.95}).figure(Quality(A, LeaseKind("90d")))
    assert best is not None
    assert long is not None
    assert pet.show(pet.amount(1024, best)) == "10.00 ac"
    assert pet.show(pet.amount(1024, long)) == "30.00 ac"
    assert pet.show(pet.amount(-512, best)) == "-5.00 ac"
    assert pet.show(Fraction(-1, 1000)) == "0.00 ac"


def test_what_went_for_the_notes_of_a_convict_vouches_for_no_others() -> None:
    deals = (deal(MINE, 1, QA, 1), deal(QA, 9, QB, 1))
    known = {A: 0.95, B: 0.95}
    found = Rates(
        own=ME, deals=deals, reliability=known.get, now=NOW, verdict=lambda n: "worthless" if n == A else None
    )
    convict, other = found.figure(QA), found.figure(QB)
    assert convict is not None
    assert convict.value == 0
    assert other is not None
    assert other.source == "reliability 0.95"


def test_a_book_of_strangers_bids_is_searched_once_and_not_for_each_figure() -> None:
    asked = list[NodeId]()
    strangers = [Quality(NodeId(sha256(b"stranger %d" % i)), MINE.kind) for i in range(100)]
    book = [deal(one, 2, other, 3, source="quote") for one in strangers for other in strangers[:5]]
    found = Rates(own=ME, deals=book, reliability=lambda _node: None, now=NOW, verdict=asked.append)
    assert [found.figure(quality) for quality in strangers] == [None] * len(strangers)
    assert len(asked) <= len(strangers)


def test_many_deals_of_one_pair_make_a_rate_of_few_digits() -> None:
    deals = [Deal(MINE, 3, QA, 4 + i % 2, Instant(NOW - i * 7_919_123)) for i in range(1000)]
    figure = rates(*deals).figure(QA)
    assert figure is not None
    assert 3 / 5 < figure.value < 3 / 4
    assert figure.value.denominator < 10**20
