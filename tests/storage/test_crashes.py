"""A machine dies at any moment; whatever it had promised to keep must come back once it runs again.

All moments: ``python -m tests.storage.crashes``.
"""

import pytest

from tests.storage.crashes import DEEDS, sweep


@pytest.mark.parametrize("deed", DEEDS)
async def test_a_deed_that_dies_at_a_durable_write_is_done_by_the_next_life(deed: str) -> None:
    assert await sweep(deed, first=5, step=29) >= 2
