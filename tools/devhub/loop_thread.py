"""An asyncio loop in a thread of its own, called from other threads as if it were plain code."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from devhub.errors import HubClosed

_T = TypeVar("_T")
_CALL_TIMEOUT_S = 30.0


class LoopThread:
    """Runs a loop until `stop`.

    The thread is a daemon: a program that forgets to stop its hub still ends.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Calls a plain function on the loop and returns what it returns."""

        async def called() -> _T:
            return function(*arguments)

        try:
            return self.submit(called()).result(_CALL_TIMEOUT_S)
        except CancelledError:
            raise HubClosed("the hub was closed during the call") from None

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Starts a coroutine on the loop; cancelling the future cancels it.

        Raises:
            HubClosed: The loop is stopped.
            RuntimeError: This is its own thread, where waiting for the result would never end.
        """
        with self._lock:
            if self._stopping:
                coroutine.close()
                raise HubClosed("the hub is closed")
            if threading.current_thread() is self._thread:
                coroutine.close()
                raise RuntimeError("called from the hub's own loop")
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self) -> None:
        """Cancels what still runs, ends the loop and its thread; can be called again."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        cancelled = asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        cancelled.result(_CALL_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_TIMEOUT_S)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
