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

While our own disk fails, nothing can be asked, sent or settled: the time of that is no evidence
and counts for nothing, but what was known before stays known.

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
        self._failing = _Span()
        """Since the hub took nothing."""
        self._silence = _Span()
        """Since the cloud was asked, and has said nothing."""
        self._behind = False
        self._trouble_ns: int | None = None
        self._receipt_ns: int | None = None

    def acknowledged(self) -> None:
        """The hub took a message."""
        with self._lock:
            self._failing.end()

    def failed(self) -> None:
        """The hub did not take a message."""
        with self._lock:
            # Whatever our disk does, this was tried.
            self._failing.go_on(self._clock.ns())

    def receipt(self) -> bool:
        """The cloud said something.

        Returns:
            True where it ends a silence longer than the answer timeout: what was sent into
            the silence is worth sending again.
        """
        with self._lock:
            now_ns = self._clock.ns()
            was_silent = self._silence.lasted_s(now_ns) >= self.answer_timeout_s
            self._receipt_ns = now_ns
            self._failing.end()
            self._silence.begin_again(now_ns)
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
            now_ns = self._clock.ns()
            self._failing.resume(now_ns)
            self._silence.resume(now_ns)
            if unanswered:
                self._silence.go_on(now_ns)
            elif not backlog:
                # With a backlog, none out only means that they wait to be sent again.
                self._silence.end()
            self._behind = backlog > unanswered
            self._state = self._next(now_ns)
            return self._state

    def stall(self, since_ns: int | None = None) -> LinkState:
        """Our own disk fails: until the next `observe`, time is no evidence. A receipt still is.

        Args:
            since_ns: when the disk was asked, as it may have taken long to refuse; else now.
        """
        with self._lock:
            now_ns = self._clock.ns()
            self._failing.pause(now_ns if since_ns is None else since_ns)
            self._silence.pause(now_ns if since_ns is None else since_ns)
            self._state = self._next(now_ns)
            return self._state

    @property
    def state(self) -> LinkState:
        """As last judged."""
        return self._state

    def _next(self, now_ns: int) -> LinkState:
        failing_s, silent_s = self._failing.lasted_s(now_ns), self._silence.lasted_s(now_ns)
        late_s = self.answer_timeout_s
        if failing_s >= _FAILING_OFFLINE_S or silent_s >= _OFFLINE_TIMEOUTS * late_s:
            self._trouble_ns = now_ns
            return "offline"
        if failing_s >= _FAILING_DEGRADED_S or silent_s >= late_s:
            self._trouble_ns = now_ns
            return "offline" if self._state == "offline" else "degraded"
        if self._trouble_ns is None:
            return "online"
        calm = self._since_s(self._trouble_ns) >= _CALM_S
        if self._state in ("offline", "draining") and (self._behind or not calm):
            return "draining"
        if not calm:
            return "degraded"
        self._trouble_ns = None
        return "online"

    def _since_s(self, then_ns: int) -> float:
        return (self._clock.ns() - then_ns) / 1e9


class _Span:
    """How long something has lasted, without the pauses in it."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._paused_ns: int | None = None

    def go_on(self, now_ns: int) -> None:
        """It begins now, or is still so: a pause is over."""
        self.resume(now_ns)
        if self._since_ns is None:
            self._since_ns = now_ns

    def begin_again(self, now_ns: int) -> None:
        """It begins now, if it had begun."""
        if self._since_ns is not None:
            self._since_ns = now_ns

    def end(self) -> None:
        """It is over."""
        self._since_ns = None

    def pause(self, now_ns: int) -> None:
        """From now on, time does not count."""
        if self._paused_ns is None:
            self._paused_ns = now_ns

    def resume(self, now_ns: int) -> None:
        """Time counts again."""
        if self._paused_ns is not None and self._since_ns is not None:
            self._since_ns += now_ns - max(self._since_ns, self._paused_ns)
        self._paused_ns = None

    def lasted_s(self, now_ns: int) -> float:
        """Zero where it has not begun, or only in the pause."""
        if self._since_ns is None:
            return 0.0
        until_ns = now_ns if self._paused_ns is None else self._paused_ns
        return max(0, until_ns - self._since_ns) / 1e9
