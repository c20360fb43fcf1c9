"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A busy build machine is slow at random: time says nothing about a property.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

pytest_plugins = ["tests.support.hubs"]
