"""What every test may ask for."""

import os
import signal
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, settings
from trio.testing import MockClock

# The same examples in every run, so that a change is refused only for what it does; "long" draws others each time.
settings.register_profile(
    "bounded", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
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


@pytest.fixture
def idle_clock() -> MockClock:
    """A clock that goes on to what happens next once nothing is at work, also no worker thread.

    ``autojump_clock`` counts who waits for a thread as idle, so that under it any timeout may pass while a disk is
    written to. By this one only what truly hangs is late, however busy the machine is.
    """
    clock = MockClock(autojump_threshold=0.001)
    jump = clock._autojump  # pyright: ignore[reportPrivateUsage] - trio has no public way to ask more of a moment

    def jump_when_idle() -> None:
        if not trio.to_thread.current_default_thread_limiter().borrowed_tokens:
            jump()

    clock._autojump = jump_when_idle  # pyright: ignore[reportPrivateUsage] - as above
    return clock
