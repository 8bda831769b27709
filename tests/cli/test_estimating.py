"""What is told before anything is promised must be what the keeper will then ask for."""

import pytest

from nanobarter.cli.beside import beside
from nanobarter.cli.estimate import expected_plan
from nanobarter.cli.estimating import folders_for
from nanobarter.core.units import LeaseKind
from nanobarter.daemon.config import Config, Market, MarketMode, Offer


@pytest.mark.parametrize(("space", "mode"), [("1GB", "discount"), ("700MB", "par"), ("64MB", "par")])
def test_an_offer_pays_for_as_much_of_folders_as_is_told_and_no_more(space: str, mode: MarketMode) -> None:
    config = Config(offer=Offer(space=space), market=Market(mode=mode))
    most = folders_for(config, 5)
    for size, fits in ((most, True), (most + 10**6, False)):
        plan = expected_plan(size, LeaseKind("30d"), 5)
        assert (beside(config, plan).folders <= config.offer.space_bytes) == fits
