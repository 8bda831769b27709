"""At stake: a price told from the wrong book, or a bid that is not the one whose agreement was shown."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import pytest
import trio

from nanobarter.core.canonical import encode
from nanobarter.core.errors import UsageError
from nanobarter.core.ids import BidId, NodeId, show_node
from nanobarter.core.item import make_item
from nanobarter.core.keys import SigningKey
from nanobarter.core.limits import LIMITS
from nanobarter.core.quality import Quality
from nanobarter.core.system import SeededEntropy, SystemClock
from nanobarter.core.units import MINUTE, LeaseKind, Quantity, Span, after
from nanobarter.daemon import facade as f
from nanobarter.daemon.api import RefusedError
from nanobarter.daemon.config import Config, Market
from nanobarter.daemon.home import Home
from nanobarter.daemon.services import Node
from nanobarter.daemon.view import NodeView
from nanobarter.matching.bids import Ratio
from nanobarter.matching.network import find
from nanobarter.matching.wire import BidBody, Want
from nanobarter.swap.events import Settled
from nanobarter.translator.happened import from_swap
from nanobarter.translator.orders import BY_HAND_MAX

KIND = LeaseKind("30d")
ANN, BEN = SigningKey(b"a" * 32), SigningKey(b"b" * 32)
CLOCK = SystemClock()


@asynccontextmanager
async def a_node(path: Path, config: Config = Config()) -> AsyncGenerator[Node]:  # noqa: B008 - frozen
    """Compose a whole node; only its store runs."""
    home = path / "home"
    made = Home(home) if home.exists() else Home.create(home, bytes(64), "")
    node = Node(made, config, clock=CLOCK, entropy=SeededEntropy(1, "node"), limits=LIMITS)
    async with trio.open_nursery() as nursery:
        await nursery.start(node.store.run)
        yield node
        nursery.cancel_scope.cancel()
    node.store.close()


async def pledged(node: Node) -> None:
    await node.mint.start()


async def says(node: Node, who: SigningKey, wants: NodeId | None, omega: Ratio, quantity: int) -> None:
    """Let somebody post a bid: his own notes for those of one issuer, or of any."""
    body = BidBody("limit", Quality(who.node_id, KIND), Want(KIND, wants, (), ()), omega, Quantity(quantity), None)
    expires = after(CLOCK.now(), Span(10 * MINUTE))
    item = make_item(who, "bid", b"k" * 16, sequence=CLOCK.now(), expires=expires, body=encode(body))
    assert await node.gossip.publish(item) is None


async def test_a_quote_and_its_bid_come_from_the_nodes_own_book(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        told = await view.market_quote("", "", "", "")
        assert (told.couples, told.proposal) == ((), None)
        await says(node, ANN, node.me, (2, 1), 100)
        await says(node, BEN, ANN.node_id, (1, 2), 30)
        told = await view.market_quote("", f"30d@{show_node(ANN.node_id)}", "", "")
        assert told.couples == (f.Couple(received_mib=100, given_mib=50),)
        assert told.proposal is not None
        assert (told.proposal.received_mib, told.proposal.given_mib) == (100, 50)
        assert [row.effort for row in told.proposal.chain] == [1.0]
        told = await view.market_quote("30d", f"30d@{show_node(BEN.node_id)}", "20", "")
        assert told.proposal is not None
        assert [row.node for row in told.proposal.chain] == [show_node(ANN.node_id), show_node(BEN.node_id)]
        assert [row.effort for row in told.proposal.chain] == [1.0, 1.0]
        assert (told.proposal.received_mib, told.proposal.given_mib) == (20, 20)


async def test_a_wish_asks_an_effort_of_each_partner_alike(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        await says(node, ANN, node.me, (2, 1), 100)
        await says(node, BEN, ANN.node_id, (1, 1), 100)
        told = await view.market_quote("", f"30d@{show_node(BEN.node_id)}", "50", "3/5")
        wish = told.proposal
        assert wish is not None
        one, other = (row.effort for row in wish.chain)
        assert one == other
        assert one < 1
        assert (wish.received_mib, wish.given_mib) == (50, 30)
        assert wish.chain[0].omega_asked == pytest.approx(2 * one)


async def test_what_cannot_be_had_is_told_in_one_line(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        with pytest.raises(RefusedError, match="nobody gives 30d at any issuer"):
            await view.market_quote("", "", "5", "")
        await says(node, ANN, None, (1, 1), 100)
        with pytest.raises(UsageError, match="no chain gives 101 MiB at once, the widest gives 100 MiB"):
            await view.market_quote("", "", "101", "")
        with pytest.raises(RefusedError, match="no chain yields whole MiB within its limits at 1/2"):
            await view.market_quote("", "", "", "1/2")
        for words, problem in (
            (("30d@any", "", "", ""), "what is given is one quality"),
            (("", "month", "", ""), "'month' is not a quality"),
            (("", "3d", "", ""), "nobody can have a lease of '3d'"),
            (("", "30d@", "", ""), "'30d@' is not a quality"),  # not: of any node
            (("", "30d@nb1x", "", ""), "'nb1x' is not a node id"),
            (("", f"30d@{show_node(node.me)}", "", ""), "the same quality"),
            (("", "", "0", ""), "'0' is not a quantity"),
            (("", "", "1kB", ""), "'1kB' is not a quantity"),
            (("", "", "much", ""), "'much' is not a size"),
            (("", "", "", "0/1"), "'0/1' is not a ratio"),
            (("", "", "", "1.5"), "'1.5' is not a ratio"),
        ):
            with pytest.raises(UsageError, match=problem):
                await view.market_quote(*words)


async def test_rates_are_those_of_the_settled_agreements(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        mine, hers = Quality(node.me, KIND), Quality(ANN.node_id, KIND)
        for number, (gave, got) in enumerate(((10, 20), (10, 40))):
            ring = bytes([number]) * 32
            settled = Settled(ring, bytes(16), ring, (mine, Quantity(gave)), (hers, Quantity(got)), ())  # type: ignore[reportArgumentType]
            happened = from_swap(settled, after(CLOCK.now(), Span(number)))
            assert happened is not None
            await node.ledger.record(happened)
        (row,) = (await NodeView(node, "").market_rates()).rates
        first, second = sorted((str(mine), str(hers)))
        assert (row.first, row.second, row.agreements) == (first, second, 2)
        per_mine = Fraction(row.mean) if first == str(mine) else 1 / Fraction(row.mean)
        last = Fraction(row.last) if first == str(mine) else 1 / Fraction(row.last)
        assert (per_mine, last) == (3, 4)
        assert 0 <= row.at - CLOCK.now() + 60_000 <= 60_001


async def test_the_bid_of_a_wish_yields_just_what_was_shown(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        await pledged(node)
        await says(node, ANN, node.me, (2, 1), 100)
        await says(node, BEN, ANN.node_id, (1, 1), 100)
        hers = f"30d@{show_node(BEN.node_id)}"
        wish = (await view.market_quote("", hers, "50", "3/5")).proposal
        assert wish is not None
        placed = await view.market_bid("", hers, str(wish.quantity_mib), wish.omega, "", best=False)
        assert placed.bid.by_hand
        match = find(node.market.book, BidId(bytes.fromhex(placed.bid.bid)), partners_max=node.market.partners_max)
        assert match is not None
        assert [arc.giver for arc in match.arcs] == [node.me, ANN.node_id, BEN.node_id]
        assert (match.arcs[0].quantity, match.arcs[-1].quantity) == (wish.given_mib, wish.received_mib)


async def test_a_bid_by_hand_is_in_the_book_until_it_is_taken_back(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        await pledged(node)
        placed = await view.market_bid("", "", "20", "3/2", "2/1", best=True)
        await says(node, ANN, None, (1, 1), 5)
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        rows = (await view.market_book()).bids
        mine = next(row for row in rows if row.own)
        assert mine == placed.bid
        assert (mine.type, mine.omega, mine.floor, mine.quantity_mib) == ("best", "3/2", "2/1", 20)
        assert mine.wants == "30d at any issuer"
        hers = next(row for row in rows if not row.own)
        for words, problem in (("", "no own bid"), ("zz", "no own bid"), (hers.bid, "no own bid")):
            with pytest.raises(UsageError, match=problem):
                await view.market_withdraw(words)
        assert (await view.market_withdraw(mine.bid[:8])).bid == mine.bid


async def test_a_bid_by_hand_that_cannot_stand_is_told_why(tmp_path: Path) -> None:
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        await pledged(node)
        for words, best, problem in (
            (("", "", "5", "", "2/1"), False, "a best bid needs a floor"),
            (("", "", "5", "", ""), True, "a best bid needs a floor"),
            (("", "", "5", "2/1", "3/2"), True, "the floor 3/2 is a better price than the omega 2/1"),
            (("", "", "none", "", ""), False, "'none' is not a size"),
            (("365d", "", "5", "", ""), False, "this node offers no 365d space"),
        ):
            with pytest.raises(UsageError, match=problem):
                await view.market_bid(*words, best=best)
        with pytest.raises(RefusedError, match=r"MiB of 30d:.* are free, not 9999999 MiB"):
            await view.market_bid("", "", "9999999", "", "", best=False)
        with pytest.raises(RefusedError, match=r"0 MiB of 30d:.* are held and free, not 5 MiB"):
            await view.market_bid(f"30d@{show_node(ANN.node_id)}", "", "5", "", "", best=False)
        assert (await view.market_book()).bids == ()
        for _ in range(BY_HAND_MAX):
            await view.market_bid("", "", "1", "", "", best=False)
        with pytest.raises(RefusedError, match="8 bids stand by hand already"):
            await view.market_bid("", "", "1", "", "", best=False)


async def test_whom_the_config_refuses_is_not_bartered_with_by_hand_either(tmp_path: Path) -> None:
    ann, ben = show_node(ANN.node_id), show_node(BEN.node_id)
    async with a_node(tmp_path) as node:
        view = NodeView(node, "")
        await pledged(node)
        anybodys, hers = [
            BidId(bytes.fromhex((await view.market_bid("", wants, "20", "", "", best=False)).bid.bid))
            for wants in ("", f"30d@{ann}")
        ]
        assert [node.market.stock_of(bid) for bid in (anybodys, hers)] == [20, 20]
    async with a_node(
        tmp_path, Config(market=Market(refuse=(ann,)))
    ) as node:  # the bids of before are still in the drawer
        view = NodeView(node, "")
        await pledged(node)
        await says(node, ANN, None, (1, 1), 50)
        assert (await view.market_quote("", "", "", "")).couples == ()
        assert [node.market.stock_of(bid) for bid in (anybodys, hers)] == [20, 0]
        placed = await view.market_bid("", "", "20", "", "", best=False)
        assert node.market.book.get(BidId(bytes.fromhex(placed.bid.bid))) is not None
        assert find(node.market.book, BidId(bytes.fromhex(placed.bid.bid))) is None
        await says(node, BEN, None, (1, 1), 50)
        assert find(node.market.book, BidId(bytes.fromhex(placed.bid.bid))) is not None
        with pytest.raises(UsageError, match=rf"\[market\] refuse in config.toml names {ann}") as told:
            await view.market_bid("", f"30d@{ann}", "20", "", "", best=False)
        assert "take it out" in told.value.hint
    async with a_node(tmp_path, Config(market=Market(wants=(ann,)))) as node:
        view = NodeView(node, "")
        await pledged(node)
        for wants in ("", f"30d@{ben}"):
            with pytest.raises(UsageError, match=r"\[market\] wants in config.toml"):
                await view.market_bid("", wants, "20", "", "", best=False)
        assert [node.market.stock_of(bid) for bid in (anybodys, hers)] == [0, 20]
        await view.market_bid("", f"30d@{ann}", "20", "", "", best=False)
