"""Clients of the real SDK that end with the test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient
from azure.iot.device.exceptions import ClientError

SHUTDOWN_TIMEOUT_S = 5


@pytest.fixture
def new_client() -> Iterator[Callable[..., Any]]:
    """Makes clients from the environment; each is shut down at the end."""
    clients: list[Any] = []

    def make(**options: object) -> Any:  # noqa: ANN401 - the SDK ships no types
        options = {"connection_retry_interval": 1, **options}
        client = IoTHubModuleClient.create_from_edge_environment(**options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        _end(client)


def _end(client: Any) -> None:  # noqa: ANN401 - the SDK ships no types
    """Shuts a client down, or leaves it to a daemon thread: shutdown() can hang for good."""

    def shut_down() -> None:
        # It fails when the link goes in the same moment; the second call finds it gone.
        with suppress(ClientError):
            client.shutdown()
            return
        client.shutdown()

    thread = threading.Thread(target=shut_down, daemon=True)
    thread.start()
    thread.join(SHUTDOWN_TIMEOUT_S)
