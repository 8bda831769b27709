"""At stake: the book must say that a node owes just what its mint would honour, also after a month of silence."""

from pathlib import Path

import trio

from nanobarter.core.ids import AgreementId, sha256
from nanobarter.core.store import Store
from nanobarter.core.units import DAY, Quantity, Span
from nanobarter.mint.events import MintEvent, PromisesLapsed
from nanobarter.mint.service import Mint
from nanobarter.translator.entries import RingOver
from nanobarter.translator.happened import from_mint
from nanobarter.translator.ledger import Ledger
from nanobarter.translator.tables import MIGRATIONS
from tests.translator.test_ledger import ACORN
from tests.wallet.world import World, good, world_of


def owed(mint: Mint) -> int:
    """Return what the mint would honour: notes, and locks that are another's or opened."""
    promised = sum(lock.terms.quantity for lock in mint.locks() if not lock.fresh or lock.outcome == "opened")
    return sum(c.outstanding for c in mint.capacity()) + promised


def told(ledger: Ledger) -> int:
    return -sum(s.amount for s in ledger.balance() if s.account == "liabilities:notes")


async def ring(world: World, ledger: Ledger, name: str, quantity: int, *, taken: bool) -> None:
    """Let the first node give notes of its own in a ring, which the second one takes, or forgets."""
    a, b = world.nodes
    terms = world.terms(name, a, b, a, quantity)
    good(await a.wallet.lock(b"give", terms, world.soon()))
    good(await a.wallet.open(terms, world.preimages(name)))
    if taken:
        assert await b.wallet.take(terms) == quantity
    over = RingOver(AgreementId(sha256(name.encode())), "settled", (a.quality, Quantity(quantity)), world.clock.now())
    assert await ledger.record(over) == 1


async def test_promises_that_lapse_leave_the_book_as_they_leave_the_mint(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world, trio.open_nursery() as nursery:
        a = world.nodes[0]
        store = Store.open(tmp_path / "book", MIGRATIONS)
        await nursery.start(store.run)
        ledger = Ledger(store=store, node=a.key.node_id, clock=world.clock, pet=ACORN)
        events = list[MintEvent]()
        a.mint.observe(events.append)
        await ring(world, ledger, "taken", 13, taken=True)
        await ring(world, ledger, "forgotten", 8, taken=False)
        assert (told(ledger), owed(a.mint)) == (21, 21)
        world.later(Span(60 * DAY))
        await a.mint.expire()
        heard = [event for event in events if isinstance(event, PromisesLapsed)]
        assert sum(event.quantity for event in heard) == 21
        assert owed(a.mint) == 0
        again = [from_mint(event, world.clock.now()) for event in (*heard, *a.mint.lapses())]
        assert await ledger.record(*(event for event in again if event is not None)) == len(heard) == 2
        assert (told(ledger), owed(a.mint)) == (0, 0)
        nursery.cancel_scope.cancel()
    store.close()


async def test_a_keyset_that_ends_with_nothing_owed_is_no_lapse(tmp_path: Path) -> None:
    async with world_of(tmp_path, 2) as world:
        mint = world.nodes[0].mint
        world.later(Span(40 * DAY))  # closed, and not purged yet
        await mint.expire()
        assert mint.lapses() == []  # an entry of nothing is refused by the book, and a node would not start again
