"""The hub's sockets: what a hub that closes owes to whoever is just coming in."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Iterator

import pytest

from devhub.events import Feed
from devhub.faults import FaultPanel
from devhub.listener import AddressClaim, Listener


@pytest.fixture
def claim() -> Iterator[AddressClaim]:
    claim = AddressClaim(None, 8883)
    yield claim
    claim.release()


async def _nobody(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _close_after_steps(claim: AddressClaim, steps: int) -> bytes:
    """What a client reads whose hub closes so many steps of the loop after it was accepted."""
    feed = Feed()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listener = Listener(claim, tls, _nobody, FaultPanel(), feed)
    listener.open()
    with socket.create_connection((claim.address, claim.port)) as client:
        client.settimeout(10)
        while not listener.accepted:
            await asyncio.sleep(0)
        for _ in range(steps):
            await asyncio.sleep(0)
        await listener.close()
        gc.collect()
        feed.close()
        return await asyncio.to_thread(client.recv, 1)


@pytest.mark.parametrize("steps", range(4))
def test_a_connection_that_comes_while_the_hub_closes_is_closed_too(
    claim: AddressClaim, steps: int
) -> None:
    assert asyncio.run(_close_after_steps(claim, steps)) == b""
