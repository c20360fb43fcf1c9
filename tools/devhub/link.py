"""One client's connection, from its CONNECT to its end: the protocol, not the meaning.

The link reads packets, keeps the keep-alive, acknowledges and paces; what a packet means is asked
of its `Edge`. A link ends once, by whatever comes first (the client, the network, a fault, the
token's end, another client with the same id), and then tells the edge the reason.

Source: OASIS MQTT 3.1.1; edgeHub drops a link when its token expires.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from devhub.events import Feed
from devhub.faults import FaultPanel, Faults
from devhub.packets import (
    Connack,
    Connect,
    Disconnect,
    MalformedPacket,
    Packet,
    PacketDecoder,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    encode,
)

CONNECT_TIMEOUT_S = 10.0
KEEP_ALIVE_SLACK = 1.5
GOODBYE_S = 2.0
_READ_BYTES = 65536
_FROZEN_LOOK_S = 0.05


class LinkRefused(Exception):
    """What the client did closes its link; the message says what."""


class Edge(Protocol):
    """Who gives the packets of a link their meaning."""

    def connect(self, link: "Link", packet: Connect) -> Connack:
        """Judges a CONNECT; takes the link in when the code is 0."""

    def opened(self, link: "Link") -> None:
        """The CONNACK is sent or a subscription acknowledged: stored messages may go out."""

    def publish(self, link: "Link", packet: Publish) -> None:
        """Takes a message. Raises LinkRefused to close the link without acknowledging."""

    def subscribe(self, link: "Link", packet: Subscribe) -> tuple[int, ...]:
        """Makes subscriptions and returns the codes of the SUBACK."""

    def unsubscribe(self, link: "Link", packet: Unsubscribe) -> None:
        """Forgets subscriptions."""

    def acknowledged(self, link: "Link", packet_id: int) -> None:
        """The client has a QoS 1 message of ours."""

    def gone(self, link: "Link", reason: str) -> None:
        """The link ended."""


def _thawed(faults: Faults) -> bool:
    return not faults.freeze


class Link:
    """One accepted TLS connection."""

    def __init__(
        self,
        edge: Edge,
        panel: FaultPanel,
        feed: Feed,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._edge = edge
        self._panel = panel
        self._feed = feed
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._decoder = PacketDecoder()
        self._read_limit_s: float | None = CONNECT_TIMEOUT_S
        self._late: deque[tuple[float, bytes]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._ended = False

    async def run(self) -> None:
        """Serves the link until it ends; never raises but for cancellation."""
        reason = "the client closed the connection"
        try:
            await self._serve()
        except (LinkRefused, MalformedPacket) as error:
            reason = str(error)
        except TimeoutError:
            reason = f"silent for {self._read_limit_s} s"
        except OSError as error:  # ConnectionError and ssl.SSLError are OSErrors
            reason = f"the connection broke: {error}"
        finally:
            self.drop(reason)

    def drop(self, reason: str) -> None:
        """Ends the link now, with no word to the client."""
        self._end(reason)
        self._writer.transport.abort()

    def drop_later(self, delay_s: float, reason: str) -> None:
        """Drops the link after a delay, if it lives so long."""
        self._later(max(0.0, delay_s), lambda: self.drop(reason))

    def send(self, packet: Packet) -> None:
        """Writes a packet, late if the link is slow now, and always in order."""
        if self._ended:
            return
        latency_s = self._panel.now.latency_s
        if not latency_s and not self._late and not self._panel.now.freeze:
            self._writer.write(encode(packet))
            return
        due = self._loop.time() + latency_s
        self._late.append((max(due, self._late[-1][0] if self._late else due), encode(packet)))
        if len(self._late) == 1:
            self._later(latency_s, self._send_late)

    def _send_late(self) -> None:
        if self._panel.now.freeze:
            self._later(_FROZEN_LOOK_S, self._send_late)
            return
        now = self._loop.time()
        while self._late and self._late[0][0] <= now:
            self._writer.write(self._late.popleft()[1])
        if self._late:
            self._later(self._late[0][0] - now, self._send_late)

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Calls after a delay, unless the link ends first."""

        def fire() -> None:
            self._timers.discard(handle)
            call()

        handle = self._loop.call_later(delay_s, fire)
        self._timers.add(handle)

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        self._edge.gone(self, reason)

    async def _serve(self) -> None:
        first = await self._next()
        if not isinstance(first, Connect):
            raise LinkRefused("the first packet is no CONNECT")
        if self._panel.now.mute_connack:
            self._read_limit_s = None
            self._feed.emit("muted", first.client_id, "no CONNACK will come")
            while True:
                await self._next()
        answer = self._edge.connect(self, first)
        self.send(answer)
        if answer.code:
            await self._say_goodbye()
            return
        slack_s = first.keep_alive_s * KEEP_ALIVE_SLACK
        self._read_limit_s = slack_s or None
        self._edge.opened(self)
        while True:
            packet = await self._next()
            if self._ended:
                return
            if isinstance(packet, Disconnect):
                self._end("the client disconnected")
                return
            self._handle(packet)
            await self._feed.room()
            await self._writer.drain()

    async def _say_goodbye(self) -> None:
        """Lets a refusal reach the client before the link closes."""
        while self._late:
            await asyncio.sleep(max(0.001, self._late[-1][0] - self._loop.time()))
        await self._writer.drain()
        self._writer.close()
        async with asyncio.timeout(GOODBYE_S):
            await self._writer.wait_closed()

    async def _next(self) -> Packet:
        while (packet := self._decoder.next()) is None:
            await self._panel.until(_thawed)
            async with asyncio.timeout(self._read_limit_s):
                chunk = await self._reader.read(_READ_BYTES)
            if not chunk:
                raise ConnectionResetError("the client closed it")
            await self._panel.until(_thawed)
            self._decoder.feed(chunk)
            if rate := self._panel.now.uplink_bytes_per_s:
                await asyncio.sleep(len(chunk) / rate)
        return packet

    def _handle(self, packet: Packet) -> None:
        match packet:
            case Publish():
                self._take(packet)
            case Puback(packet_id):
                self._edge.acknowledged(self, packet_id)
            case Subscribe():
                codes = self._edge.subscribe(self, packet)
                if not self._panel.take("lose_suback"):
                    self.send(Suback(packet.packet_id, codes))
                self._edge.opened(self)
            case Unsubscribe():
                self._edge.unsubscribe(self, packet)
                self.send(Unsuback(packet.packet_id))
            case Pingreq():
                self.send(Pingresp())
            case _:
                raise LinkRefused(f"a client must not send {type(packet).__name__} now")

    def _take(self, packet: Publish) -> None:
        self._edge.publish(self, packet)
        if self._panel.last_of("drop_at_publish"):
            raise LinkRefused("fault: dropped after taking a message, before its PUBACK")
        if packet.packet_id is None or self._panel.take("lose_puback"):
            return
        answer = Puback(packet.packet_id)
        if delay_s := self._panel.now.puback_delay_s:
            self._later(delay_s, lambda: self.send(answer))
        else:
            self.send(answer)
