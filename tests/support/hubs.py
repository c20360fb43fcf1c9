"""Fixtures with a hub of their own: the loopback IoT Hub, ready for the real SDK."""

from collections.abc import Iterator

import pytest

from devhub import DevHub


@pytest.fixture
def devhub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DevHub]:
    """A serving hub; the process's environment leads `create_from_edge_environment` to it."""
    with DevHub() as hub:
        for name, value in hub.environment().items():
            monkeypatch.setenv(name, value)
        yield hub
