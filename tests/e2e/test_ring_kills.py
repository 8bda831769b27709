"""A ring of five real daemons must lose and double nothing when one of them is killed at an exact step of it."""

from pathlib import Path

import pytest

from tests.e2e.ring_kills import Scene


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_a_ring_comes_about_although_its_proposer_and_an_issuer_were_killed_in_it(tmp_path: Path) -> None:
    scene = Scene("ci", tmp_path)
    try:
        scene.open()
        told = [scene.play("proposer:Committing:after"), scene.play("issuer:open:before")]
    finally:
        scene.stage.close(keep=False)
    assert [each.problems for each in told] == [[], []], told
