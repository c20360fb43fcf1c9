"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A busy build machine is slow at random: time says nothing about a property.
# Enough to find a fault within days of commits, and to keep all tests under five minutes.
settings.register_profile(
    "any", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any")

pytest_plugins = ["tests.support.hubs"]
