"""At stake: who is trusted with data. A score must fall when a peer fails, and never rise by what others say."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from nanobarter.bots.pinger import Pinger, choose
from nanobarter.core.ids import NodeId
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.store import Store
from nanobarter.core.system import ManualClock, SeededEntropy
from nanobarter.core.units import DAY, MINUTE, Instant, LeaseKind, Quantity, Span, after, span_between
from nanobarter.net.memory import MemoryNetwork
from nanobarter.storage.geometry import Geometry
from nanobarter.translator.lastlook import PING, answer_ping
from nanobarter.translator.orders import ORDERS_MAX, PROBES_MAX, orders_for_plan
from nanobarter.translator.plan import Held, make_plan
from nanobarter.translator.reliability import (
    GONE_AFTER,
    PING_PERIOD,
    WINDOW,
    Beta,
    Observed,
    Survival,
    Window,
    audited,
    closed,
    first_seen,
    fit,
    marked,
    next_ping,
    pinged,
    score,
    unanswered,
)
from nanobarter.translator.tables import MIGRATIONS
from nanobarter.translator.vetting import Caps, Trust, caps, is_vetted, missing_for_vetting
from nanobarter.translator.watch import Outcome, Watch, read_all, write

START = Instant(1_700_000_000_000)
NODES = [NodeId(bytes([i]) * 32) for i in range(1, 13)]
KIND = LeaseKind("30d")
SHORT_MEMORY = 3  # the step that brought it


def lived(seen: Observed, days: float, *, answers: float = 1.0, proven: bool | None = True) -> Observed:
    """Watch a peer for so many days: it answers such a part of its pings, and passes its daily audit or not."""
    now, credit = seen.window.start, 0.0
    end = after(now, Span(int(days * DAY)))
    next_audit = now
    while now < end:
        now = after(now, PING_PERIOD)
        credit += answers
        seen = pinged(seen, now, answered=credit >= 1)
        credit -= credit >= 1
        if proven is not None and now >= next_audit and answers:
            seen, next_audit = audited(seen, now, proven=proven), after(now, Span(DAY // 3))
    return seen


def r_of(seen: Observed, term: float = 30) -> float:
    return score(seen, Survival(), seen.window.start, term).r


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0, 1))
def test_a_belief_stays_a_probability_and_one_more_success_never_lowers_it(shares: list[float], more: float) -> None:
    belief = Beta()
    for share in shares:
        belief = belief.seen(share)
    assert 0 <= belief.lower <= belief.mean <= 1
    assert belief.seen(more).mean <= belief.seen(1.0).mean
    assert belief.good + belief.bad <= 101


@pytest.mark.parametrize("truth", [0.3, 0.6, 0.9, 0.99])
def test_reach_comes_to_the_truth_from_below(truth: float) -> None:
    seen = lived(first_seen(START), 40, answers=truth)
    assert truth - 0.09 < seen.reach.lower < truth + 0.01


def test_a_failure_is_priced_within_a_month_and_a_wrong_answer_at_once() -> None:
    good = lived(first_seen(START), 60)
    assert r_of(good) > 0.93
    half = r_of(lived(good, 30, answers=0.3))
    assert half < 0.4
    caught = r_of(audited(good, good.window.start, proven=False))
    later = r_of(lived(audited(good, good.window.start, proven=False), 0.5))
    assert later < 0.85 < caught  # from the end of its window on
    assert not is_vetted(lived(audited(good, good.window.start, proven=False), 0.5))


def test_a_failure_is_priced_within_two_weeks_and_a_weekend_off_is_forgotten_within_another() -> None:
    good = lived(first_seen(START), 60)
    failed = r_of(lived(good, 14, answers=0.3))
    assert r_of(good) - failed > 0.75 * (r_of(good) - 0.3)
    weekend = lived(good, 2, answers=0)
    assert 0.5 < r_of(weekend) < 0.9 * r_of(good)  # worth less, and not yet bad
    back = lived(weekend, 3)
    assert back.there == back.reach.lower  # what is left is of the long memory, for which it was 8 windows of 100
    assert r_of(back) > 0.9 * r_of(good)


@given(st.lists(st.floats(0, 1), max_size=100), st.floats(0.05, 1))
def test_no_more_is_believed_than_the_last_days_allow_and_steady_peers_lose_nothing(
    shares: list[float], steady: float
) -> None:
    seen = first_seen(START)
    for number, share in enumerate(shares):
        now = after(START, Span(number * WINDOW))
        seen = closed(seen, Window(now, 100, round(100 * share)), after(now, WINDOW), now)
    assert seen.there <= min(seen.reach.lower, seen.lately.upper)
    for number in range(200):
        now = after(START, Span((number + len(shares)) * WINDOW))
        seen = closed(seen, Window(now, 100, round(100 * steady)), after(now, WINDOW), now)
    assert seen.there == seen.reach.lower


def test_rows_of_before_the_short_memory_begin_with_what_the_long_one_says(tmp_path: Path) -> None:
    before = [m for m in MIGRATIONS if m.component != "reliability" or m.version < SHORT_MEMORY]
    Store.open(tmp_path / "s", before).close()
    with closing(sqlite3.connect(tmp_path / "s")) as db, db:
        columns = "node, first, heard, reach_good, reach_bad, data_good, data_bad, windows, audits, faults"
        db.execute(
            f"INSERT INTO reliability_peers ({columns}, window_start, asked, answered, proven, wrong) "  # noqa: S608
            "VALUES (?, 1, 2, 90.0, 10.0, 9.0, 1.0, 5, 5, 0, 3, 0, 0, 0, 0)",
            (NODES[0],),
        )
    store = Store.open(tmp_path / "s", MIGRATIONS)
    seen = store.read_now(read_all)[NODES[0]]
    store.close()
    assert seen.lately == Beta(18.0, 2.0)
    assert seen.there == seen.reach.lower


def silent_to_audits(seen: Observed, days: int, answers: float) -> Observed:
    """Ask for a proof twice a day, and let pings be answered all the same."""
    for _ in range(2 * days):
        seen = unanswered(lived(seen, 0.5, answers=answers, proven=None), seen.window.start)
    return seen


def test_who_answers_pings_and_no_audits_is_believed_less_and_less() -> None:
    good = lived(first_seen(START), 60)
    assert r_of(silent_to_audits(good, 10, 1.0)) < 0.6
    assert silent_to_audits(good, 10, 0.5).data == good.data  # it may have been off just then
    once = lived(unanswered(good, good.window.start), 1.0, proven=None)
    assert 0.9 * r_of(good) < r_of(once) < r_of(good)


def test_who_is_silent_for_two_weeks_is_gone_until_it_answers_again() -> None:
    seen = lived(lived(first_seen(START), 20), GONE_AFTER / DAY + 1, answers=0)
    assert seen.gone == seen.heard
    assert r_of(seen) == 0
    assert pinged(seen, after(seen.window.start, Span(1)), answered=True).gone is None


def test_a_clock_that_was_a_year_ahead_stops_no_learning() -> None:
    ahead = after(START, Span(365 * DAY))
    peer, own = pinged(first_seen(ahead), ahead, answered=True), marked(first_seen(ahead), ahead)
    for day in range(30):
        now = after(START, Span(day * DAY))
        peer, own = pinged(peer, now, answered=False), marked(own, now)
    assert peer.gone is not None
    assert own.windows >= 29
    assert own.age == 29 * DAY


def test_vetting_takes_two_weeks_of_pings_and_audits() -> None:
    assert not is_vetted(None)
    assert not is_vetted(lived(first_seen(START), 13))
    assert not is_vetted(lived(first_seen(START), 40, proven=None))
    assert is_vetted(lived(first_seen(START), 15))
    assert missing_for_vetting(lived(first_seen(START), 13))[0] == "1 more day"
    caught = lived(audited(lived(first_seen(START), 15), after(START, Span(16 * DAY)), proven=False), 30)
    assert missing_for_vetting(caught) == ("never: 1 wrong answer to audits",)


@given(st.floats(0, 400), st.floats(0, 365), st.floats(0, 365))
def test_the_old_live_on_more_surely_and_longer_terms_are_less_sure(age: float, term: float, more: float) -> None:
    one = Survival()
    slack = 1e-12  # of floats
    assert one.until(age, term + more) <= one.until(age, term) + slack
    assert one.until(age, term) <= one.until(age + more, term) + slack <= 1 + slack


def test_survival_is_refitted_on_own_history() -> None:
    young = [lived(lived(first_seen(START), 3, proven=None), 20, answers=0, proven=None)] * 30
    old = [Observed(START, after(START, Span(300 * DAY)), first_seen(START).window)] * 30
    learned = fit([*young, *old])
    assert learned.hazards[0] > 5 * Survival().hazards[0]
    assert learned.hazards[3] < Survival().hazards[3]
    assert learned.until(0, 30) < Survival().until(0, 30)


@given(st.integers(0, 2**32))
def test_pings_are_a_quarter_of_an_hour_apart_give_or_take(dice: int) -> None:
    assert PING_PERIOD * 2 // 3 <= next_ping(START, dice) - START <= PING_PERIOD * 4 // 3


def test_own_peers_are_pinged_before_strangers() -> None:
    found = choose(NODES[2:4], (), NODES, NODES[0], 4)
    assert found[:2] == NODES[2:4]
    assert len(set(found) - {NODES[0]}) == 4


@given(
    st.sets(st.sampled_from(NODES)),
    st.lists(st.sampled_from(NODES), unique=True),
    st.permutations(NODES),
    st.integers(1, len(NODES)),
)
def test_who_was_pinged_is_pinged_again_while_he_offers_and_all_others_get_their_turn(
    held: set[NodeId], followed: list[NodeId], offering: list[NodeId], most: int
) -> None:
    offering = offering[: len(offering) // 2 + 1]
    found = choose(sorted(held), followed, offering, NODES[0], most)
    asked = {*held, *offering} - {NODES[0]}
    assert len(found) == len(set(found)) == min(most, len(asked))
    assert set(found) <= asked
    left = max(0, most - len(held - {NODES[0]}))
    again = [n for n in followed if n in offering and n not in held and n != NODES[0]]
    assert set(again[: left * 3 // 4]) <= set(found)
    assert choose(sorted(held), followed, offering[::-1], NODES[0], most) == found, "not whoever bid last"
    if left > left * 3 // 4:
        turns = [choose(sorted(held), followed, offering, NODES[0], most, turn) for turn in range(150)]
        assert set().union(*turns) == asked


# -- vetting


@given(
    st.sets(st.sampled_from(NODES)),
    st.sets(st.sampled_from(NODES)),
    st.dictionaries(st.sampled_from(NODES), st.integers(0, 400)),
    st.integers(0, 10**10),
    st.integers(100, 50_000),
)
def test_newcomers_get_no_more_than_their_lots_and_only_where_others_could_serve(
    offering: set[NodeId], vetted: set[NodeId], notes: dict[NodeId, int], folder_bytes: int, capacity: int
) -> None:
    plan = make_plan(folder_bytes, KIND, Geometry(2, 5))
    bounds = caps(sorted(offering), vetted, {}, needed=5, capacity=Quantity(capacity), share=plan.per_issuer, clean={})
    assert bool(bounds.lots) == (len(offering & vetted) >= 5 and bool(offering - vetted))
    trust = Trust(dict.fromkeys(sorted(vetted), 0.9), frozenset(vetted), bounds)
    held = {node: Held(node, Quantity(q), Quantity(0)) for node, q in notes.items()}
    orders = orders_for_plan(plan, held, sorted(offering), trust)
    assert sum(order.issuer not in vetted for order in orders) <= 5
    assert len(orders) <= ORDERS_MAX
    ordered = {order.issuer: int(order.quantity) for order in orders if order.issuer in bounds.lots}
    before = sum(min(notes.get(node, 0), lot) for node, lot in bounds.lots.items())
    assert sum(ordered.values()) <= max(0, bounds.together - before)
    assert all(q + notes.get(node, 0) <= bounds.lots[node] for node, q in ordered.items() if node is not None)
    if bounds.lots:
        assert sum(node not in notes for node in ordered) <= PROBES_MAX


@given(st.integers(0, 10**10), st.integers(0, 10**9), st.sampled_from([(2, 5), (3, 6), (4, 10)]))
def test_more_data_never_orders_fewer_bytes_and_more_shares_never_fewer_leases(
    size: int, more: int, code: tuple[int, int]
) -> None:
    geometry = Geometry(*code)
    small = orders_for_plan(make_plan(size, KIND, geometry), {}, NODES)
    large = orders_for_plan(make_plan(size + more, KIND, geometry), {}, NODES)
    safer = orders_for_plan(make_plan(size, KIND, Geometry(code[0], code[1] + 1)), {}, NODES)
    assert sum(o.quantity for o in large) >= sum(o.quantity for o in small)
    assert len(safer) >= len(small)


@given(
    st.lists(st.sampled_from(NODES), unique=True),
    st.dictionaries(st.sampled_from(NODES), st.floats(0, 1)),
    st.sets(st.sampled_from(NODES)),
    st.sets(st.sampled_from(NODES)),
    st.integers(0, 6),
)
def test_the_bad_are_wanted_only_where_others_are_missing(
    nodes: list[NodeId], r: dict[NodeId, float], vetted: set[NodeId], judged: set[NodeId], needed: int
) -> None:
    trust = Trust(r, frozenset(vetted), judged=frozenset(judged))
    good = trust.good(nodes, needed)
    here = [n for n in nodes if r.get(n, 1.0) > 0]
    assert [n for n in here if n in good] == good
    assert all(n in good for n in here if not trust.is_bad(n))
    taken = [n for n in good if trust.is_bad(n)]
    assert len(taken) == min(sum(map(trust.is_bad, here)), max(0, needed - (len(here) - sum(map(trust.is_bad, here)))))
    assert all(r[a] >= r[b] for a in taken for b in here if trust.is_bad(b) and b not in good)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 3)), max_size=30))
def test_clean_windows_are_those_with_proofs_since_the_last_fault(audits: list[tuple[int, int, int]]) -> None:
    seen, clean = first_seen(START), 0
    for proven, wrong, mute in audits:
        window = Window(seen.window.start, 20, 20, proven, wrong, mute)
        seen = closed(seen, window, after(window.start, WINDOW))
        clean = 0 if wrong else clean + (proven >= mute and proven > 0)
        assert seen.clean == clean


def test_a_lot_doubles_with_each_clean_day_and_each_clean_lease() -> None:
    share, clean = Quantity(800), {NODES[7]: 11}
    bounds = caps(NODES, NODES[:5], {NODES[6]: 2}, needed=5, capacity=Quantity(10**6), share=share, clean=clean)
    assert [bounds.lots[node] for node in NODES[5:9]] == [100, 400, 400, 100]
    assert bounds.room(NODES[0], {}) is None
    assert Caps({NODES[5]: 10}, 8).room(NODES[5], {NODES[5]: 3}) == 5


# -- the watch and the pinger


async def test_what_was_seen_outlives_a_restart(tmp_path: Path) -> None:
    clock, seen, own = ManualClock(START), dict[NodeId, Observed](), None
    for step in range(3):
        store = Store.open(tmp_path / "s", MIGRATIONS)
        watch = Watch(store=store, clock=clock, limits=LIMITS, me=NODES[5])
        watch.load()
        assert dict(watch.known) == seen
        assert watch.own_reliability() == own
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            await watch.pings([Outcome(NODES[0], answered=True), Outcome(NODES[1], answered=step > 1)])
            await watch.audit(NODES[0], proven=step < 2)
            await watch.audit(NODES[1], proven=None)
            nursery.cancel_scope.cancel()
        seen, own = dict(watch.known), watch.own_reliability()
        assert NODES[5] not in seen  # a node is no peer of its own
        assert own is not None
        clock.advance(WINDOW)
        own = watch.own_reliability()
        store.close()
    assert seen[NODES[0]].windows == 2
    assert seen[NODES[0]].window.wrong == seen[NODES[1]].window.mute == 1


async def test_a_wrong_answer_counts_although_pings_are_noted_at_the_same_moment(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", MIGRATIONS)
    watch = Watch(store=store, clock=ManualClock(START), limits=LIMITS)
    watch.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        async with trio.open_nursery() as at_once:
            for proven in (False, True):
                at_once.start_soon(lambda right=proven: watch.audit(NODES[0], proven=right))
            at_once.start_soon(watch.pings, [Outcome(NODES[0], answered=True)])
        nursery.cancel_scope.cancel()
    window = watch.known[NODES[0]].window
    assert (window.asked, window.answered, window.proven, window.wrong) == (1, 1, 1, 1)
    assert store.read_now(read_all) == dict(watch.known)
    store.close()


async def test_names_without_number_keep_nobody_from_being_known(tmp_path: Path) -> None:
    store, clock = Store.open(tmp_path / "s", MIGRATIONS), ManualClock(START)
    vetted = lived(first_seen(Instant(START - 100 * DAY)), 20)
    store.write_now(lambda db: write(db, {NODES[0]: vetted}))
    watch = Watch(store=store, clock=clock, limits=replace(LIMITS, reliability_peers_max=4))
    watch.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        for node in NODES[1:6]:
            clock.advance(Span(MINUTE))
            await watch.audit(node, proven=True)
        assert set(watch.known) == {NODES[0], *NODES[3:6]}
        await watch.pings([Outcome(node, answered=True) for node in NODES[5:12]])
        assert set(watch.known) == {NODES[0], *NODES[5:8]}
        assert store.read_now(read_all) == dict(watch.known)
        nursery.cancel_scope.cancel()
    store.close()


@given(st.lists(st.integers(1, 60 * 24 * 3), max_size=150), st.integers(0, 40))
def test_what_a_node_knows_of_itself_is_what_others_can_see_of_it(gaps: list[int], off_days: int) -> None:
    own, now = first_seen(START), START
    for gap in gaps:
        now = after(now, Span(gap * MINUTE))
        own = marked(own, now)
        assert 0 < own.reach.lower < 1
        assert span_between(own.window.start, now) < WINDOW
    before = own.reach.mean
    own = marked(own, after(now, Span(off_days * DAY)))
    if off_days > 10:
        assert own.reach.mean < before
        assert own.gone is None


def test_who_is_always_on_is_worth_more_than_who_is_on_by_day() -> None:
    always, by_day, now = first_seen(START), first_seen(START), START
    for step in range(40 * 96):
        now = after(START, Span(step * PING_PERIOD))
        always = marked(always, now)
        by_day = marked(by_day, now) if step % 96 < 48 else by_day
    assert always.reach.lower > 0.95
    assert 0.4 < by_day.reach.lower < 0.6


@given(st.lists(st.floats(0.7, 3.4), min_size=400, max_size=400))
def test_a_machine_that_comes_to_its_pings_late_was_on_all_the_same(pauses: list[float]) -> None:
    own, now = first_seen(START), START
    for pause in pauses:
        now = after(now, Span(int(pause * PING_PERIOD)))
        own = marked(own, now)
    assert own.reach.lower > 0.8
    assert own.reach.mean > 0.9


async def test_a_round_of_pings_does_not_wait_for_a_silent_peer_of_the_last_one(
    tmp_path: Path, idle_clock: trio.testing.MockClock
) -> None:
    hub, clock = MemoryNetwork(LIMITS), ManualClock(START)
    me, other, mute = (hub.node(SigningKey(bytes([n]) * 32)) for n in range(1, 4))
    asked = list[float]()

    async def count(peer: NodeId, body: bytes) -> bytes:
        asked.append(trio.current_time())
        return await answer_ping(peer, body)

    async def never(_peer: NodeId, _body: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    other.add(PING, count, body_max=32)
    mute.add(PING, never, body_max=32)
    limits = replace(LIMITS, ping_timeout=Span(4 * PING_PERIOD))
    store = Store.open(tmp_path / "s", MIGRATIONS)
    watch = Watch(store=store, clock=clock, limits=limits)
    pinger = Pinger(
        watch=watch,
        caller=me,
        peers=lambda: [other.node_id, mute.node_id],
        clock=clock,
        entropy=SeededEntropy(1, "pings"),
        limits=limits,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        nursery.start_soon(pinger.run)
        while len(asked) < 3:  # noqa: ASYNC110 - pings tell nobody
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    store.close()
    assert asked[2] <= 4.01 * PING_PERIOD / 1000  # the first round waits for the mute one for longer than that


async def test_a_round_without_any_answer_is_our_own_fault(tmp_path: Path) -> None:
    hub, clock = MemoryNetwork(LIMITS), ManualClock(START)
    me, *others = (hub.node(SigningKey(bytes([n]) * 32)) for n in range(1, 5))
    for other in others:
        other.add(PING, answer_ping, body_max=32)
    store = Store.open(tmp_path / "s", MIGRATIONS)
    watch = Watch(store=store, clock=clock, limits=LIMITS)
    watch.load()
    names = [other.node_id for other in others]
    pinger = Pinger(
        watch=watch, caller=me, peers=lambda: names, clock=clock, entropy=SeededEntropy(1, "p"), limits=LIMITS
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await pinger.round_now()
        hub.disconnect(names[0])
        await pinger.round_now()
        assert [watch.known[n].window.answered for n in names] == [1, 2, 2]
        for name in names[1:]:
            hub.disconnect(name)
        await pinger.round_now()
        assert [watch.known[n].window.asked for n in names] == [2, 2, 2]
        nursery.cancel_scope.cancel()
    store.close()
