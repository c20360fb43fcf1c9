"""What holds for all tests."""

import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A busy build machine is slow at random: time says nothing about a property.
# Enough to find a fault within days of commits, and to keep all tests under five minutes.
settings.register_profile(
    "any", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any")

# A shell has what it starts in the background ignore Ctrl-C, and the children of that as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.support.hubs"]


@pytest.fixture(autouse=True)
def _log_of_the_process() -> Iterator[None]:
    """An app that a test makes configures the log of all: the next test has its own again."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
