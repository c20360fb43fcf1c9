"""The seam between the camera feed and every kind of camera."""

from dataclasses import dataclass
from typing import Protocol

from visionedge.entities import Image, Prediction


@dataclass(frozen=True, slots=True)
class Traits:
    """What a feed must know of a source to judge its silence.

    Attributes:
        open_timeout_s: within this an `open` returns or raises.
        read_timeout_s: within this a `grab` and a `retrieve` together do.
        live: True for a camera that looks at the world, whose picture cannot stay the same
            to the byte; False for files and the virtual line.
        patient: True for one that goes as fast as its frames are taken, and so loses none;
            False for those whose frames come when they come.
    """

    open_timeout_s: float
    read_timeout_s: float
    live: bool
    patient: bool = False


class CameraSource(Protocol):
    """One camera, used by one thread at a time.

    `grab` and `retrieve` are two calls because converting a frame costs as much as a small
    model's run: the feed grabs every frame, to stay at the newest, and retrieves only
    those that somebody will look at. Between the two a frame is held back for some
    milliseconds where workers are busy.

    Calls may block, but each ends within the timeouts in `traits`; the feed gives up a
    source that does not keep them.
    """

    @property
    def traits(self) -> Traits:
        """The same for the whole life of the source."""

    def open(self) -> None:
        """Connect, or open the file.

        Raises:
            CameraUnavailable: it cannot be opened now; try again later.
        """

    def grab(self) -> None:
        """Advance to the next frame, waiting for it if need be.

        Raises:
            CameraUnavailable: no frame came in time, or the connection broke; reopen.
            CameraEnded: there are no more frames, and there will be none until `open`.
        """

    def retrieve(self) -> tuple[Image, Prediction | None]:
        """The grabbed frame, and what is really in it where the source knows.

        Returns:
            (H, W, 3) uint8 BGR, owned by the caller and written to by nobody else; and
            the ground truth, or None.

        Raises:
            CameraUnavailable: the frame could not be decoded, or none was grabbed; grab
                the next.
        """

    def close(self) -> None:
        """Let go of everything. Never raises, may be called twice, or without `open`."""
