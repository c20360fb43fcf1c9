import threading

from visionedge.uplink.hub import (
    DesiredDocument,
    DesiredPatch,
    HubEvent,
    LinkChanged,
    MethodCall,
)
from visionedge.uplink.inbox import Inbox


class Refresh:
    """Counts how often the whole twin was asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def patch(version: int) -> DesiredPatch:
    return DesiredPatch({"n": version}, version)


def drain(inbox: Inbox) -> list[HubEvent]:
    events = []
    while (event := inbox.take(0)) is not None:
        events.append(event)
    return events


def test_events_keep_their_order() -> None:
    inbox = Inbox(Refresh())
    events: list[HubEvent] = [
        MethodCall("status", None),
        patch(2),
        MethodCall("flush", {}),
        patch(3),
    ]
    for event in events:
        inbox.offer(event)
    assert drain(inbox) == events


def test_a_method_that_finds_no_room_is_answered_503_at_once() -> None:
    inbox = Inbox(Refresh(), capacity=2)
    calls = [MethodCall(f"m{i}", None) for i in range(3)]
    for call in calls:
        inbox.offer(call)
    assert calls[2].wait(0).status == 503
    assert drain(inbox) == calls[:2]


def test_a_patch_that_finds_no_room_asks_for_the_whole_twin() -> None:
    refresh = Refresh()
    inbox = Inbox(refresh, capacity=2)
    for version in (2, 3, 4):
        inbox.offer(patch(version))
    assert refresh.count == 1
    inbox.offer(DesiredDocument({"n": 4}, 4))
    assert drain(inbox) == [DesiredDocument({"n": 4}, 4)]


def test_a_document_replaces_what_it_contains_and_nothing_newer() -> None:
    inbox = Inbox(Refresh())
    for event in (DesiredDocument({}, 1), patch(2), patch(4)):
        inbox.offer(event)
    inbox.offer(DesiredDocument({"n": 3}, 3))
    assert drain(inbox) == [patch(4), DesiredDocument({"n": 3}, 3)]


def test_a_document_without_a_version_replaces_no_patch() -> None:
    inbox = Inbox(Refresh())
    inbox.offer(patch(2))
    inbox.offer(DesiredDocument({}, None))
    assert drain(inbox) == [patch(2), DesiredDocument({}, None)]


def test_a_flapping_link_takes_one_place() -> None:
    inbox = Inbox(Refresh(), capacity=1)
    inbox.offer(patch(2))
    for i in range(100):
        inbox.offer(LinkChanged(connected=i % 2 == 1))
    assert drain(inbox) == [patch(2), LinkChanged(connected=True)]


def test_a_closed_inbox_answers_methods_and_wakes_its_reader() -> None:
    inbox = Inbox(Refresh())
    waiting, late = MethodCall("waiting", None), MethodCall("late", None)
    inbox.offer(waiting)
    taken: list[object] = []
    inbox.take(0)
    reader = threading.Thread(target=lambda: taken.append(inbox.take(30)), daemon=True)
    reader.start()
    inbox.offer(again := MethodCall("again", None))
    reader.join(10)
    inbox.offer(waiting)
    inbox.close()
    inbox.offer(late)
    assert taken == [again]
    assert [waiting.wait(0).status, late.wait(0).status] == [503, 503]
    assert inbox.take(30) is None


def test_no_number_of_events_grows_it_beyond_its_bound() -> None:
    inbox = Inbox(Refresh(), capacity=10)
    for i in range(1000):
        inbox.offer(MethodCall("m", None))
        inbox.offer(patch(i))
        inbox.offer(LinkChanged(connected=True))
        inbox.offer(DesiredDocument({}, None))
    assert len(inbox) <= 12
