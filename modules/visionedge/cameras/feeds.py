"""Which feed a camera has: one that opens a source, or one that other modules send to."""

import time
from collections.abc import Collection
from typing import Protocol

from visionedge.cameras.feed import CameraFeed, CameraState, OnState
from visionedge.cameras.input_feed import InputFeed
from visionedge.entities import Frame
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import CameraSettings, InputCamera


class Feed(Protocol):
    """One camera on its way into the slots, as its owner sees it."""

    @property
    def state(self) -> CameraState | None:
        """What the camera is doing; None before the start."""

    @property
    def stuck(self) -> str:
        """What is parked, where nothing can be done about it from inside; else empty."""

    def start(self) -> "Feed":
        """Begin; returns itself."""

    def pause(self) -> None:
        """Let go of the camera until `resume`."""

    def resume(self) -> None:
        """Open it again."""

    def request_stop(self) -> None:
        """Ask it to end; does not wait."""

    def stop(self, timeout_s: float) -> bool:
        """End; False where a call did not come back in time."""


def make_feed(
    camera_id: str,
    settings: CameraSettings,
    slots: LatestSlots[Frame],
    metrics: Metrics,
    on_state: OnState | None = None,
) -> Feed:
    """The feed for a camera's settings, not started."""
    if isinstance(settings, InputCamera):
        return InputFeed(camera_id, settings, slots, metrics, on_state=on_state)
    return CameraFeed(camera_id, settings, slots, metrics, on_state=on_state)


def stop_feeds(feeds: Collection[Feed], timeout_s: float) -> None:
    """End all of them within one time: cameras that hang do so one beside the other."""
    deadline_s = time.monotonic() + timeout_s
    for feed in feeds:
        feed.request_stop()
    for feed in feeds:
        feed.stop(max(0.0, deadline_s - time.monotonic()))
