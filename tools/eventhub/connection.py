"""One client's connection: proton's engine between a TLS stream and the broker.

Bytes go in, events come out and are dispatched to the `on_*` methods below, bytes go out. The
engine does no input or output by itself, so TLS is Python's and everything runs on one loop.

A client speaks to three kinds of addresses: `$cbs` takes its tokens, `$management` tells of the
hub, and `HUB/ConsumerGroups/GROUP/Partitions/ID` is read. Whoever shows no token gets nothing.
What it does not promise: senders. Events come from `EventHub.send` alone.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any, Final, cast

import proton
from proton import Condition, Delivery, Message, Transport

from devhub.sas import SasRefused
from eventhub.access import Claims
from eventhub.broker import Broker, ReaderRefused
from eventhub.frames import FrameFiller
from eventhub.log import BadPosition, Partition
from eventhub.messages import event_message, management_answer, token_answer

CBS: Final = "$cbs"
MANAGEMENT: Final = "$management"
_EPOCH: Final = "com.microsoft:epoch"
_SELECTOR: Final = "apache.org:selector-filter:string"
_FROM_NOW: Final = "amqp.annotation.x-opt-offset > '@latest'"
_PARTITION: Final = re.compile(r"/?(.+)/ConsumerGroups/([^/]+)/Partitions/([^/]+)", re.IGNORECASE)
_IDLE_S: Final = 240
_MAX_FRAME_BYTES: Final = 65536
_REQUESTS: Final = 100


@dataclass(eq=False)
class LinkReader:
    """A partition's events on their way into one link."""

    connection: "Connection"
    link: Any
    broker: Broker
    group: str
    partition: Partition
    epoch: int | None
    next_sequence: int

    def pump(self) -> None:
        """Send what the link has credit for."""
        for stored in self.partition.after(self.next_sequence):
            if self.link.credit <= 0:
                break
            delivery = self.link.delivery(f"{stored.sequence}")
            self.link.send(event_message(stored))
            self.link.advance()
            delivery.settle()
            self.next_sequence = stored.sequence + 1
            self.broker.sent(stored)
        self.connection.flush()

    def lose(self, condition: str, message: str) -> None:
        """End the link."""
        end(self.link, condition, message)
        self.connection.flush()


class Connection(asyncio.Protocol):
    """Serves one client, from its TLS handshake to its end."""

    def __init__(self, broker: Broker, claims: Claims) -> None:
        self._broker = broker
        self._claims = claims
        self._filler = FrameFiller()
        self._stream: asyncio.Transport | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._dispatching = False
        self._readers: list[LinkReader] = []
        self._answers: dict[str, Any] = {}
        self._collector = proton.Collector()
        self._connection = proton.Connection()
        self._connection.collect(self._collector)
        self._connection.container = "eventhub"
        self._engine = Transport(mode=Transport.SERVER)
        self._engine.max_frame_size = _MAX_FRAME_BYTES
        self._engine.idle_timeout = _IDLE_S
        # Who the client is, its tokens say; SASL is a formality to Event Hubs too.
        self._engine.sasl().allowed_mechs("ANONYMOUS MSSBCBS")
        self._engine.bind(self._connection)

    # The stream.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        self._stream = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """The client wrote."""
        while data and (room := self._engine.capacity()) > 0:
            self._engine.push(data[:room])
            data = data[room:]
            self._dispatch()
        self.flush()
        if data:
            self.drop()  # The engine takes no more: the client broke the protocol.

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, with whatever it read."""
        for reader in self._readers:
            self._broker.detach(reader)
        self._readers.clear()
        if self._tick:
            self._tick.cancel()
        self._stream = None

    def drop(self) -> None:
        """End it at once, as a network would."""
        if self._stream:
            self._stream.abort()

    def flush(self) -> None:
        """Write what the engine has to say; while events are dispatched, that comes after them."""
        if self._stream is None or self._stream.is_closing() or self._dispatching:
            return
        self._dispatch()
        self._engine.tick(time.monotonic())
        while (size := self._engine.pending()) > 0:
            self._stream.write(self._filler.feed(self._engine.peek(size) or b""))
            self._engine.pop(size)
        if size < 0 or self._engine.closed:
            self._stream.close()
        elif self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(_IDLE_S / 8, self._keep_alive)

    def _keep_alive(self) -> None:
        self._tick = None
        self.flush()

    def _dispatch(self) -> None:
        self._dispatching = True
        try:
            while (event := self._collector.peek()) is not None:
                if handler := getattr(self, event.type.method or "", None):
                    handler(event)
                self._collector.pop()
        finally:
            self._dispatching = False

    # What the client does, in the engine's words.

    def on_connection_remote_open(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """The client opens the connection."""
        event.connection.open()

    def on_connection_remote_close(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It closes it."""
        event.connection.close()

    def on_session_remote_open(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It begins a session."""
        event.session.open()

    def on_session_remote_close(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It ends one, and the links in it."""
        for reader in [r for r in self._readers if r.link.session == event.session]:
            self._forget(reader)
        event.session.close()

    def on_link_remote_open(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It attaches a link, which is answered before it is judged, as the service does."""
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        node = link.remote_source.address if link.is_sender else link.remote_target.address
        link.open()
        if node in (CBS, MANAGEMENT):
            if link.is_sender:
                self._answers[node] = link
            else:
                link.flow(_REQUESTS)
        elif link.is_sender:
            self._read(link, node or "")
        else:
            end(link, "amqp:not-implemented", "this event hub takes events from its owner only")

    def on_link_flow(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It gives credit."""
        for reader in self._readers:
            if reader.link == event.link:
                reader.pump()
                return

    def on_link_remote_close(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It detaches a link."""
        for reader in [r for r in self._readers if r.link == event.link]:
            self._forget(reader)
        event.link.close()

    on_link_remote_detach = on_link_remote_close

    def on_delivery(self, event: Any) -> None:  # noqa: ANN401 - proton's event
        """It asks `$cbs` or `$management`."""
        delivery, link = event.delivery, event.link
        if link.is_sender or not delivery.readable or delivery.partial:
            return
        request = Message()
        request.decode(link.recv(delivery.pending))
        link.advance()
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        link.flow(1)
        node = link.remote_target.address
        if answering := self._answers.get(node):
            answering.delivery(answering.delivery_tag())
            answering.send(self._answer(node, request))
            answering.advance()

    # What it means.

    def _answer(self, node: str, request: Message) -> bytes:
        if node == MANAGEMENT:
            if not self._claims.may_use(self._broker.name, time.time()):
                return token_answer(request, 401, "show a token first")
            return management_answer(request, self._broker)
        asked = request.properties or {}
        try:
            self._claims.put(
                str(request.body), str(asked.get("type")), str(asked.get("name")), time.time()
            )
        except SasRefused as error:
            return token_answer(request, 401, str(error))
        return token_answer(request, 202, "Accepted")

    def _read(self, link: Any, address: str) -> None:  # noqa: ANN401 - proton's link
        path = address.partition("://")[2].partition("/")[2] or address
        named = _PARTITION.fullmatch(path)
        partition = self._broker.partitions.get(named[3]) if named else None
        if named is None or partition is None or named[1].casefold() != self._broker.name:
            end(link, "amqp:not-found", f"there is no {path!r}")
            return
        if not self._claims.may_use(path, time.time()):
            end(link, "amqp:unauthorized-access", "show a token for it first")
            return
        epoch = (link.remote_properties or {}).get(_EPOCH)
        try:
            first = partition.find(_selector(link))
            reader = LinkReader(self, link, self._broker, named[2], partition, epoch, first)
            self._broker.attach(reader)
        except BadPosition as error:
            end(link, "amqp:invalid-field", str(error))
        except ReaderRefused as error:
            end(link, error.condition, str(error))
        else:
            self._readers.append(reader)

    def _forget(self, reader: LinkReader) -> None:
        self._readers.remove(reader)
        self._broker.detach(reader)


def end(link: Any, condition: str, message: str) -> None:  # noqa: ANN401 - proton's link
    """Detach a link with its reason."""
    link.condition = Condition(condition, message)
    link.close()


def _selector(link: Any) -> str:  # noqa: ANN401 - proton's link
    filters = link.remote_source.filter
    filters.rewind()
    if filters.next() is None:
        return _FROM_NOW
    chosen = (filters.get_object() or {}).get(_SELECTOR)
    return str(getattr(chosen, "value", chosen) or _FROM_NOW)
