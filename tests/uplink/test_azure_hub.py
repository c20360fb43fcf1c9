"""The real SDK, unpatched, against the loopback hub: what is on the wire, up and down."""

import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.iot.device import exceptions as public
from azure.iot.device.common import transport_exceptions as transport
from tests.support.envelopes import envelope
from tests.support.hub_sides import WAIT_S, Events, eventually

from devhub import DevHub, MethodTimeout
from visionedge.entities import Kind
from visionedge.errors import (
    SettingsError,
    UplinkAuthFailed,
    UplinkRejected,
    UplinkUnavailable,
)
from visionedge.metrics import Metrics
from visionedge.settings import UplinkSettings
from visionedge.uplink import azure_hub
from visionedge.uplink.azure_hub_errors import error_meanings, is_refusal, mapped_error
from visionedge.uplink.hub import DesiredDocument, DesiredPatch, HubClient, HubEvent, MethodCall
from visionedge.uplink.local_hub import LocalHub
from visionedge.uplink.registry import choose
from visionedge.uplink.supervisor import Patience, SupervisedHub

QUICK = Patience(first_pause_s=0.05, most_pause_s=0.2)
StartHub = Callable[..., SupervisedHub]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def start_hub(devhub: DevHub, events: Events) -> Iterator[StartHub]:
    """Starts a client, by default with short pauses, and waits for its first twin."""
    hubs: list[SupervisedHub] = []

    def start(deadlines: azure_hub.Deadlines | None = None) -> SupervisedHub:
        hub = azure_hub.build(Metrics(), deadlines=deadlines, patience=QUICK, retry_interval_s=1)
        hubs.append(hub)
        hub.start(events)
        events.wait(lambda event: isinstance(event, DesiredDocument))
        return hub

    yield start
    for hub in hubs:
        hub.close(10)


def answer_methods(events: Events, answer: Callable[[MethodCall], None]) -> Callable[..., None]:
    """Events that also answer each method in a thread of its own, as a control thread does."""

    def take(event: HubEvent) -> None:
        events(event)
        if isinstance(event, MethodCall):
            threading.Thread(target=answer, args=(event,), daemon=True).start()

    return take


def test_a_message_carries_all_that_routes_and_consumers_need(
    devhub: DevHub, start_hub: StartHub
) -> None:
    properties = {"camera": "line-1", "reason": "below_threshold"}
    body = json.dumps({"schema": "escalation/1", "text": "größer als 5 µm"}).encode()
    start_hub().send(envelope(id="0f" * 16, body=body, properties=properties))
    devhub.wait(lambda: devhub.messages(), WAIT_S)
    (message,) = devhub.messages()
    assert message.output == "escalation"
    assert message.id == "0f" * 16
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.properties == properties
    assert message.body == body
    assert message.dup is False


def test_a_picture_claims_no_text_encoding(devhub: DevHub, start_hub: StartHub) -> None:
    import dataclasses

    picture = dataclasses.replace(envelope(body=b"\xff\xd8\xff"), content_type="image/jpeg")
    start_hub().send(picture)
    devhub.wait(lambda: devhub.messages(), WAIT_S)
    (message,) = devhub.messages()
    assert (message.content_type, message.content_encoding) == ("image/jpeg", "")


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_leaves_by_the_output_of_its_name(
    devhub: DevHub, start_hub: StartHub, kind: Kind
) -> None:
    start_hub().send(envelope(kind, id="x"))
    devhub.wait(lambda: devhub.ids(kind) == {"x": 1}, WAIT_S)


def test_patches_come_with_their_versions_and_without_system_fields(
    devhub: DevHub, start_hub: StartHub, events: Events
) -> None:
    start_hub()
    version = devhub.patch_desired({"decision": {"accept": 0.7}})
    patch = events.wait(lambda event: isinstance(event, DesiredPatch))
    assert patch == DesiredPatch({"decision": {"accept": 0.7}}, version)


def test_what_was_changed_while_away_comes_with_the_next_connection(
    devhub: DevHub, start_hub: StartHub, events: Events
) -> None:
    start_hub()
    devhub.cut()
    version = devhub.patch_desired({"n": 5})
    devhub.restore()
    events.wait(lambda event: event == DesiredDocument({"n": 5}, version))


def test_a_hub_that_was_never_in_sync_gives_a_document_without_a_version(
    devhub: DevHub, start_hub: StartHub, events: Events
) -> None:
    devhub.set_faults(never_synced=True)
    start_hub()
    events.wait(lambda event: event == DesiredDocument({}, None))


def test_the_development_environment_is_taken_where_there_is_no_edge(
    devhub: DevHub, monkeypatch: pytest.MonkeyPatch, start_hub: StartHub
) -> None:
    for name in devhub.environment():
        monkeypatch.delenv(name)
    for name, value in devhub.development_environment().items():
        monkeypatch.setenv(name, value)
    start_hub().send(envelope(id="dev"))
    devhub.wait(lambda: devhub.ids("escalation") == {"dev": 1}, WAIT_S)


def plain_environment(devhub: DevHub) -> dict[str, str]:
    """A connection string alone, as for a module that runs without IoT Edge."""
    given = devhub.development_environment()
    return {
        "IOTHUB_MODULE_CONNECTION_STRING": given["EdgeHubConnectionString"],
        "EdgeModuleCACertificateFile": given["EdgeModuleCACertificateFile"],
    }


def test_a_plain_connection_string_is_enough(
    devhub: DevHub, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    environment = plain_environment(devhub)
    for name in devhub.environment():
        monkeypatch.delenv(name)
    hub = choose(UplinkSettings(), environment, Metrics(), lambda _: None)
    hub.start(events)
    events.wait(lambda event: isinstance(event, DesiredDocument))
    hub.send(envelope(id="plain"))
    devhub.wait(lambda: devhub.ids("escalation") == {"plain": 1}, WAIT_S)
    # A new client, with what the file says then.
    devhub.rotate_authority()
    devhub.wait(lambda: devhub.connections == ("visionedge",), WAIT_S)
    hub.close(10)


@pytest.mark.parametrize("part", ["HostName", "DeviceId", "ModuleId", "SharedAccessKey"])
def test_a_connection_string_that_lacks_a_part_names_it_and_repeats_nothing(
    devhub: DevHub, part: str
) -> None:
    environment = plain_environment(devhub)
    whole = environment["IOTHUB_MODULE_CONNECTION_STRING"]
    parts = [each for each in whole.split(";") if not each.startswith(f"{part}=")]
    environment["IOTHUB_MODULE_CONNECTION_STRING"] = ";".join(parts)
    with pytest.raises(SettingsError, match=rf"lacks {part} \(") as caught:
        choice("auto", environment)
    key = whole.partition("SharedAccessKey=")[2]
    assert key not in f"{caught.value!r} {caught.value.hint} {caught.value.fields}"


def test_a_key_that_cannot_be_one_ends_the_start_and_is_not_repeated(devhub: DevHub) -> None:
    environment = plain_environment(devhub)
    environment["IOTHUB_MODULE_CONNECTION_STRING"] += "!cut"
    with pytest.raises(SettingsError, match="the SharedAccessKey of .* is no base64") as caught:
        choice("auto", environment)
    assert "!cut" not in f"{caught.value!r} {caught.value.hint} {caught.value.fields}"


# Methods


def test_a_method_goes_down_and_its_answer_comes_up(devhub: DevHub, events: Events) -> None:
    def answer(call: MethodCall) -> None:
        call.answer(200, {"echo": call.payload, "name": call.name})

    hub = azure_hub.build(Metrics(), patience=QUICK)
    hub.start(answer_methods(events, answer))
    events.wait(lambda event: isinstance(event, DesiredDocument))
    response = devhub.invoke_method("captureNow", {"camera": "line-1"}, WAIT_S)
    assert response.status == 200
    assert response.payload == {"echo": {"camera": "line-1"}, "name": "captureNow"}
    hub.close(10)


def test_a_method_that_nobody_answers_gets_504(devhub: DevHub, start_hub: StartHub) -> None:
    start_hub(azure_hub.Deadlines(method_s=0.1))
    response = devhub.invoke_method("slow", {}, WAIT_S)
    assert response.status == 504
    assert "no answer within 0.1 s" in json.dumps(response.payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [({"big": "x" * 200_000}, "bytes"), ({"set": {1}}, "JSON")],
    ids=["too large", "not JSON"],
)
def test_an_answer_that_cannot_be_sent_becomes_a_500(
    devhub: DevHub, events: Events, payload: dict[str, object], reason: str
) -> None:
    hub = azure_hub.build(Metrics(), patience=QUICK)
    hub.start(answer_methods(events, lambda call: call.answer(200, payload)))
    events.wait(lambda event: isinstance(event, DesiredDocument))
    response = devhub.invoke_method("m", {}, WAIT_S)
    assert response.status == 500
    assert reason in json.dumps(response.payload)
    hub.close(10)


def test_a_handler_that_fails_is_answered_500(devhub: DevHub, events: Events) -> None:
    def fail(event: HubEvent) -> None:
        events(event)
        if isinstance(event, MethodCall):
            raise RuntimeError("a bug")

    hub = azure_hub.build(Metrics(), patience=QUICK)
    hub.start(fail)
    events.wait(lambda event: isinstance(event, DesiredDocument))
    assert devhub.invoke_method("m", {}, WAIT_S).status == 500
    hub.close(10)


def test_five_slow_methods_do_not_end_methods(devhub: DevHub, start_hub: StartHub) -> None:
    start_hub(azure_hub.Deadlines(method_s=0.3))
    calls = [devhub.start_method(f"slow-{i}", {}, WAIT_S) for i in range(5)]
    assert [call.result(WAIT_S).status for call in calls] == [504] * 5


def test_a_method_of_a_closed_module_is_not_answered(devhub: DevHub, start_hub: StartHub) -> None:
    start_hub().close(10)
    devhub.wait(lambda: devhub.connections == (), WAIT_S)
    with pytest.raises((MethodTimeout, Exception), match="404|not connected|takes no"):
        devhub.invoke_method("m", {}, 1)


def runners_of(client: Any) -> list[threading.Thread]:  # noqa: ANN401 - the SDK's types are not to be had
    manager = client._handler_manager
    runners = [*manager._receiver_handler_runners.values(), manager._client_event_runner]
    assert any(runners)
    return [each for each in runners if each]


def all_end(threads: list[threading.Thread]) -> None:
    assert eventually(lambda: not any(thread.is_alive() for thread in threads))


def test_a_shutdown_that_lost_its_own_mark_leaves_no_thread_behind(
    start_hub: StartHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a disconnect empties what the runner of methods reads: the SDK waits for ever."""
    hub = start_hub()
    session = hub._session
    assert isinstance(session, azure_hub.AzureSession)
    client: Any = session._client
    inbox = client._inbox_manager.get_method_request_inbox()
    put, lost = inbox.put, list[object]()
    monkeypatch.setattr(inbox, "put", lambda mark: put(mark) if lost else lost.append(mark))
    runners = runners_of(client)
    hub.close(1)
    assert lost
    all_end(runners)


def test_a_shutdown_while_it_reconnects_to_a_silent_hub_leaves_no_thread_behind(
    devhub: DevHub, start_hub: StartHub
) -> None:
    """The SDK would disconnect only after its connect, to which it gives a minute."""
    hub = start_hub()
    session = hub._session
    assert isinstance(session, azure_hub.AzureSession)
    runners = runners_of(session._client)
    devhub.set_faults(mute_connack=True)
    tried = devhub.tcp_count
    devhub.drop_links()
    devhub.wait(lambda: devhub.tcp_count > tried, WAIT_S)
    hub.close(1)
    all_end(runners)


def test_a_missed_send_ends_a_session_that_waits_for_its_twin(
    devhub: DevHub, start_hub: StartHub
) -> None:
    """Else each further send that is missed leaves a thread in it, for as long as that takes."""
    hub = start_hub(azure_hub.Deadlines(send_s=0.5, twin_s=100))
    first = hub._session
    devhub.set_faults(lose_twin_answer=1)
    hub.refresh_twin()
    devhub.wait(lambda: not devhub.faults.lose_twin_answer, WAIT_S)
    devhub.set_faults(lose_puback=1)
    with pytest.raises(UplinkUnavailable):
        hub.send(envelope(id="missed"))
    devhub.wait(lambda: hub._session not in (None, first), WAIT_S)


@pytest.mark.parametrize("fault", ["lose_puback", "lose_twin_answer"])
def test_the_end_of_a_session_is_told_to_who_waits_for_its_answers(
    devhub: DevHub, start_hub: StartHub, fault: str
) -> None:
    hub = start_hub(azure_hub.Deadlines(send_s=100, report_s=100))
    session = hub._session
    assert session is not None
    told = threading.Event()

    def wait_for_answer() -> None:
        with pytest.raises(UplinkUnavailable):
            session.send(envelope()) if fault == "lose_puback" else session.report({"n": 1})
        told.set()

    devhub.set_faults(**{fault: 1})
    waiting = threading.Thread(target=wait_for_answer)
    waiting.start()
    devhub.wait(lambda: not getattr(devhub.faults, fault), WAIT_S)
    session.close(10)
    assert told.wait(WAIT_S)
    waiting.join(WAIT_S)


# Errors


def test_every_error_of_the_sdk_has_a_meaning() -> None:
    defined = {
        kind
        for module in (public, transport)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseException) and kind.__module__ == module.__name__
    }
    assert len(defined) >= 14
    assert defined <= set(error_meanings())


def test_a_wrapped_error_is_known_by_its_cause() -> None:
    wrapped = public.ClientError("Error in the IoTHub client due to TLS exchanges.")
    wrapped.__cause__ = transport.TlsExchangeAuthError()
    assert isinstance(mapped_error(wrapped), UplinkAuthFailed)
    assert isinstance(mapped_error(public.ClientError("Unexpected failure")), UplinkUnavailable)
    assert isinstance(mapped_error(KeyError("never seen before")), UplinkUnavailable)


@pytest.mark.parametrize(
    ("status", "refused"), [(400, True), (413, True), (429, False), (408, False), (503, False)]
)
def test_only_what_can_never_succeed_is_a_refusal(status: int, refused: bool) -> None:
    error = public.ClientError("Unexpected failure")
    error.__cause__ = public.ServiceError(f"twin operation returned status {status}")
    assert is_refusal(error) is refused


def test_a_cause_that_is_its_own_cause_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert isinstance(mapped_error(first), UplinkUnavailable)


def test_a_report_over_the_limit_of_the_whole_document_is_rejected(
    devhub: DevHub, start_hub: StartHub
) -> None:
    hub = start_hub()
    hub.report({f"a{i}": "x" * 4000 for i in range(7)})
    with pytest.raises(UplinkRejected, match="400"):
        hub.report({f"b{i}": "x" * 4000 for i in range(7)})


# Choice


def test_the_sdk_is_not_imported_at_start_up() -> None:
    code = (
        "import sys; from visionedge.uplink import registry, sender; "
        "print([name for name in sys.modules if name.startswith('azure')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def choice(kind: str, environment: dict[str, str]) -> HubClient:
    settings = UplinkSettings.model_validate({"kind": kind})
    return choose(settings, environment, Metrics(), lambda _: None)


def test_auto_is_azure_under_iot_edge_and_a_folder_elsewhere(devhub: DevHub) -> None:
    assert isinstance(choice("auto", devhub.environment()), SupervisedHub)
    assert isinstance(choice("auto", devhub.development_environment()), SupervisedHub)
    assert isinstance(choice("auto", {"PATH": "/bin"}), LocalHub)
    assert isinstance(choice("auto", plain_environment(devhub)), SupervisedHub)
    assert isinstance(choice("local", devhub.environment()), LocalHub)
    assert isinstance(choice("local", plain_environment(devhub)), LocalHub)


@pytest.mark.parametrize("kind", ["auto", "azure"])
def test_a_broken_edge_environment_is_an_error_that_names_what_lacks(
    devhub: DevHub, kind: str
) -> None:
    environment = devhub.environment()
    del environment["IOTEDGE_WORKLOADURI"]
    with pytest.raises(SettingsError, match="IOTEDGE_WORKLOADURI") as caught:
        choice(kind, environment)
    assert caught.value.fields == {"uplink.kind": "the environment lacks IOTEDGE_WORKLOADURI"}


def test_azure_without_any_environment_is_an_error() -> None:
    with pytest.raises(SettingsError, match="EdgeHubConnectionString"):
        choice("azure", {})
