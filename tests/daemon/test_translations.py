"""At stake: a person who asks for more safety, or has more data, gets less; from her config to the bids.

The whole way is the daemon's: the text of config.toml, the code for so many peers, the plan, the orders and the prices.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanobarter.bots.keeper import Policy, choose
from nanobarter.core.ids import NodeId
from nanobarter.core.units import LeaseKind, Quantity, Span
from nanobarter.daemon.config import Config
from nanobarter.daemon.config_file import parse_config
from nanobarter.daemon.holdings import reserve_quantity
from nanobarter.daemon.terms import terms_of
from nanobarter.storage.geometry import of_durability
from nanobarter.translator.behaviour import Use
from nanobarter.translator.orders import Order
from nanobarter.translator.plan import Held, make_plan
from nanobarter.translator.pricing import own_value
from nanobarter.translator.vetting import Trust, caps

NODES = [NodeId(bytes([i]) * 32) for i in range(1, 31)]
sizes = st.integers(0, 10**12)
Owed = Sequence[tuple[int, int]]
"""Notes of each issuer, and what its leases hold."""


def config_of(mode: str, price: str, kind: str, reserve: str, *, high: bool) -> Config:
    text = f"""
        [backup]
        durability = "{"high" if high else "normal"}"
        [offer]
        space = "100GB"
        kinds = ["{kind}"]
        [market]
        mode = "{mode}"
        price = "{price}"
        reserve = "{reserve}"
    """
    return parse_config(text, Path("config.toml"))


def orders(
    config: Config, use: Use, peers: int, owed: Owed, r: Sequence[float], vetted: frozenset[NodeId]
) -> list[Order]:
    """Return what the folders have ordered; the reserve waits to be asked and is no part of the plan."""
    offering = NODES[:peers]
    code = of_durability(peers, high=config.backup.durability == "high")
    kind: LeaseKind = config.offer.lease_kinds[0]
    plan = make_plan(use.planned_bytes, kind, code) if use.planned_bytes else None
    share = plan.per_issuer if plan is not None else Quantity(0)
    bounds = caps(offering, vetted, {}, needed=code.n, capacity=Quantity(10**6), share=share, clean={})
    trust = Trust(dict(zip(offering, r, strict=False)), vetted, bounds, vetted, r[0])
    held = {
        node: Held(node, Quantity(q), Quantity(0), Quantity(used))
        for node, (q, used) in zip(offering, owed, strict=False)
        if q + used
    }
    reserve = reserve_quantity(config.market.reserve_bytes(config.offer.space_bytes))
    policy = Policy(kind, reserve, config.market.wanted_issuers, Span(1000), Span(0))
    terms = terms_of(config)
    found = choose(
        plan,
        held,
        offering,
        policy,
        trust,
        type(terms)(terms.mode, terms.reserve_price, own=own_value(trust.own)),
    )
    return [order for order in found if not order.patient]


configs = st.tuples(
    st.sampled_from(["ticket", "par", "discount"]),
    st.sampled_from(["auto", "1/1", "3/2", "1/3"]),
    st.sampled_from(["7d", "30d", "90d", "365d"]),
    st.sampled_from(["auto", "0B", "10GB"]),
)
beliefs = st.lists(st.floats(0.01, 0.99), min_size=30, max_size=30)
amounts = st.sampled_from([0, 0, 0, 50, 1000, 10**6])
holdings = st.lists(st.tuples(amounts, amounts), min_size=30, max_size=30)
knowns = st.sets(st.sampled_from(NODES)).map(frozenset)


def more_is_never_less(less: list[Order], more: list[Order]) -> None:
    few, many = ({order.issuer: order.quantity for order in each if not order.bargain} for each in (less, more))
    assert few.keys() <= many.keys()
    assert all(many[issuer] >= quantity for issuer, quantity in few.items())


@given(configs, st.builds(Use, sizes, sizes, sizes, sizes), sizes, st.integers(1, 30), holdings, beliefs, knowns)
def test_more_data_never_orders_fewer_bytes(
    config: tuple[str, str, str, str],
    use: Use,
    more: int,
    peers: int,
    owed: Owed,
    r: list[float],
    vetted: frozenset[NodeId],
) -> None:
    read = config_of(*config, high=False)
    before = orders(read, use, peers, owed, r, vetted)
    for larger in (
        replace(use, folder_bytes=use.folder_bytes + more),
        replace(use, old_bytes=use.old_bytes + more),
        replace(use, growth_bytes_day=use.growth_bytes_day + more),
    ):
        more_is_never_less(before, orders(read, larger, peers, owed, r, vetted))


@given(configs, sizes, st.integers(1, 30), holdings, beliefs, knowns)
def test_more_durability_never_orders_fewer_leases_or_bytes(
    config: tuple[str, str, str, str],
    folders: int,
    peers: int,
    owed: Owed,
    r: list[float],
    vetted: frozenset[NodeId],
) -> None:
    normal, high = (
        orders(config_of(*config, high=each), Use(folders), peers, owed, r, vetted) for each in (False, True)
    )
    more_is_never_less(normal, high)
