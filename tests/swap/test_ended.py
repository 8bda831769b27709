"""Drafts that end for nothing must not fill the disk, and what a bid gave must be known without reading all of them."""

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.core.errors import Reason
from nanobarter.core.ids import AgreementId, BidId, DraftId, Hash, sha256
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, SECOND, Instant, LeaseKind, Quantity
from nanobarter.swap import ended, tables
from nanobarter.swap.events import Aborted, RingOver, Settled, given_in
from nanobarter.swap.making import make_approve, make_draft
from nanobarter.swap.states import Ended, Mine, Notice, Outcome
from tests.swap.test_caution import KEYS, NOW, OURS, draft_of

OTHER = BidId(bytes(16))
OUTCOMES: list[Outcome] = ["settled", "refused", "cancelled", "aborted", "owing", "wronged"]
DRAFT = make_draft(KEYS[0], draft_of(10))
MINE = make_approve(
    KEYS[5],
    DRAFT,
    1,
    nonce=bytes(32),
    to_key=KEYS[5].public,
    refund_key=KEYS[5].public,
    issuer=KEYS[5].public,
    terms_hash=Hash(bytes(32)),
)
ends = st.lists(st.tuples(st.sampled_from(OUTCOMES), st.sampled_from([OURS, OTHER])), max_size=12)


def put(db: tables.Db, number: int, outcome: Outcome, bid: BidId = OURS, *, agreed: bool = True) -> DraftId:
    """Write the end of a draft, ``number`` seconds from now."""
    draft = DraftId(sha256(b"%d" % number))
    state = Ended(draft, Mine(1, bid, MINE.secret, MINE.approval), outcome, None, Notice((), NOW, Reason.NOT_FOUND, ""))
    tables.put_state(db, draft, None, state, Instant(NOW + number * SECOND))
    if agreed:
        db.execute("UPDATE swap_drafts SET agreement = ? WHERE draft = ?", (AgreementId(draft), draft))
    return draft


def kept(db: tables.Db) -> set[DraftId]:
    return {DraftId(draft) for (draft,) in db.execute("SELECT draft FROM swap_drafts")}


def store_in(path: Path, steps: int = 99) -> Store:
    return Store.open(path, tables.MIGRATIONS[:steps])


@given(ends)
def test_what_a_bid_gave_is_the_sum_of_what_rings_took(history: list[tuple[Outcome, BidId]]) -> None:
    db = memory()
    for number, (outcome, bid) in enumerate(history):
        put(db, number, outcome, bid)
        put(db, number, outcome, bid)  # written again, as after a restart: once counts
    for bid in (OURS, OTHER):
        took = sum(of == bid and outcome in {"settled", "owing", "wronged"} for outcome, of in history)
        assert ended.settled_quantity(db, bid) == 10 * took


@given(st.sampled_from(OUTCOMES))
def test_the_owner_hears_what_is_noted(outcome: Outcome) -> None:
    quality = Quality(KEYS[0].node_id, LeaseKind("30d"))
    event: Settled | Aborted
    if outcome == "settled":
        amount, parties = (quality, Quantity(10)), (KEYS[0].node_id, KEYS[1].node_id)
        event = Settled(DraftId(bytes(32)), OURS, AgreementId(bytes(32)), amount, amount, parties)
    else:
        over = RingOver(AgreementId(bytes(32)), outcome, (quality, Quantity(10)), NOW)
        event = Aborted(DraftId(bytes(32)), OURS, outcome, Reason.NOT_FOUND, "", over)
    db = memory()
    put(db, 1, outcome)
    assert given_in(event) == ended.settled_quantity(db, OURS)


def test_it_is_found_by_an_index() -> None:
    (plan,) = memory().execute("EXPLAIN QUERY PLAN SELECT sum(quantity) FROM swap_settled WHERE bid = x'00'")
    assert "swap_settled_bid" in plan[3]


def test_a_file_of_before_tells_what_its_bids_gave(tmp_path: Path) -> None:
    store = store_in(tmp_path / "store", 6)
    store.write_now(lambda db: db.execute("CREATE TEMP TABLE swap_settled (draft, bid, quantity, at)").rowcount)
    store.write_now(lambda db: [put(db, number, outcome) for number, outcome in enumerate(OUTCOMES * 2)])
    store.close()
    store = store_in(tmp_path / "store")
    assert store.read_now(lambda db: ended.settled_quantity(db, OURS)) == 60
    store.close()


def test_of_drafts_that_came_to_nothing_a_number_is_kept_and_of_settled_ones_all() -> None:
    db, few = memory(), replace(LIMITS, swap_refused_max=2, swap_broken_max=3)
    settled = [put(db, number, "settled") for number in range(5)]
    broken = [put(db, number, "aborted") for number in range(10, 18)]
    refused = [put(db, number, "cancelled", agreed=False) for number in range(20, 28)]
    tables.put_hashes(db, [Hash(draft) for draft in (*settled, *broken)], broken[0], NOW)
    ended.forget_most(db, few)
    assert kept(db) == {*settled, *broken[-3:], *refused[-2:]}
    assert tables.all_fresh(db, [Hash(settled[0])], refused[0])  # what was kept of a forgotten one went with it


def test_what_was_refused_is_kept_while_it_can_be_sent_again_and_what_settled_for_weeks() -> None:
    db = memory()
    refused, settled = put(db, 0, "refused", agreed=False), put(db, 1, "settled")
    ended.forget_old(db, LIMITS, NOW)
    assert kept(db) == {refused, settled}
    ended.forget_old(db, LIMITS, Instant(NOW + DAY))
    assert kept(db) == {settled}
    assert ended.settled_quantity(db, OURS) == 10
    ended.forget_old(db, LIMITS, Instant(NOW + 41 * DAY))
    assert (kept(db), ended.settled_quantity(db, OURS)) == (set(), 0)


def test_who_is_owed_something_is_not_forgotten_for_agreements_that_break() -> None:
    """It is found by its agreement when the debtor pays, which takes as long as the debtor is away."""
    db = memory()
    creditor, debtor = put(db, 0, "wronged"), put(db, 1, "owing")
    broken = [put(db, number, "aborted") for number in range(2, 8)]
    ended.forget_most(db, replace(LIMITS, swap_broken_max=3))
    assert kept(db) == {creditor, debtor, *broken[-3:]}
    assert tables.find_agreed(db, AgreementId(creditor)) is not None


def test_what_went_wrong_before_it_was_noted_is_noted_in_an_older_file(tmp_path: Path) -> None:
    older = store_in(tmp_path / "store", -1)
    older.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store")) as db:
        put(db, 0, "wronged")
        db.execute("DELETE FROM swap_settled")
        db.commit()
    newer = store_in(tmp_path / "store")
    assert newer.read_now(lambda db: ended.settled_quantity(db, OURS)) == 10
    newer.close()


def memory() -> tables.Db:
    db = tables.Db(":memory:")
    for migration in tables.MIGRATIONS:
        db.executescript(migration.sql)
    return db
