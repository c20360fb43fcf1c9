"""What becomes of each grabbed frame: numbered, counted, judged, and offered to the slots."""

from typing import Final

from visionedge.cameras.guard import Shot
from visionedge.cameras.judges import MotionGate, RateGate, StillWatch
from visionedge.entities import Frame
from visionedge.errors import CameraUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import CameraSettings

_MOST_HELD_S: Final = 0.5
"""A frame that nobody takes for so long gives way to the next."""


class Intake:
    """The frames of one camera, over all its reopenings. Used by one thread at a time."""

    def __init__(
        self,
        camera_id: str,
        settings: CameraSettings,
        slots: LatestSlots[Frame],
        metrics: Metrics,
    ) -> None:
        self._camera_id = camera_id
        self._stale_after_s = settings.stale_after_s
        self._slots = slots
        self._gate = RateGate(settings.max_fps)
        self._still = StillWatch(settings.stale_after_s)
        motion = settings.motion
        self._motion = motion and MotionGate(motion.level, motion.share, motion.at_least_every_s)
        self._captured = metrics.frames_captured.labels(camera_id)
        self._bytes = metrics.frame_bytes.labels(camera_id)
        self._dropped = metrics.frames_dropped
        self._seq = 0
        self._frame_bytes = 0
        self._asks = self._seen = False
        self._damaged_ns: int | None = None

    def begin(self, asks: bool) -> None:
        """The camera was opened; whether its frames wait for their turn before they are made."""
        self._asks, self._seen = asks, False

    def unwanted(self, captured_ns: int, spare_s: float) -> str:
        """Why a frame is not worth retrieving, as a cause of `frames_dropped`; empty where it is.

        Args:
            captured_ns: monotonic.
            spare_s: how long it may be held back until a worker is about to take it.
        """
        if not self._gate.admits(captured_ns):
            return "rate"
        # The first is looked at in any case, because it shows that the camera is there.
        if not self._asks or not self._seen:
            return ""
        turn = self._slots.ask(self._camera_id, min(spare_s, _MOST_HELD_S))
        if turn.instead_of is not None:
            self._dropped.labels(turn.instead_of.camera_id, "replaced").inc()
        return "" if turn.granted else "replaced"

    def pass_on(self) -> None:
        """No frame will come of the latest turn."""
        self._slots.pass_on(self._camera_id)

    def frame(self, shot: Shot, live: bool) -> Frame | None:
        """Count a shot, and make it a frame if there is anything to look at.

        Raises:
            CameraUnavailable: the camera stands still, or sends nothing but damage; reopen.
        """
        frame = None
        try:
            frame = self._judged(shot, live)
        finally:
            if frame is None and not shot.unwanted:
                self.pass_on()
        return frame

    def _judged(self, shot: Shot, live: bool) -> Frame | None:
        seq, self._seq = self._seq, self._seq + 1
        if shot.image is not None:
            self._frame_bytes = shot.image.nbytes
        self._captured.inc()
        self._bytes.inc(self._frame_bytes)
        if shot.fault is not None:
            self._drop("undecoded")
            self._judge_damage(shot.fault, shot.captured_ns)
            return None
        if shot.image is None:
            self._drop(shot.unwanted)
            return None
        self._seen = True
        if live and self._still.frozen(shot.image, shot.captured_ns):
            self._drop("stale")
            raise CameraUnavailable(
                f"its picture has not changed for {self._stale_after_s:g} s",
                hint="restart the camera; for a still test picture raise `stale_after_s`",
            )
        self._damaged_ns = None
        if self._motion and not self._motion.admits(shot.image, shot.captured_ns):
            self._drop("unchanged")
            return None
        # Several threads will read it; none may draw on it.
        shot.image.flags.writeable = False
        return Frame(
            shot.image, self._camera_id, seq, shot.captured_at, shot.captured_ns, shot.truth
        )

    def offer(self, frame: Frame) -> None:
        """Put a frame where the workers take it from."""
        left = self._slots.put(self._camera_id, frame)
        if left is not None:
            self._drop("stopped" if left is frame else "replaced")

    def is_free(self, timeout_s: float) -> bool:
        """True once no frame waits there, so that the next one replaces none."""
        return self._slots.wait_free(self._camera_id, timeout_s)

    def let_go(self) -> None:
        """Count a frame that is not offered, because the camera stops."""
        self._drop("stopped")

    def withdraw(self) -> None:
        """Take back the frame that nobody took."""
        if self._slots.discard(self._camera_id) is not None:
            self._drop("stopped")

    def _judge_damage(self, fault: CameraUnavailable, now_ns: int) -> None:
        """One damaged frame is nothing; nothing but damaged frames is a lost camera."""
        if self._damaged_ns is None:
            self._damaged_ns = now_ns
        elif now_ns - self._damaged_ns > self._stale_after_s * 1e9:
            self._damaged_ns = None
            raise fault

    def _drop(self, cause: str) -> None:
        self._dropped.labels(self._camera_id, cause).inc()
