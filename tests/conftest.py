"""What every test may ask for."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("bounded", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what a shell's background job begins with, and hands on
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.load_profile(os.environ.get("NANOBARTER_HYPOTHESIS", "bounded"))


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of shared test vectors; absent it is a failure under CI and a skip elsewhere."""
    folder = os.environ.get("NANOBARTER_VECTORS", "")
    if folder and Path(folder).is_dir():
        return Path(folder)
    message = "NANOBARTER_VECTORS names no folder of test vectors"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
