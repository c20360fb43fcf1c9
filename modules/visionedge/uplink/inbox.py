"""The queue between the hub's callbacks and the control thread.

The SDK calls back from threads of its own, four at a time, and does nothing else until they
return: so a callback only leaves its event here. Events keep their order, and the queue is
bounded by what each kind of event may lose:

- a direct method that finds no room is answered 503, and the cloud tries again;
- a desired patch that finds no room is dropped, and the whole document asked for;
- a document makes patches of its version and older ones superfluous, and a link change the
  one before it, so of either there is at most one and it always finds room.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from visionedge.uplink.hub import (
    DesiredDocument,
    DesiredPatch,
    HubEvent,
    LinkChanged,
    MethodCall,
)

_OF_THE_TWIN: Final = (DesiredDocument, DesiredPatch)


class Inbox:
    """Events in order of arrival. `offer` is the `OnEvent` of a hub; safe for all threads.

    Args:
        refresh_twin: the hub's; called when a patch was dropped.
        capacity: methods and patches that may wait.
    """

    def __init__(self, refresh_twin: Callable[[], None], capacity: int = 128) -> None:
        self._refresh_twin = refresh_twin
        self._capacity = capacity
        self._filled = threading.Condition()
        self._events: deque[HubEvent] = deque()
        self._closed = False

    def __len__(self) -> int:
        with self._filled:
            return len(self._events)

    def offer(self, event: HubEvent) -> None:
        """Leave `event` for the control thread; never waits."""
        with self._filled:
            taken = not self._closed and self._take_in(event)
            if taken:
                self._filled.notify()
        if taken:
            return
        if isinstance(event, MethodCall):
            event.answer(503, {"error": "the module is busy; call again"})
        elif isinstance(event, DesiredPatch) and not self._closed:
            self._refresh_twin()

    def take(self, timeout_s: float) -> HubEvent | None:
        """The next event, or None when nothing came in time or the inbox is closed and empty."""
        with self._filled:
            self._filled.wait_for(lambda: bool(self._events) or self._closed, timeout_s)
            return self._events.popleft() if self._events else None

    def twin_is_next(self) -> bool:
        """True where the next event says something new of the desired properties."""
        with self._filled:
            return bool(self._events) and isinstance(self._events[0], _OF_THE_TWIN)

    def close(self) -> None:
        """Take nothing more, answer the methods that wait by 503, and wake the consumer."""
        with self._filled:
            self._closed = True
            left = list(self._events)
            self._events.clear()
            self._filled.notify_all()
        for event in left:
            if isinstance(event, MethodCall):
                event.answer(503, {"error": "the module is stopping"})

    def _take_in(self, event: HubEvent) -> bool:
        match event:
            case DesiredDocument():
                self._drop(lambda waiting: _is_superseded(waiting, event))
            case LinkChanged():
                self._drop(lambda waiting: isinstance(waiting, LinkChanged))
            case _ if len(self._events) >= self._capacity:
                return False
        self._events.append(event)
        return True

    def _drop(self, superfluous: Callable[[HubEvent], bool]) -> None:
        self._events = deque(event for event in self._events if not superfluous(event))


def _is_superseded(waiting: HubEvent, document: DesiredDocument) -> bool:
    if isinstance(waiting, DesiredPatch):
        # Without a version nothing can be said; the twin judges each patch by itself.
        return document.version is not None and waiting.version <= document.version
    return isinstance(waiting, DesiredDocument)
