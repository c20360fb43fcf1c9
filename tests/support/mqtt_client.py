"""A client that speaks MQTT to a devhub byte by byte, and so can be as wrong as a test wants."""

import base64
import socket
import ssl
import time
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from devhub import DevHub
from devhub.packets import Connack, Connect, Packet, PacketDecoder, encode
from devhub.sas import sign

_T = TypeVar("_T", bound=Packet)
DEADLINE_S = 10.0


def token(hub: DevHub, module_id: str = "visionedge", ttl_s: float = 3600) -> bytes:
    """A good shared access signature for a module of the hub."""
    environment = hub.development_environment(module_id)["EdgeHubConnectionString"]
    key = base64.b64decode(environment.partition("SharedAccessKey=")[2])
    resource = quote(f"{hub.iothub_hostname}/devices/{hub.device_id}/modules/{module_id}", safe="")
    end = int(time.time() + ttl_s)
    signature = base64.b64encode(sign(key, f"{resource}\n{end}")).decode()
    return f"SharedAccessSignature sr={resource}&sig={quote(signature, safe='')}&se={end}".encode()


def good_connect(hub: DevHub, keep_alive_s: int = 60, *, clean_session: bool = False) -> Connect:
    """A CONNECT that the hub accepts."""
    client_id = f"{hub.device_id}/{hub.module_id}"
    username = f"{hub.iothub_hostname}/{client_id}/?api-version=2019-10-01"
    return Connect(client_id, keep_alive_s, clean_session, username, token(hub))


class RawClient:
    """One TLS connection; every wait ends after `DEADLINE_S`."""

    def __init__(self, hub: DevHub) -> None:
        context = ssl.create_default_context(cafile=str(hub.ca_file))
        plain = socket.create_connection((hub.address, 8883), timeout=DEADLINE_S)
        self._socket = context.wrap_socket(plain, server_hostname=hub.address)
        self._decoder = PacketDecoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, *packets: Packet | bytes) -> None:
        """Sends packets, or bytes as they are, in one write; `read` tells if the hub hung up."""
        stream = b"".join(p if isinstance(p, bytes) else encode(p) for p in packets)
        with suppress(ConnectionError, ssl.SSLEOFError):
            self._socket.sendall(stream)

    def read(self) -> Packet | None:
        """The next packet, or None when the hub closed the connection."""
        while (packet := self._decoder.next()) is None:
            try:
                chunk = self._socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                return None
            if not chunk:
                return None
            self._decoder.feed(chunk)
        return packet

    def expect(self, kind: type[_T]) -> _T:
        """The next packet, which must be of that type."""
        packet = self.read()
        assert isinstance(packet, kind), f"expected {kind.__name__}, got {packet}"
        return packet

    def join(self, hub: DevHub, keep_alive_s: int = 60, *, clean_session: bool = False) -> Connack:
        """Sends a good CONNECT and returns the answer."""
        self.send(good_connect(hub, keep_alive_s, clean_session=clean_session))
        return self.expect(Connack)
