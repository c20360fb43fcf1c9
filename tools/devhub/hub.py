"""The hub as its user sees it: plain, synchronous calls and one `with` block.

A `DevHub` owns everything it needs: a loopback address, a certificate authority, module keys, a
folder for its socket and certificate, and one thread with the loop that everything runs on. A
test or a demo stays ordinary code.

What it does not promise: storage (all state is in memory, and gone with the hub), routes (every
output goes to the cloud), and speed beyond a few thousand messages a second.
"""

import base64
import linecache
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devhub.errors import HubClosed, WaitTimeout
from devhub.events import HubEvent
from devhub.faults import Faults, FaultValue
from devhub.identity import Identity, MethodResponse
from devhub.ledger import DeviceMessage, MessageLedger, Tally
from devhub.listener import MQTT_TLS_PORT
from devhub.script import Script, ScriptPlayer
from devhub.server import Server
from devhub.twin import JsonObject
from devhub.workload import API_VERSION

_LOOK_AGAIN_S = 0.1
_CALL_GRACE_S = 10.0


class DevHub:
    """A loopback IoT Hub, edgeHub and workload API for the real device SDK.

    Args:
        device_id: The device's name.
        module_id: The module that calls without `module_id` are about.
        more_modules: Further modules of the device.
        address: A loopback address to serve on; None takes a free 127.0.0.x.
        iothub_hostname: The name that tokens are made for; nothing connects to it.
        keep_messages: How many of the newest messages `messages` can return.
        keep_body_bytes: How many bytes of bodies these may hold.
        keep_ids: How many message ids per output are remembered by `ids`.
    """

    def __init__(
        self,
        device_id: str = "line-1",
        module_id: str = "visionedge",
        *,
        more_modules: tuple[str, ...] = (),
        address: str | None = None,
        iothub_hostname: str = "devhub.localhost",
        keep_messages: int = 1000,
        keep_body_bytes: int = 64 * 1024 * 1024,
        keep_ids: int = 200_000,
    ) -> None:
        self.device_id = device_id
        self.module_id = module_id
        self.iothub_hostname = iothub_hostname
        self._modules = (module_id, *more_modules)
        self._wanted_address = address
        self._ledger = MessageLedger(keep_messages, keep_body_bytes, keep_ids)
        self._server = Server(iothub_hostname, self._ledger)
        self._edge = self._server.edge
        self._feed = self._server.feed
        self._players: list[ScriptPlayer] = []
        for each in self._modules:
            identity = Identity(device_id, each)
            self._edge.identities[identity.client_id] = identity

    # Life.

    def start(self) -> Self:
        """Starts to serve; a hub is started once.

        Raises:
            AddressUnavailable: The address is taken, or none is free.
        """
        self._server.open(self._wanted_address)
        return self

    def close(self) -> None:
        """Ends every link and forgets everything on disk; can be called again."""
        for player in self._players:
            player.stop()
        self._players.clear()
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # How a module finds it.

    @property
    def address(self) -> str:
        """The loopback address that it serves on, port 8883."""
        return self._server.address

    @property
    def ca_file(self) -> Path:
        """The authority's certificate, PEM; made anew by `rotate_authority`."""
        return self._server.ca_file

    def environment(self, module_id: str | None = None) -> dict[str, str]:
        """The variables that edgeAgent would set for a module.

        With these set, `IoTHubModuleClient.create_from_edge_environment()` finds the hub.
        """
        identity = self._identity(module_id)
        return {
            "IOTEDGE_IOTHUBHOSTNAME": self.iothub_hostname,
            "IOTEDGE_GATEWAYHOSTNAME": self.address,
            "IOTEDGE_DEVICEID": identity.device_id,
            "IOTEDGE_MODULEID": identity.module_id,
            "IOTEDGE_MODULEGENERATIONID": identity.generation_id,
            "IOTEDGE_WORKLOADURI": f"unix://{self._server.workload_socket}",
            "IOTEDGE_APIVERSION": API_VERSION,
            "IOTEDGE_AUTHSCHEME": "sasToken",
        }

    def development_environment(self, module_id: str | None = None) -> dict[str, str]:
        """The two variables that the SDK falls back to outside of IoT Edge: no workload API."""
        identity = self._identity(module_id)
        key = base64.b64encode(identity.key).decode("ascii")
        return {
            "EdgeHubConnectionString": f"HostName={self.iothub_hostname};"
            f"GatewayHostName={self.address};DeviceId={identity.device_id};"
            f"ModuleId={identity.module_id};SharedAccessKey={key}",
            "EdgeModuleCACertificateFile": str(self.ca_file),
        }

    # What it saw.

    def messages(
        self, output: str | None = None, module_id: str | None = None
    ) -> list[DeviceMessage]:
        """The newest messages, oldest first; of one output or one module if named."""
        return self._ledger.messages(output, module_id)

    def ids(self, output: str) -> dict[str, int]:
        """How often each message id came on an output."""
        return self._ledger.ids(output)

    def tallies(self) -> dict[str, Tally]:
        """Counts of messages and bytes since the start, by output."""
        return self._ledger.tallies()

    @property
    def desired(self) -> JsonObject:
        """The desired properties of the first module, as the cloud has them; do not change."""
        return self._identity(None).twin.desired

    @property
    def reported(self) -> JsonObject:
        """The reported properties of the first module; do not change."""
        return self._identity(None).twin.reported

    def twin(self, module_id: str | None = None) -> JsonObject:
        """Both documents with their versions, as the cloud has them."""
        twin = self._identity(module_id).twin
        return {
            "desired": {**twin.desired, "$version": twin.desired_version},
            "reported": {**twin.reported, "$version": twin.reported_version},
        }

    @property
    def connections(self) -> tuple[str, ...]:
        """The modules that are connected now."""
        return tuple(each.module_id for each in self._edge.identities.values() if each.link)

    def subscriptions(self, module_id: str | None = None) -> tuple[str, ...]:
        """The topic filters of a module's session."""
        return tuple(self._identity(module_id).session.subscriptions)

    def undelivered_inputs(self, module_id: str | None = None) -> int:
        """Input messages that the module has not acknowledged."""
        return self._identity(module_id).session.undelivered

    @property
    def connect_count(self) -> int:
        """How many CONNECTs were accepted."""
        return self._edge.connect_count

    @property
    def refused_count(self) -> int:
        """How many CONNECTs were refused."""
        return self._edge.refused_count

    @property
    def tcp_count(self) -> int:
        """How many TCP connections were accepted, whatever came of them."""
        return self._server.accepted

    @property
    def callback_errors(self) -> int:
        """How many callbacks raised; each is in the log with its trace."""
        return self._feed.callback_errors

    def on_message(self, callback: Callable[[DeviceMessage], None]) -> None:
        """Calls back for every message, in one thread of the hub's; do not block it for long."""
        self._feed.listen(on_message=callback)

    def on_event(self, callback: Callable[[HubEvent], None]) -> None:
        """Calls back for everything that happens, in the same thread as `on_message`."""
        self._feed.listen(on_event=callback)

    def wait(
        self, predicate: Callable[[], object], timeout_s: float = 10.0, what: str = ""
    ) -> None:
        """Returns when the predicate is true; asks after everything that happens in the hub.

        Args:
            predicate: Asked in this thread, often; cheap.
            timeout_s: How long to wait at most.
            what: What is waited for, for the message.

        Raises:
            WaitTimeout: It did not come true; the message shows the hub's state and last events.
        """
        if not self._feed.bell.wait_for(predicate, timeout_s, _LOOK_AGAIN_S):
            raise WaitTimeout(self._wait_report(what or _name_of(predicate), timeout_s))

    def last_events(self) -> str:
        """The newest events, one a line, as the command prints them."""
        return "\n".join(map(str, list(self._feed.last_events)))

    def status(self) -> dict[str, Any]:
        """The hub's state in a form for printing."""
        return {
            "address": f"{self.address}:{MQTT_TLS_PORT}",
            "device": self.device_id,
            "modules": list(self._modules),
            "connected": list(self.connections),
            "connects": self.connect_count,
            "refused": self.refused_count,
            "outputs": {
                output or "(none)": {"messages": each.messages, "bytes": each.size_bytes}
                for output, each in self.tallies().items()
            },
            "twin_versions": {
                each.module_id: [each.twin.desired_version, each.twin.reported_version]
                for each in self._edge.identities.values()
            },
            "faults": self.faults.active(),
        }

    # What the cloud does.

    def patch_desired(self, changes: JsonObject, module_id: str | None = None) -> int:
        """Merges into the desired properties (None removes) and returns the new version."""
        identity = self._identity(module_id)

        def patch() -> int:
            version = identity.twin.patch_desired(changes)
            self._edge.sync_desired(identity)
            return version

        return self._server.call(patch)

    def replace_desired(self, document: JsonObject, module_id: str | None = None) -> int:
        """Makes the desired properties equal to a document and returns the new version."""
        identity = self._identity(module_id)

        def replace() -> int:
            version = identity.twin.replace_desired(document)
            self._edge.sync_desired(identity)
            return version

        return self._server.call(replace)

    def start_method(
        self, name: str, payload: object, timeout_s: float = 30.0, module_id: str | None = None
    ) -> Future[MethodResponse]:
        """Calls a direct method without waiting; the future can be cancelled."""
        identity = self._identity(module_id)
        return self._server.submit(self._edge.invoke(identity, name, payload, timeout_s))

    def invoke_method(
        self,
        name: str,
        payload: object = None,
        timeout_s: float = 30.0,
        module_id: str | None = None,
    ) -> MethodResponse:
        """Calls a direct method and returns the module's answer.

        Raises:
            ModuleNotConnected: The module takes no methods now (404).
            MethodTimeout: It gave no answer in time (504).
            ValueError: The payload is over 128 KB.
            HubClosed: The hub was closed meanwhile.
        """
        try:
            return self.start_method(name, payload, timeout_s, module_id).result(
                timeout_s + _CALL_GRACE_S
            )
        except CancelledError:
            raise HubClosed("the hub was closed during the call") from None

    def send_input(
        self,
        input_name: str,
        body: bytes,
        properties: Mapping[str, str] | None = None,
        module_id: str | None = None,
    ) -> None:
        """Sends to a module's input; kept until the module acknowledges it, as edgeHub does.

        Args:
            properties: Application properties; system ones by their short names, as `$.ct`.
        """
        identity = self._identity(module_id)
        self._server.call(self._edge.send_input, identity, input_name, body, properties or {})

    # What goes wrong.

    @property
    def faults(self) -> Faults:
        """What goes wrong now."""
        return self._server.panel.now

    def set_faults(self, **changes: FaultValue) -> Faults:
        """Changes faults, by the names of `Faults`; in force when it returns.

        Raises:
            ValueError: No fault has that name, or the value does not fit.
        """
        return self._server.set_faults(changes, clear=False)

    def clear_faults(self) -> Faults:
        """Puts every fault to rest."""
        return self._server.set_faults({}, clear=True)

    def cut(self) -> None:
        """Drops every link and refuses TCP until `restore`."""
        self.set_faults(refuse_tcp=True)
        self.drop_links()

    def restore(self) -> None:
        """Accepts TCP again."""
        self.set_faults(refuse_tcp=False)

    def drop_links(self) -> None:
        """Drops every link once; modules may connect again at once."""
        self._server.drop_links()

    def lose_sessions(self) -> None:
        """Forgets every session and drops the links, as re-creating edgeHub does."""
        self._server.lose_sessions()

    def rotate_authority(self) -> None:
        """Makes a new CA and certificate and drops the links; old trust bundles fail from now."""
        self._server.rotate_authority()

    def play(self, script: Script) -> ScriptPlayer:
        """Begins to play faults over time; they end with the script, its `stop`, or the hub."""
        player = ScriptPlayer(self, script)
        self._players.append(player)
        return player.start()

    # How it is done.

    def _identity(self, module_id: str | None) -> Identity:
        client_id = f"{self.device_id}/{module_id or self.module_id}"
        try:
            return self._edge.identities[client_id]
        except KeyError:
            known = ", ".join(self._modules)
            raise ValueError(f"no module {module_id!r} on this hub; there are {known}") from None

    def _wait_report(self, what: str, timeout_s: float) -> str:
        events = "\n  ".join(map(str, list(self._feed.last_events)[-15:])) or "none"
        return f"waited {timeout_s:g} s for {what}\nhub: {self.status()}\nlast events:\n  {events}"


def _name_of(predicate: Callable[[], object]) -> str:
    """The source line of a lambda or the name of a function."""
    code = getattr(predicate, "__code__", None)
    if code is None:
        return repr(predicate)
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    return f"{line or predicate!r} ({Path(code.co_filename).name}:{code.co_firstlineno})"
