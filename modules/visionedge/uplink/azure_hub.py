"""IoT Edge and IoT Hub by Microsoft's device SDK: the one place that knows it.

The SDK's calls wait without a deadline and some never return; its callbacks come from four
threads in any order; its errors come from two unrelated families. Here each call runs in a
daemon thread of ours under a deadline of ours, each error becomes one of `visionedge.errors`,
and whatever only a new client can mend is told to the supervisor, which makes one.

It is imported when the first session is opened, not at start-up: it takes a fifth of a
second that the first frame need not wait for.

Not promised: that a send that failed has not arrived. The SDK may deliver it after the next
reconnect; the message id is the same, and whoever reads removes duplicates.

Written against azure-iot-device 2.14; only its public names are used. Sources: its code, and
its issues 1202, 1181, 1151, 1067, 944 and 713.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from visionedge.entities import Envelope, Kind
from visionedge.errors import UplinkAuthFailed, UplinkError, UplinkRejected, UplinkUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Caller
from visionedge.uplink.azure_hub_errors import is_refusal, mapped_error
from visionedge.uplink.connection_string import ConnectionString
from visionedge.uplink.hub import (
    DesiredDocument,
    DesiredPatch,
    InputMessage,
    MethodAnswer,
    MethodCall,
)
from visionedge.uplink.limits import allowed_answer
from visionedge.uplink.session import Watch
from visionedge.uplink.supervisor import Patience, SupervisedHub

T = TypeVar("T")
log: Final = logging.getLogger(__name__)
_PRODUCT_INFO: Final = "visionedge"
_LET_GO_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until a call of the SDK counts as lost.

    `connect_s` is longer than the SDK's keep-alive, for which a peer without TLS holds it;
    `twin_s` than the minute that edgeHub takes for a cached twin while it is offline.
    """

    create_s: float = 30.0
    connect_s: float = 75.0
    twin_s: float = 90.0
    send_s: float = 30.0
    report_s: float = 60.0
    method_s: float = 25.0
    answer_s: float = 30.0


class Calls:
    """The threads that wait in the SDK, one for each thread that calls it."""

    def __init__(self) -> None:
        self.control = Caller("azure-control")
        self.send = Caller("azure-send")
        self.predictions = Caller("azure-predictions")
        self.report = Caller("azure-report")
        self.answer = Caller("azure-answer")
        self._all = (self.control, self.send, self.predictions, self.report, self.answer)

    def interrupt(self) -> None:
        """Let all who wait for an answer go without one."""
        for caller in self._all:
            caller.interrupt()

    def close(self) -> None:
        """End them, once nobody waits for a call.

        A twin operation whose answer was lost waits in the SDK for ever, also after the client's
        shutdown, and holds the client, its sockets and a thread: such are let go.
        """
        for caller in self._all:
            caller.close()
            caller.release()


class AzureSession:
    """One client of the SDK, from its creation to its shutdown.

    Args:
        watch: told of patches, methods, the link and whatever makes the client useless.
        deadlines: of every call.
        options: for the SDK: keep_alive, sastoken_ttl, connection_retry_interval.
        connection: who the module is; None to let the SDK ask its environment.
    """

    def __init__(
        self,
        watch: Watch,
        deadlines: Deadlines,
        options: Mapping[str, Any],
        clock: Clock | None = None,
        connection: ConnectionString | None = None,
    ) -> None:
        self._connection = connection
        self._watch = watch
        self._calls = Calls()
        self._deadlines = deadlines
        self._options = options
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._closed = False
        self._client: Any = None

    @property
    def connected(self) -> bool:
        """True while the SDK has a connection; says nothing about the cloud."""
        client = self._client
        return client is not None and bool(client.connected)

    def open(self) -> None:
        """As `Session.open`."""
        deadlines = self._deadlines
        self._call(self._calls.control, self._create, deadlines.create_s)
        self._call(self._calls.control, self._open_client().connect, deadlines.connect_s)
        self._call(self._calls.control, self._subscribe, deadlines.connect_s)

    def read_twin(self) -> DesiredDocument:
        """As `Session.read_twin`."""
        twin = self._call(self._calls.control, self._open_client().get_twin, self._deadlines.twin_s)
        desired = dict(twin.get("desired") or {})
        version = desired.pop("$version", None)
        return DesiredDocument(desired, version)

    def send(self, envelope: Envelope) -> None:
        """As `Session.send`; leaves by the output that is named like the kind."""
        client, message = self._open_client(), _message(envelope)
        # A module that waits for its prediction must not wait behind a picture.
        quick = envelope.kind is Kind.PREDICTIONS
        self._hand_over(
            self._calls.predictions if quick else self._calls.send,
            lambda: client.send_message_to_output(message, str(envelope.kind)),
            self._deadlines.send_s,
        )

    def report(self, patch: Mapping[str, Any]) -> None:
        """As `Session.report`."""
        client, document = self._open_client(), dict(patch)
        self._hand_over(
            self._calls.report,
            lambda: client.patch_twin_reported_properties(document),
            self._deadlines.report_s,
        )

    def close(self, timeout_s: float) -> None:
        """As `Session.close`; frees calls that wait, if the SDK lets them go.

        Who waits for one is told at once: the next session must not wait for this one's answers.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            client, self._client = self._client, None
        self._calls.interrupt()

        def shut_down() -> None:
            try:
                if client is not None:
                    client.shutdown()
            finally:
                self._calls.close()

        throw_away = Caller("azure-shutdown")
        try:
            throw_away.call(shut_down, timeout_s)
        except TimeoutError:
            log.debug("the SDK did not shut down in %.0f s, its client is let go", timeout_s)
            _let_go(client)
            # What it waits for would come with an answer of the hub, if at all.
            throw_away.release(_LET_GO_S)
        except Exception as error:  # noqa: BLE001 - nothing is left to be done with this client
            log.debug("shutdown failed: %r", error)
        finally:
            throw_away.close()

    def _create(self) -> None:
        from azure.iot.device import IoTHubModuleClient

        options = {
            **self._options,
            "product_info": _PRODUCT_INFO,
            # Its own freshness check stops for ever when one answer is lost; ours does not.
            "ensure_desired_properties": False,
        }
        if self._connection is None:
            client = IoTHubModuleClient.create_from_edge_environment(**options)
        else:
            client = IoTHubModuleClient.create_from_connection_string(
                self._connection.text,
                server_verification_cert=self._connection.authority(),
                **options,
            )
        with self._lock:
            closed = self._closed
            if not closed:
                self._client = client
        if closed:
            # The deadline came first: nobody else knows of this client.
            client.shutdown()

    def _open_client(self) -> Any:  # noqa: ANN401 - the SDK's types are not to be had here
        client = self._client
        if client is None:
            raise UplinkUnavailable("the session is closed")
        return client

    def _subscribe(self) -> None:
        client = self._open_client()
        client.on_background_exception = self._on_background_exception
        client.on_twin_desired_properties_patch_received = self._on_patch
        client.on_method_request_received = self._on_method
        client.on_message_received = self._on_message
        # Last, so that the first state that is seen is that of a client that listens.
        client.on_connection_state_change = self._on_connection_state_change

    def _call(self, caller: Caller, function: Callable[[], T], timeout_s: float) -> T:
        try:
            return caller.call(function, timeout_s)
        except UplinkError:
            raise
        except TimeoutError as error:
            self._break("deadline", error)
            raise UplinkUnavailable(str(error)) from None
        except Exception as error:
            mapped = mapped_error(error)
            if isinstance(mapped, UplinkAuthFailed):
                self._break("auth", mapped)
            raise mapped from error

    def _break(self, cause: str, error: Exception) -> None:
        """Have the session given up, also by a supervisor that waits for its twin."""
        self._watch.broken(cause, str(error))
        self._calls.control.interrupt()

    def _hand_over(self, caller: Caller, function: Callable[[], None], timeout_s: float) -> None:
        """A call that may fail because of what is handed over."""
        try:
            self._call(caller, function, timeout_s)
        except UplinkUnavailable as error:
            if is_refusal(error.__cause__):
                raise UplinkRejected(str(error)) from error.__cause__
            raise

    def _on_patch(self, patch: dict[str, Any]) -> None:
        properties = dict(patch)
        version = properties.pop("$version", None)
        if isinstance(version, int):
            self._watch.on_event(DesiredPatch(properties, version))
        else:
            self._watch.want_twin()

    def _on_message(self, message: Any) -> None:  # noqa: ANN401 - the SDK has no type for it
        body = message.data if isinstance(message.data, bytes) else str(message.data).encode()
        self._watch.on_event(
            InputMessage(
                str(message.input_name or ""),
                body,
                {str(name): str(value) for name, value in message.custom_properties.items()},
                str(message.message_id or ""),
                str(message.correlation_id or ""),
            )
        )

    def _on_connection_state_change(self) -> None:
        self._watch.link_changed(self._clock.ns())

    def _on_background_exception(self, error: Exception) -> None:
        mapped = mapped_error(error)
        if isinstance(mapped, UplinkAuthFailed):
            self._break("auth", mapped)
        else:
            log.debug("background exception of the SDK: %r", error)

    def _on_method(self, request: Any) -> None:  # noqa: ANN401 - the SDK has no type for it
        call = MethodCall(request.name, request.payload)
        try:
            self._watch.on_event(call)
            answer = allowed_answer(call.wait(self._deadlines.method_s))
        except Exception as error:
            # The SDK would swallow it, and the caller in the cloud wait for nothing.
            log.exception("method %s failed", request.name)
            answer = MethodAnswer(500, {"error": repr(error)})
        try:
            self._answer(request, answer)
        except UplinkError as error:
            log.warning("the answer to method %s was not delivered: %s", request.name, error)

    def _answer(self, request: Any, answer: MethodAnswer) -> None:  # noqa: ANN401 - as above
        from azure.iot.device import MethodResponse

        client = self._open_client()
        response = MethodResponse.create_from_method_request(
            request, answer.status, dict(answer.payload)
        )
        self._call(
            self._calls.answer,
            lambda: client.send_method_response(response),
            self._deadlines.answer_s,
        )


def build(
    metrics: Metrics,
    *,
    deadlines: Deadlines | None = None,
    patience: Patience | None = None,
    on_stuck: Callable[[str], None] | None = None,
    keep_alive_s: int = 60,
    retry_interval_s: int = 5,
    token_ttl_s: int = 3600,
    connection: ConnectionString | None = None,
) -> SupervisedHub:
    """A hub client from the IoT Edge environment of the process, which the SDK reads itself.

    Args:
        metrics: of the link.
        deadlines: of each call.
        patience: of the supervisor.
        on_stuck: told when rebuilding has failed too often.
        keep_alive_s: MQTT keep-alive; a dead peer is noticed after one and a half of it.
        retry_interval_s: the SDK's own pause between two reconnects of one session.
        token_ttl_s: life of a SAS token; it is renewed two minutes before its end.
        connection: used in place of that environment.
    """
    # It writes a trace for each exception that `on_background_exception` hears of anyway.
    logging.getLogger("azure.iot.device.common.handle_exceptions").setLevel(logging.CRITICAL)
    options = {
        "keep_alive": keep_alive_s,
        "connection_retry_interval": retry_interval_s,
        "sastoken_ttl": token_ttl_s,
    }

    def new_session(watch: Watch) -> AzureSession:
        return AzureSession(watch, deadlines or Deadlines(), options, connection=connection)

    return SupervisedHub(new_session, metrics, patience=patience, on_stuck=on_stuck)


def _let_go(client: Any) -> None:  # noqa: ANN401 - the SDK's types are not to be had here
    """End a shutdown that waits for ever, with its client, sockets and nine threads.

    It asks the runner of each handler to stop, by a mark in what the runner reads, and waits for
    its end. A disconnect that is noticed meanwhile empties that of methods, mark and all: about
    one rebuild of a hundred. A handler that is taken away puts in another mark.
    """
    caller = Caller("azure-let-go")
    try:
        caller.call(lambda: setattr(client, "on_method_request_received", None), _LET_GO_S)
    except TimeoutError:
        log.debug("the SDK still does not shut down, its client is left behind")
    except Exception as error:  # noqa: BLE001 - nothing is left to be done with this client
        log.debug("shutdown failed: %r", error)
    finally:
        caller.close()


def _message(envelope: Envelope) -> Any:  # noqa: ANN401 - the SDK's types are not to be had here
    from azure.iot.device import Message

    # Without both of these edgeHub and IoT Hub cannot route on the body.
    json = envelope.content_type.startswith("application/json")
    message = Message(
        envelope.body,
        message_id=envelope.id,
        content_encoding="utf-8" if json else None,
        content_type=envelope.content_type,
    )
    message.correlation_id = envelope.correlation_id or None
    message.custom_properties = dict(envelope.properties)
    return message
