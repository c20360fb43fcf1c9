"""The seam between the camera feed and every kind of camera."""

from typing import Protocol

from visionedge.entities import Image, Prediction


class CameraSource(Protocol):
    """One camera, used by one thread at a time.

    `grab` and `retrieve` are two calls because decoding a frame costs as much as a small
    model's run: the feed grabs every frame, to stay at the newest, and retrieves only
    those that somebody will look at.

    Calls may block, but each ends within the timeouts that the source was made with;
    the feed's watchdog gives up a source that does not.
    """

    def open(self) -> None:
        """Connect, or open the file.

        Raises:
            CameraUnavailable: it cannot be opened now; try again later.
        """

    def grab(self) -> None:
        """Advance to the next frame, waiting for it if need be.

        Raises:
            CameraUnavailable: no frame came in time, or the connection broke; reopen.
            CameraEnded: there are no more frames.
        """

    def retrieve(self) -> tuple[Image, Prediction | None]:
        """The grabbed frame, and what is really in it where the source knows.

        Returns:
            (H, W, 3) uint8 BGR, owned by the caller and written to by nobody else; and
            the ground truth, or None.

        Raises:
            CameraUnavailable: the frame could not be decoded; grab the next.
        """

    def close(self) -> None:
        """Let go of everything. Never raises, may be called twice, or without `open`."""
