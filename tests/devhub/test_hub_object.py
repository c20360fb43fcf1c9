"""The hub as an object: its life, its waiting, its callbacks."""

import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from tests.support.mqtt_client import RawClient

from devhub import AddressUnavailable, DevHub, DeviceMessage, HubClosed, HubEvent, WaitTimeout
from devhub.loop_thread import LoopThread
from devhub.packets import Puback, Publish, Suback, Subscribe

EVENTS = "devices/line-1/modules/visionedge/messages/events/"


def send(hub: DevHub, *bodies: bytes) -> None:
    """Sends messages to the output `out` and waits for their acknowledgement."""
    with RawClient(hub) as client:
        client.join(hub)
        client.send(*(Publish(EVENTS + "$.on=out", each, 1, 1) for each in bodies))
        for _ in bodies:
            client.expect(Puback)


def test_closing_leaves_nothing_behind() -> None:
    threads = set(threading.enumerate())
    hub = DevHub().start()
    folder = hub.ca_file.parent
    assert {path.name for path in folder.iterdir()} >= {"ca.pem", "workload.sock", "server.key"}
    assert (folder / "server.key").stat().st_mode & 0o077 == 0
    hub.close()
    hub.close()
    assert not folder.exists()
    assert set(threading.enumerate()) <= threads
    with pytest.raises(RuntimeError, match="closed"):
        hub.patch_desired({})


def test_what_it_saw_can_be_read_after_closing() -> None:
    with DevHub() as hub:
        send(hub, b"x")
    assert [m.body for m in hub.messages("out")] == [b"x"]
    assert hub.connections == ()


def test_a_hub_is_started_once() -> None:
    with DevHub() as hub, pytest.raises(RuntimeError, match="started once"):
        hub.start()


def test_a_hub_that_is_not_started_says_so() -> None:
    hub = DevHub()
    for use in (hub.environment, hub.cut, lambda: hub.patch_desired({}), lambda: hub.address):
        with pytest.raises(HubClosed, match="not started"):
            use()
    with pytest.raises(HubClosed, match="not started"):
        hub.invoke_method("x")
    hub.close()


def test_an_address_can_be_chosen_and_is_taken_by_one_hub(
    devhub: DevHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = devhub.address
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(AddressUnavailable, match=rf"{address}, port 8883"):
        DevHub(address=address).start()
    assert list(tmp_path.iterdir()) == []
    devhub.close()
    with DevHub(address=address) as again:
        assert again.address == address


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(AddressUnavailable, match="192"):
        DevHub(address="192.0.2.1").start()


def test_wait_returns_as_soon_as_it_is_true(devhub: DevHub) -> None:
    sender = threading.Thread(target=send, args=(devhub, b"1", b"2"))
    sender.start()
    devhub.wait(lambda: len(devhub.messages()) == 2)
    sender.join()


def test_wait_tells_what_it_saw_instead(devhub: DevHub) -> None:
    send(devhub, b"x")
    with pytest.raises(WaitTimeout) as caught:
        devhub.wait(lambda: devhub.connect_count == 7, timeout_s=0.01)
    report = str(caught.value)
    assert "devhub.connect_count == 7" in report
    assert "'connects': 1" in report
    assert "message" in report
    with pytest.raises(TimeoutError, match="for the end of time"):
        devhub.wait(lambda: False, timeout_s=0, what="the end of time")


def test_callbacks_get_everything_in_order_in_one_thread(devhub: DevHub) -> None:
    messages: list[tuple[bytes, str]] = []
    events: list[HubEvent] = []
    devhub.on_message(lambda m: messages.append((m.body, threading.current_thread().name)))
    devhub.on_event(events.append)
    send(devhub, *(b"%d" % number for number in range(50)))
    devhub.wait(lambda: [e.kind for e in events][-1:] == ["disconnected"])
    assert [body for body, _ in messages] == [b"%d" % number for number in range(50)]
    assert len({name for _, name in messages}) == 1
    assert [e.kind for e in events][0] == "connected"


def test_a_callback_that_fails_is_counted_and_stops_nothing(devhub: DevHub) -> None:
    got: list[bytes] = []

    def fail(_message: DeviceMessage) -> None:
        raise LookupError("a bug of the caller")

    devhub.on_message(fail)
    devhub.on_message(lambda m: got.append(m.body))
    send(devhub, b"1", b"2")
    devhub.wait(lambda: len(got) == 2)
    assert devhub.callback_errors == 2


def test_a_slow_callback_holds_the_sender_back_and_bounds_the_memory(devhub: DevHub) -> None:
    release = threading.Event()

    def hold(_message: DeviceMessage) -> None:
        release.wait(20)

    devhub.on_message(hold)
    sent = threading.Thread(target=send, args=(devhub, *[b"x"] * 600))
    sent.start()
    devhub.wait(lambda: devhub.tallies().get("out") and devhub.tallies()["out"].messages > 200)
    with pytest.raises(WaitTimeout):
        devhub.wait(lambda: devhub.tallies()["out"].messages > 400, timeout_s=0.2)
    release.set()
    devhub.wait(lambda: devhub.tallies()["out"].messages == 600)
    sent.join()


def test_a_loop_cannot_wait_for_itself() -> None:
    loop = LoopThread("test-loop")
    with pytest.raises(RuntimeError, match="own loop"):
        loop.call(lambda: loop.call(lambda: None))
    loop.stop()
    loop.stop()
    with pytest.raises(HubClosed):
        loop.call(lambda: None)


def test_closing_ends_a_call_that_waits(devhub: DevHub) -> None:
    with RawClient(devhub) as client:
        client.join(devhub)
        client.send(Subscribe(1, (("$iothub/methods/POST/#", 1),)))
        client.expect(Suback)
        call = devhub.start_method("never", None)
        client.expect(Publish)
        devhub.close()
        with pytest.raises(CancelledError):
            call.result(10)
    with pytest.raises(HubClosed):
        devhub.invoke_method("never")


def test_a_temporary_folder_with_a_long_name_still_holds_the_socket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("d" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with DevHub() as hub:
        send(hub, b"x")
    assert list(long.iterdir()) == []
