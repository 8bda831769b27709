"""At stake: peers hang, die, rot and lie; what the owner says of it must be true, and must lead to a repair."""

import pytest

from tests.e2e.misbehaviour import play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def test_a_liar_is_caught_and_replaced() -> None:
    assert play("lies", 0).problems == []
