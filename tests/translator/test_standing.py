"""At stake: an order that a person wrote once and forgot; it must not give more than she said, nor go on for ever."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import BidId, NodeId, show_node
from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, Instant, LeaseKind, Quantity
from nanobarter.daemon.config_file import parse_config
from nanobarter.daemon.config_text import write_config
from nanobarter.daemon.tables import ALL_TABLES
from nanobarter.swap.ended import settled_quantity
from nanobarter.translator.once import Once
from nanobarter.translator.orders import Order
from nanobarter.translator.standing import Standing, price_for, price_of_backup
from nanobarter.translator.tables import MIGRATIONS

KIND, LONG = LeaseKind("30d"), LeaseKind("90d")
ME, *OTHERS = (NodeId(bytes([i]) * 32) for i in range(1, 6))
FILE = Path("/h/config.toml")
others = st.sampled_from(OTHERS)
prices = st.tuples(st.integers(1, 9), st.integers(1, 9))
standings = st.builds(
    Standing, st.integers(1, 5000).map(Quantity), st.just(LONG), st.just(KIND), prices,
    st.lists(others, unique=True, max_size=3).map(tuple), st.just(()), st.booleans(),
)  # fmt: skip


TWO = Standing(Quantity(100), LONG, KIND, (1, 1), tuple(OTHERS[:2]), once=True)


@given(standings, st.dictionaries(others, st.integers(0, 3000)), st.integers(0, 60_000))
def test_an_order_gives_for_what_is_missing_and_never_above_its_price(
    order: Standing, notes: dict[NodeId, int], before: int
) -> None:
    made = order.orders({Quality(node, LONG): size for node, size in notes.items()}, before, ME)
    given_ = sum(each.quantity for each in made)
    assert all(each.omega == order.price and each.gives == Quality(ME, KIND) for each in made)
    assert [each.bid_id(ME) for each in made] == [bid for bid in order.bids(ME) if bid in {e.bid_id(ME) for e in made}]
    if order.once:
        assert given_ == max(0, order.give - before)
    else:
        have = sum(size for node, size in notes.items() if not order.at or node in order.at)
        assert given_ == -(-max(0, order.get - have) * order.price[0] // order.price[1])
        assert given_ <= order.give


@example(
    Standing(Quantity(100), LONG, KIND, (1, 1), tuple(OTHERS[:2]), once=True), [(0, True, 1)] + 5 * [(1, False, 1)]
)
@given(standings, st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 3)), max_size=12))
def test_rings_that_hang_at_some_nodes_are_not_ordered_again_at_others(
    order: Standing, happenings: list[tuple[int, bool, int]]
) -> None:
    promised, notes = dict[BidId, int](), dict[Quality, int]()
    gave = 0
    for which, hangs, part in happenings:
        wanted: dict[BidId, Order] = {each.bid_id(ME): each for each in order.orders(notes, gave, ME, promised)}
        bid = order.bids(ME)[which % len(order.bids(ME))]
        if bid not in wanted:
            continue
        took = (wanted[bid].quantity - promised.get(bid, 0)) // part
        if hangs:
            promised[bid] = promised.get(bid, 0) + took
        else:
            gave += took
            got = Quality(wanted[bid].issuer or OTHERS[0], LONG)
            notes[got] = notes.get(got, 0) + took * order.price[1] // order.price[0]
        assert gave + sum(promised.values()) <= order.give + len(happenings) * order.price[0]  # fractions of a MiB


def test_the_price_is_the_better_of_what_is_said() -> None:
    assert price_for(50, 40, None) == (4, 5)
    assert price_for(50, 40, (1, 2)) == (1, 2)
    assert price_for(50, None, None) == (1, 1)
    assert price_of_backup(100, 40, (1, 1)) == (2, 5)
    assert price_of_backup(30, 40, (1, 1)) == (1, 1)


@given(st.integers(1, 10**6), st.integers(1, 10**6), prices)
def test_a_bargain_never_costs_more_than_it_says(lent: int, most: int, usual: tuple[int, int]) -> None:
    price = Fraction(*price_of_backup(lent, most, usual))
    assert price <= Fraction(*usual)
    assert lent * price <= most


def test_what_an_order_gave_once_is_known_after_the_swap_has_forgotten_it(tmp_path: Path) -> None:
    order = Standing(Quantity(10), KIND, KIND, (1, 1), once=True)
    (bid,) = order.bids(ME)
    store = Store.open(tmp_path / "state.db", MIGRATIONS)
    once = Once(store, lambda _db, _bid: Quantity(7))
    assert once.given([bid]) == 7
    store.write_now(lambda db: db.execute("INSERT INTO market_once VALUES (?, 7, 0)", (bid,)).rowcount)
    assert Once(store, lambda _db, _bid: Quantity(0)).given([bid]) == 7
    assert order.orders({}, 7, ME)[0].quantity == 3
    assert order.orders({}, 10, ME) == []
    store.close()


async def test_when_an_order_was_carried_out_is_known_and_another_name_is_another_order(tmp_path: Path) -> None:
    order = Standing(Quantity(10), KIND, KIND, (1, 1), once=True)
    given_ = 0
    store = Store.open(tmp_path / "state.db", MIGRATIONS)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        once = Once(store, lambda _db, _bid: Quantity(given_))
        bids = order.bids(ME)
        for day, given_ in ((1, 0), (2, 10), (3, 10)):
            await once.begin(bids, Instant(day * DAY))
            assert once.given(bids) == given_
        assert once.last(bids) == 2 * DAY
        again = replace(order, name="again").bids(ME)
        assert again != bids
        assert once.last(again) is None
        nursery.cancel_scope.cancel()
    store.close()


async def test_what_an_order_gives_is_written_with_the_ring_and_outlives_the_swap_s_memory(tmp_path: Path) -> None:
    order = Standing(Quantity(10), KIND, KIND, (1, 1), once=True)
    (bid,), at = order.bids(ME), Instant(5 * DAY)
    row = "INSERT INTO swap_settled VALUES (?, ?, ?, ?)"
    store = Store.open(tmp_path / "state.db", ALL_TABLES)
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        await Once(store, settled_quantity).begin([bid], Instant(0))
        await store.write(lambda db: db.execute(row, (bytes(32), bid, 7, at)).rowcount)
        await store.write(lambda db: db.execute("DELETE FROM swap_settled").rowcount)  # weeks later, or by a rebuild
        again = Once(store, settled_quantity)
        await again.begin([bid], Instant(9 * DAY))
        assert again.given([bid]) == 7
        await store.write(lambda db: db.execute(row, (bytes(32), bid, 3, at)).rowcount)
        await store.write(lambda db: db.execute(row, (b"2" * 32, b"other" * 4, 3, at)).rowcount)
        once = Once(store, settled_quantity)
        assert (once.given([bid]), once.last([bid])) == (10, at)
        assert order.orders({}, once.given([bid]), ME) == []
        assert store.read_now(lambda db: db.execute("SELECT count(*) FROM market_once").fetchone()) == (1,)
        nursery.cancel_scope.cancel()
    store.close()


WRONG = [
    ('[[order]]\ngett = "1GB"', 'config.toml:2: [[order]] gett = "1GB": unknown key', "did you mean get?"),
    ('[[order]]\nkind = "30d"', 'config.toml:1: [[order]] get = "": missing', 'say how much, like get = "10GB"'),
    ("[[order]]\nget = 5", "config.toml:2: [[order]] get = 5: a text is wanted", "put it in quotes"),
    (
        '[[order]]\nget = "1GB"\n[[order]]\nget = "2GB"\nprice = "cheap"',
        'config.toml:5: [[order]] price = "cheap": not a price',
        'write "auto", or what to give for what is received, like "3/2"',
    ),
    (
        '[[order]]\nget = "1GB"\nkind = "31d"',
        'config.toml:3: [[order]] kind = "31d": not a lease kind',
        "write one of 7d, 30d, 90d, 365d",
    ),
    ('[[order]]\nget = "1kB"', 'config.toml:2: [[order]] get = "1kB": too little to trade', "at least 1MiB"),
    (
        '[market]\nback_up = "50GB"',
        'config.toml:2: [market] back_up = "50GB": not such a bargain',
        'write it like 50GB for 40GB, or "off"',
    ),
    (
        '[[order]]\nget = "1GB"\n[[order]]\nget = "1GB"\nrefuse = ["' + show_node(OTHERS[0]) + '"]',
        'config.toml:4: [[order]] get = "1GB": the same order stands above already',
        "write one order for both",
    ),
    ("[order]\nget = 1", "config.toml:1: [[order]]: a list of tables is wanted", "write each order as a heading"),
]


@pytest.mark.parametrize(("text", "message", "hint"), WRONG)
def test_a_mistake_in_an_order_is_told_by_the_line_of_that_order(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(text, FILE)
    assert str(caught.value) == f"/h/{message}"
    assert caught.value.hint.startswith(hint)


def test_orders_are_read_and_written_as_they_are_meant() -> None:
    node = show_node(OTHERS[0])
    text = f'[[order]]\nget = "50GiB"\ngive = "40GiB"\nkind = "90d"\nat = ["{node}"]\nonce = true'
    config = parse_config(text, FILE)
    (order,) = (row.standing(KIND) for row in config.order)
    assert order == Standing(Quantity(51_200), LONG, KIND, (4, 5), (OTHERS[0],), once=True)
    assert order.give == 40_960
    assert parse_config(write_config(config), FILE) == config
