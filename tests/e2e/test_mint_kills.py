"""A mint killed under its customers' hands loses, doubles and holds up nothing, and catches everyone who pays twice."""

from pathlib import Path

import pytest

from tests.e2e.mint_kills import Campaign, Told, summary
from tests.e2e.village import place


@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_nothing_is_lost_or_doubled_when_the_mint_is_killed() -> None:
    with place() as folder:
        campaign, told = Campaign("ci", Path(folder)), list[Told]()
        try:
            await campaign.play(1, told.append)
        finally:
            campaign.stage.close(keep=True)
    assert [one.problems for one in told] == [[]]
    came = summary(campaign, told)
    # How many requests one kill meets is luck; the whole campaign counts them.
    assert came["double_spends_refused_with_witness"] == 6 + 6  # at once, and once more afterwards
