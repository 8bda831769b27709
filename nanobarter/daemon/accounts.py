"""The ledger in the shapes of the local API, with values in the person's own currency."""

from fractions import Fraction

from nanobarter.core.quality import Quality
from nanobarter.core.store import Store
from nanobarter.daemon import facade
from nanobarter.daemon.config import Config
from nanobarter.translator.ledger import Entry, Ledger
from nanobarter.translator.pet import Pet
from nanobarter.translator.rates import Rates

ENTRIES_SHOWN_MAX = 10_000  # the newest, some years of a busy node; ``nbctl ledger export`` writes all


def pet_of(config: Config) -> Pet:
    """Return the currency that the config describes."""
    anchor = config.pet.anchor_rate
    return Pet.anchored(
        config.pet.name,
        config.pet.symbol,
        size_bytes=anchor.size_bytes,
        days=anchor.days,
        reliability=anchor.reliability_percent / 100,
        worth=anchor.worth,
    )


class Accounts:
    """Tells what the ledger holds."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger, self._store = ledger, store
        self._currency = facade.Currency(name=ledger.pet.name, symbol=ledger.pet.symbol)

    async def ledger(self) -> facade.Ledger:
        """Tell what happened of late, oldest first."""
        self._ledger.check()
        rates = self._ledger.rates()
        rows = self._ledger.newest(ENTRIES_SHOWN_MAX)
        return facade.Ledger(currency=self._currency, entries=tuple(self._entry(row, rates) for row in rows))

    def _entry(self, entry: Entry, rates: Rates) -> facade.LedgerEntry:
        postings = tuple(
            facade.Posting(
                account=p.account,
                commodity=str(p.quality),
                amount=p.amount,
                value=self._value(p.quality, p.amount, rates),
            )
            for p in entry.postings
        )
        return facade.LedgerEntry(entry=entry.number, at=entry.at, text=entry.text, postings=postings)

    def _value(self, quality: Quality, amount: int, rates: Rates) -> str:
        figure = rates.figure(quality)
        return "" if figure is None else self._ledger.pet.number(self._ledger.pet.amount(amount, figure))

    async def balance(self) -> facade.Balance:
        """Tell what stands where, and its sum."""
        self._ledger.check()
        standing, pet = self._ledger.balance(), self._ledger.pet
        rows = tuple(
            facade.BalanceRow(
                account=s.account,
                commodity=str(s.quality),
                amount=s.amount,
                value="" if s.worth is None else pet.number(s.worth),
                source=s.source,
            )
            for s in standing
        )
        # Of the exact amounts: rounded ones would not sum to what they are together.
        owned = (s.worth or Fraction(0) for s in standing if s.account.startswith(("assets", "liabilities")))
        return facade.Balance(currency=self._currency, rows=rows, total=pet.number(sum(owned, Fraction(0))))
