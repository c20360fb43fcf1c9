"""edgeHub's part: what the packets of a module mean.

It admits modules by their token, takes telemetry into the ledger, serves twins, pushes desired
changes, calls methods and keeps input messages until they are acknowledged. Pushes go only to a
link that subscribed: a client that believes to be subscribed and is not must be found out here
as it would be in the field.

Everything runs on the hub's loop; nothing here waits but `invoke`.
"""

import asyncio
import datetime as dt
import itertools
import json
import time
from collections.abc import Mapping

from devhub import sas, topics
from devhub.errors import MethodTimeout, ModuleNotConnected
from devhub.events import Feed
from devhub.faults import FaultPanel, Faults
from devhub.identity import Identity, MethodResponse
from devhub.ledger import DeviceMessage, MessageLedger
from devhub.link import Link, LinkRefused
from devhub.packets import (
    MAX_PACKET_BYTES,
    Connack,
    Connect,
    Publish,
    Subscribe,
    Unsubscribe,
)
from devhub.reported_rules import ReportRefused, parse_report
from devhub.session import Session
from devhub.twin import JsonObject, to_json

MAX_METHOD_BYTES = 128 * 1024
_ACCEPTED, _BAD_PROTOCOL, _BAD_CLIENT_ID, _BAD_USERNAME, _NOT_AUTHORIZED = 0, 1, 2, 4, 5
_MQTT_3_1_1 = ("MQTT", 4)
_TAKEN_OVER = "another client connected with the same id"
_NEVER_SYNCED: JsonObject = {"desired": {}, "reported": {}}


class EdgeHub:
    """The meaning of every packet; implements `devhub.link.Edge`."""

    def __init__(
        self, iothub_hostname: str, panel: FaultPanel, feed: Feed, ledger: MessageLedger
    ) -> None:
        self.identities: dict[str, Identity] = {}
        self.connect_count = 0
        self.refused_count = 0
        self._iothub_hostname = iothub_hostname
        self._panel = panel
        self._feed = feed
        self._ledger = ledger
        self._by_link: dict[Link, Identity] = {}
        self._calls: dict[str, asyncio.Future[MethodResponse]] = {}
        self._request_ids = itertools.count(1)
        self._sequence = itertools.count(1)
        panel.watch(self._faults_changed)

    # What a link asks.

    def connect(self, link: Link, packet: Connect) -> Connack:
        """Judges a CONNECT and takes the link in when it is good."""
        code, reason = self._judge(link, packet)
        if code:
            self.refused_count += 1
            self._feed.emit("refused", packet.client_id, f"CONNACK {code}: {reason}")
            return Connack(code)
        identity = self.identities[packet.client_id]
        if identity.link:
            identity.link.drop(_TAKEN_OVER)
        if packet.clean_session or self._panel.take("lose_session"):
            identity.session = Session()
        identity.link = link
        self._by_link[link] = identity
        self.connect_count += 1
        if rival_s := self._panel.now.rival_s:
            link.drop_later(rival_s, _TAKEN_OVER)
        resumed = bool(identity.session.subscriptions)
        kind = "session resumed" if resumed else "new session"
        self._feed.emit("connected", identity.module_id, f"{kind}, {packet.keep_alive_s} s")
        return Connack(0, session_present=resumed)

    def opened(self, link: Link) -> None:
        """Sends the input messages that may go out."""
        if identity := self._by_link.get(link):
            self._release(identity)

    def publish(self, link: Link, packet: Publish) -> None:
        """Takes what a module sends."""
        identity = self._by_link[link]
        events = topics.events(identity.device_id, identity.module_id)
        if len(packet.topic.encode()) + len(packet.payload) > MAX_PACKET_BYTES:
            raise LinkRefused(f"a message over {MAX_PACKET_BYTES} bytes")
        if packet.topic.startswith(events):
            self._telemetry(identity, packet, topics.decode_bag(packet.topic[len(events) :]))
        elif packet.topic.startswith(topics.TWIN_GET):
            self._get_twin(identity, packet)
        elif packet.topic.startswith(topics.TWIN_REPORT):
            self._report(identity, packet)
        elif packet.topic.startswith(topics.METHOD_ANSWER):
            self._method_answer(identity, packet)
        else:
            raise LinkRefused(f"no module may publish to {packet.topic[:80]!r}")

    def subscribe(self, link: Link, packet: Subscribe) -> tuple[int, ...]:
        """Makes subscriptions; every filter is granted at most QoS 1."""
        identity = self._by_link[link]
        granted = {name: min(qos, 1) for name, qos in packet.filters}
        identity.session.subscriptions.update(granted)
        self._feed.emit("subscribed", identity.module_id, ", ".join(granted))
        return tuple(granted[name] for name, _ in packet.filters)

    def unsubscribe(self, link: Link, packet: Unsubscribe) -> None:
        """Forgets subscriptions."""
        identity = self._by_link[link]
        for name in packet.filters:
            identity.session.subscriptions.pop(name, None)
        self._feed.emit("unsubscribed", identity.module_id, ", ".join(packet.filters))

    def acknowledged(self, link: Link, packet_id: int) -> None:
        """The module has an input message or a push."""
        self._by_link[link].session.acknowledge(packet_id)
        self._feed.bell.ring()

    def gone(self, link: Link, reason: str) -> None:
        """A link ended, admitted or not."""
        identity = self._by_link.pop(link, None)
        if identity is None:
            return
        identity.link = None
        identity.session.suspend()
        self._feed.emit("disconnected", identity.module_id, reason)

    # What the hub's user asks.

    def sync_desired(self, identity: Identity) -> None:
        """Brings desired changes to the edge and pushes them, unless the cloud is silent."""
        if self._panel.now.silent_cloud:
            return
        identity.held_patches += identity.twin.sync()
        if len(identity.held_patches) < self._panel.now.reorder_patches:
            return
        patches, identity.held_patches = identity.held_patches, []
        if self._panel.now.reorder_patches:
            patches.reverse()
        for patch in patches:
            pushed = self._push(identity, topics.twin_patch(patch.version), patch.body())
            line = f"version {patch.version}: {', '.join(patch.changes)}"
            how = "pushed" if pushed else "not pushed, nobody is subscribed"
            self._feed.emit("desired", identity.module_id, f"{line} ({how})")

    async def invoke(
        self, identity: Identity, name: str, payload: object, timeout_s: float
    ) -> MethodResponse:
        """Calls a direct method and waits for the answer.

        Raises:
            ModuleNotConnected: There is no link that takes methods.
            MethodTimeout: No answer came in time.
            ValueError: The payload is over 128 KB.
        """
        body = to_json(payload)
        if len(body) > MAX_METHOD_BYTES:
            raise ValueError(f"a method payload of {len(body)} bytes; {MAX_METHOD_BYTES} fit")
        request_id = f"{next(self._request_ids):x}"
        future: asyncio.Future[MethodResponse] = asyncio.get_running_loop().create_future()
        self._calls[request_id] = future
        try:
            topic = topics.method_call(name, request_id)
            if self._panel.now.silent_cloud or not self._push(identity, topic, body):
                raise ModuleNotConnected(f"{identity.module_id} takes no methods now (404)")
            async with asyncio.timeout(timeout_s):
                response = await future
        except TimeoutError:
            self._feed.emit("method", identity.module_id, f"{name}: no answer in {timeout_s:g} s")
            raise MethodTimeout(f"{name}: no answer in {timeout_s:g} s (504)") from None
        finally:
            del self._calls[request_id]
        self._feed.emit("method", identity.module_id, f"{name}: {response.status}")
        return response

    def send_input(
        self, identity: Identity, input_name: str, body: bytes, properties: Mapping[str, str]
    ) -> None:
        """Stores a message for an input; it goes out when the module takes it."""
        topic = topics.input_message(identity.device_id, identity.module_id, input_name, properties)
        identity.session.store(Publish(topic, body))
        self._feed.emit("input", identity.module_id, f"{input_name}, {len(body)} bytes")
        self._release(identity)

    # How it is done.

    def _judge(self, link: Link, packet: Connect) -> tuple[int, str]:
        if code := self._panel.now.connack_code:
            return code, "fault"
        if (packet.protocol_name, packet.protocol_level) != _MQTT_3_1_1:
            return _BAD_PROTOCOL, f"{packet.protocol_name} level {packet.protocol_level}"
        if not packet.client_id:
            return _BAD_CLIENT_ID, "an empty client id"
        identity = self.identities.get(packet.client_id)
        if identity is None:
            return _NOT_AUTHORIZED, "no such module identity"
        prefix = f"{self._iothub_hostname}/{packet.client_id}/?"
        if not (packet.username or "").startswith(prefix):
            return _BAD_USERNAME, f"the user name does not start with {prefix!r}"
        try:
            token = sas.parse(packet.password)
            resource = identity.resource(self._iothub_hostname)
            sas.verify(token, identity.key, resource, time.time())
        except sas.SasRefused as error:
            return _NOT_AUTHORIZED, str(error)
        left_s = self._token_left_s(identity, token)
        if left_s <= 0:
            return _NOT_AUTHORIZED, "fault: the token has expired"
        link.drop_later(left_s, "the shared access signature expired")
        return _ACCEPTED, ""

    def _token_left_s(self, identity: Identity, token: sas.SasToken) -> float:
        now_s = time.time()
        first_s = identity.seen_first_s(token.signature, now_s)
        life_s = self._panel.now.token_life_s
        ends_s = min(token.expires_at, first_s + life_s) if life_s else token.expires_at
        return ends_s - now_s

    def _telemetry(self, identity: Identity, packet: Publish, bag: dict[str, str]) -> None:
        system = {meaning: bag.pop(name, "") for name, meaning in topics.SYSTEM_NAMES.items()}
        output = system.pop("output")
        if output and output == self._panel.now.poison_output:
            raise LinkRefused(f"fault: messages to {output!r} are poison")
        message = DeviceMessage(
            device_id=identity.device_id,
            module_id=identity.module_id,
            id=system.pop("message_id"),
            output=output,
            body=packet.payload,
            properties=bag,
            dup=packet.dup,
            size_bytes=len(packet.topic.encode()) + len(packet.payload),
            received_at=dt.datetime.now(dt.UTC),
            sequence=next(self._sequence),
            **system,
        )
        self._ledger.add(message)
        self._feed.deliver(message)
        dup = ", dup" if packet.dup else ""
        line = f"{output or '(no output)'} {message.id} {message.size_bytes} bytes{dup}"
        self._feed.emit("message", identity.module_id, line)

    def _get_twin(self, identity: Identity, packet: Publish) -> None:
        never_synced = self._panel.now.never_synced
        body = to_json(_NEVER_SYNCED if never_synced else identity.twin.document())
        self._feed.emit("twin-get", identity.module_id, f"{len(body)} bytes")
        self._answer_twin(identity, packet, 200, body)

    def _report(self, identity: Identity, packet: Publish) -> None:
        try:
            changes = parse_report(packet.payload, identity.twin.reported)
        except ReportRefused as error:
            self._feed.emit("report-refused", identity.module_id, str(error))
            self._answer_twin(identity, packet, 400, b"")
            return
        version = identity.twin.report(changes)
        line = f"version {version}, {len(packet.payload)} bytes: {', '.join(changes)}"
        self._feed.emit("reported", identity.module_id, line)
        self._answer_twin(identity, packet, 204, b"", version)

    def _answer_twin(
        self,
        identity: Identity,
        packet: Publish,
        status: int,
        body: bytes,
        version: int | None = None,
    ) -> None:
        if self._panel.take("lose_twin_answer"):
            return
        request_id = topics.query(packet.topic).get("$rid", "")
        self._push(identity, topics.twin_answer(status, request_id, version), body)

    def _method_answer(self, identity: Identity, packet: Publish) -> None:
        future = self._calls.get(topics.query(packet.topic).get("$rid", ""))
        try:
            status = topics.method_status(packet.topic)
            response = MethodResponse(status, json.loads(packet.payload or b"null"))
        except (ValueError, RecursionError) as error:
            raise LinkRefused(f"a method's answer that cannot be read: {error}") from error
        if future is None or future.done():
            self._feed.emit("method", identity.module_id, f"a late answer: {status}")
        else:
            future.set_result(response)

    def _push(self, identity: Identity, topic: str, payload: bytes) -> bool:
        """Sends to the link if it subscribed; tells whether it did."""
        qos = identity.session.takes(topic)
        if identity.link is None or qos is None:
            return False
        packet_id = identity.session.next_id() if qos else None
        identity.link.send(Publish(topic, payload, qos, packet_id))
        return True

    def _release(self, identity: Identity) -> None:
        if identity.link:
            for message in identity.session.release():
                identity.link.send(message)

    def _faults_changed(self, before: Faults, after: Faults) -> None:
        if after.token_life_s and not before.token_life_s:
            for link in self._by_link:
                link.drop_later(after.token_life_s, "fault: the token has expired")
        line = ", ".join(f"{name}={value}" for name, value in after.active().items())
        self._feed.emit("faults", "", line or "none")
        for identity in self.identities.values():
            self.sync_desired(identity)
