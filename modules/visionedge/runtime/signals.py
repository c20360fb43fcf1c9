"""SIGTERM and Ctrl-C as an event, so that a process ends in order.

Python runs a signal handler on the main thread, between any two of its steps. One that sets an
event which that thread waits for meets it, now and then, with the event's lock in its hand: the
thread then waits for itself, and only SIGKILL ends the process. So the handler puts a word into
a queue whose `put` may be called there (`queue.SimpleQueue`), and a thread sets the event.

What this does not promise: anything while the main thread is in a call of C that does not return.
"""

import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType

from visionedge.runtime.worker import Worker


def stop_on_signals(again: Callable[[int], object] = lambda _: None) -> threading.Event:
    """An event that is set by SIGINT and SIGTERM from now on; from the main thread.

    Args:
        again: called with the number of each further signal, in its handler.
    """
    stop, came, numbers = threading.Event(), SimpleQueue[int](), list[int]()

    def on_signal(number: int, _: FrameType | None) -> None:
        if numbers:
            again(number)
            return
        numbers.append(number)
        came.put(number)

    def tell(_: Worker) -> None:
        came.get()
        stop.set()

    Worker("signals", tell).start()
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
