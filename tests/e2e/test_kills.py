"""A daemon killed in the middle of the demo's story, and started again, loses and doubles nothing."""

from pathlib import Path

import pytest

from tests.e2e.kills import Run


@pytest.mark.e2e
@pytest.mark.parametrize(("seed", "phases"), [("ci-1", ("start", "backup")), ("ci-2", ("barter",))])
def test_the_story_ends_well_although_a_daemon_was_killed(seed: str, phases: tuple[str, ...], tmp_path: Path) -> None:
    run = Run(seed, phases, tmp_path)
    try:
        told = run.play()
    finally:
        run.stage.close(keep=False)
    assert told.problems == [], told
    assert len(told.kills) == len(phases)
