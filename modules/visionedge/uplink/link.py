"""The measured state of the link: what the evidence says about the cloud, not what we hope.

edgeHub acknowledges and stores by itself, so neither a connection nor an acknowledgement
tells that the cloud is there (iotedge issues 7221, 7441). Only a receipt does: a verdict,
a method, anything that somebody up there sent. What counts is therefore how long
escalations have been out without any receipt; failing sends count against the near end.

    online     nothing speaks against it
    degraded   an answer is late, or sends have failed for a few seconds
    offline    no answer, or no successful send, for so long that it cannot be chance
    draining   it works again, and more waits from before than is under way

It gets worse as soon as the evidence is there, and better only when it has stayed good for
a while, so that a flapping link is one state and not fifty. The state is reported and
chooses the fallback for doubtful frames; it never chooses the way of a message, because
there is only one.

Not promised: that `online` means reachable. Where nothing is asked, silence says nothing.
"""

import threading
from typing import Final, Literal

from visionedge.runtime.clock import Clock, SystemClock

LinkState = Literal["online", "degraded", "offline", "draining"]

_OFFLINE_TIMEOUTS: Final = 3.0
"""Answer timeouts without a receipt until the cloud counts as away."""
_FAILING_DEGRADED_S: Final = 5.0
_FAILING_OFFLINE_S: Final = 60.0
_CALM_S: Final = 15.0
"""How long the evidence must be good until a bad state is left."""


class Link:
    """Evidence in, state out. Safe for all threads.

    Args:
        answer_timeout_s: how long a verdict may take before it counts as late.
        clock: monotonic time only; jumps of the wall clock are not seen.
    """

    def __init__(self, answer_timeout_s: float, clock: Clock | None = None) -> None:
        self.answer_timeout_s = answer_timeout_s
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._state: LinkState = "online"
        self._failing_since_ns: int | None = None
        self._asked_ns: int | None = None
        self._trouble_ns: int | None = None
        self._receipt_ns: int | None = None

    def acknowledged(self) -> None:
        """The hub took a message."""
        with self._lock:
            self._failing_since_ns = None

    def failed(self) -> None:
        """The hub did not take a message."""
        with self._lock:
            self._failing_since_ns = self._failing_since_ns or self._clock.ns()

    def receipt(self) -> bool:
        """The cloud said something.

        Returns:
            True where it ends a silence longer than the answer timeout: what was sent into
            the silence is worth sending again.
        """
        with self._lock:
            now_ns = self._clock.ns()
            was_silent = self._silent_s() >= self.answer_timeout_s
            self._receipt_ns = now_ns
            self._failing_since_ns = None
            if self._asked_ns is not None:
                self._asked_ns = now_ns
            return was_silent

    def receipt_age_s(self) -> float | None:
        """Seconds since the cloud last said something, or None if it never did."""
        with self._lock:
            return None if self._receipt_ns is None else self._since_s(self._receipt_ns)

    def observe(self, unanswered: int, backlog: int) -> LinkState:
        """Judge the evidence; call it every few seconds.

        Args:
            unanswered: escalations sent and not settled.
            backlog: escalations waiting to be sent.
        """
        with self._lock:
            if unanswered and self._asked_ns is None:
                self._asked_ns = self._clock.ns()
            elif not unanswered and not backlog:
                # With a backlog, none out only means that they wait to be sent again.
                self._asked_ns = None
            self._state = self._next(backlog > unanswered)
            return self._state

    @property
    def state(self) -> LinkState:
        """As last judged."""
        return self._state

    def _next(self, behind: bool) -> LinkState:
        failing_s = 0.0 if self._failing_since_ns is None else self._since_s(self._failing_since_ns)
        silent_s = self._silent_s()
        late_s = self.answer_timeout_s
        if failing_s >= _FAILING_OFFLINE_S or silent_s >= _OFFLINE_TIMEOUTS * late_s:
            self._trouble_ns = self._clock.ns()
            return "offline"
        if failing_s >= _FAILING_DEGRADED_S or silent_s >= late_s:
            self._trouble_ns = self._clock.ns()
            return "offline" if self._state == "offline" else "degraded"
        if self._trouble_ns is None:
            return "online"
        calm = self._since_s(self._trouble_ns) >= _CALM_S
        if self._state in ("offline", "draining") and (behind or not calm):
            return "draining"
        if not calm:
            return "degraded"
        self._trouble_ns = None
        return "online"

    def _silent_s(self) -> float:
        return 0.0 if self._asked_ns is None else self._since_s(self._asked_ns)

    def _since_s(self, then_ns: int) -> float:
        return (self._clock.ns() - then_ns) / 1e9
