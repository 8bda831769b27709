"""Two people behind routers that let nobody in must reach each other all the same; where the machine lets us try it."""

import json
import subprocess
import sys

import pytest

from tests.e2e.nats import PATHS, why_not
from tests.e2e.village import CHECKOUT

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("router", PATHS)
def test_two_behind_routers_reach_each_other(router: str) -> None:
    if reason := why_not():
        pytest.skip(f"no network namespaces here: {reason}")
    command = [sys.executable, "-m", "tests.e2e.nats", "--bare", "--router", router]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=CHECKOUT)
    assert ended.returncode == 0, ended
    assert json.loads(ended.stdout.splitlines()[-1])["ok"]
