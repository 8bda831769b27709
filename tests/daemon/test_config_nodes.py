"""At stake: a person's word on whose notes she never wants; an order must not buy them all the same."""

from pathlib import Path

import pytest

from nanobarter.core.errors import UsageError
from nanobarter.core.ids import NodeId, show_node
from nanobarter.core.quality import Quality
from nanobarter.core.units import LeaseKind, Quantity
from nanobarter.daemon.config_file import parse_config
from nanobarter.daemon.terms import standings_of
from nanobarter.translator.orders import Order, bid_for

ME, A, B, C = (NodeId(bytes([i]) * 32) for i in range(1, 5))
TEXT = {node: show_node(node) for node in (ME, A, B, C)}
FILE = Path("/h/config.toml")
ORDER = '[[order]]\nget = "100MiB"\n'


def _ids(*nodes: NodeId) -> str:
    return "[" + ", ".join(f'"{TEXT[node]}"' for node in nodes) + "]"


WRONG = [
    (f"[market]\nrefuse = {_ids(A)}\n{ORDER}at = {_ids(A)}", "5: [[order]] at", "is in [market] refuse", "take it out"),
    (f"[market]\nwants = {_ids(A)}\n{ORDER}at = {_ids(B)}", "5: [[order]] at", "not in [market] wants", "add it to"),
    (
        f"[market]\nwants = {_ids(A)}\n{ORDER}refuse = {_ids(A)}",
        "5: [[order]] refuse",
        "nobody is left",
        "take one out",
    ),
    (f"[market]\nrefuse = {_ids(A)}\nwants = {_ids(A)}", "3: [market] wants", "is in refuse, too", "take it out"),
    (f"[market]\nprefer = {_ids(B, A)}\nrefuse = {_ids(A)}", "2: [market] prefer", "is in refuse, too", "take it out"),
    (f"{ORDER}at = {_ids(A, A)}", "3: [[order]] at", "there twice", "write it once"),
    (f"{ORDER}refuse = {_ids(A, A)}", "3: [[order]] refuse", "there twice", "write it once"),
    (f"[market]\nprefer = {_ids(A, A)}", "2: [market] prefer", "there twice", "write it once"),
    (f"[market]\nrefuse = {_ids(A, B, A)}", "2: [market] refuse", "there twice", "write it once"),
    (f"[market]\nwants = {_ids(A, A)}", "2: [market] wants", "there twice", "write it once"),
    (f"[network]\nfriends = {_ids(A, A)}", "2: [network] friends", "there twice", "write it once"),
    (f'[offer]\nkinds = ["90d"]\n{ORDER}{ORDER}kind = "90d"', "6: [[order]] get", "stands above already", "write one"),
]


@pytest.mark.parametrize(("text", "where", "problem", "hint"), WRONG)
def test_nodes_that_are_named_against_each_other_are_told(text: str, where: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(text, FILE)
    assert str(caught.value).startswith(f"/h/config.toml:{where} = ")
    assert problem in str(caught.value)
    assert caught.value.hint.startswith(hint)


def _made(text: str, notes: dict[Quality, int] | None = None) -> list[Order]:
    (order,) = standings_of(parse_config(text, FILE))
    return order.orders(notes or {}, 0, ME)


def test_an_order_leaves_out_whom_the_market_refuses_and_their_notes_do_not_count() -> None:
    notes = {Quality(A, LeaseKind("30d")): 40, Quality(C, LeaseKind("30d")): 10}
    (made,) = _made(f"[market]\nrefuse = {_ids(A)}\n{ORDER}refuse = {_ids(B)}", notes)
    assert made.quantity == 90
    assert set(bid_for(made, ME).wants.refused) == {ME, A, B}


def test_whom_the_person_refuses_is_left_out_however_many_others_are() -> None:
    others = [NodeId(bytes([0, i]) + bytes(30)) for i in range(100)]
    refused = bid_for(Order(LeaseKind("30d"), None, Quantity(1), refused=(C,)), ME, others).wants.refused
    assert {ME, C} < set(refused)
    assert len(refused) == 64


def test_an_order_of_one_who_wants_only_some_is_for_their_notes_and_stays_the_same_order() -> None:
    market = f"[market]\nwants = {_ids(ME, A, B, C)}\nrefuse = []\n"
    made = _made(f"{market}{ORDER}refuse = {_ids(B)}\nonce = true")
    assert [(order.issuer, order.quantity) for order in made] == [(A, 50), (C, 50)]
    (plain,) = standings_of(parse_config(f"{ORDER}once = true", FILE))
    ever = plain.bids_ever(ME)
    assert plain.bids(ME) == ever[:1]
    assert [order.bid_id(ME) for order in made] == ever[:2]
