"""Blob storage on loopback: Azurite, Microsoft's emulator, where `make azurite` installed it.

Each test gets a container of its own in one process that all share.
"""

import atexit
import shutil
import socket
import subprocess
import time
import uuid
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from azure.storage.blob import ContainerClient

from verifier.stores.blob import BlobStore

_ROOT: Final = Path(__file__).parents[2]
_START_S: Final = 30.0
_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The emulator's published key; it opens nothing else."""


def azurite_container(request: pytest.FixtureRequest) -> ContainerClient:
    """An empty container; skips, saying so, where Azurite is not installed."""
    client = ContainerClient.from_connection_string(connection_string(), f"t{uuid.uuid4().hex}")
    client.create_container()
    request.addfinalizer(client.close)
    return client


def azurite_store(request: pytest.FixtureRequest) -> BlobStore:
    """An empty store."""
    return BlobStore(azurite_container(request))


def connection_string() -> str:
    """Of the emulator, which is started by whoever asks first."""
    return (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
        f"AccountKey={_KEY};BlobEndpoint=http://127.0.0.1:{_running()}/devstoreaccount1;"
    )


@cache
def _running() -> int:
    program = shutil.which("azurite-blob", path=str(_ROOT / ".azurite/node_modules/.bin"))
    if program is None or shutil.which("node") is None:
        pytest.skip("Azurite is not installed: `make azurite`")
    port = _free_port()
    arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    running = subprocess.Popen([program, *arguments, *flags], stdout=subprocess.DEVNULL)
    atexit.register(_end, running)
    _await_port(port)
    return port


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    running.wait(10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await_port(port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
        else:
            return
