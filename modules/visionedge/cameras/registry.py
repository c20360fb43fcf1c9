"""Which kind of settings makes which source. A new kind is one file and one line here."""

import threading
from collections.abc import Callable
from typing import Any, Final

from visionedge.cameras.file import FileSource
from visionedge.cameras.source import CameraSource
from visionedge.cameras.stream import StreamSource
from visionedge.cameras.usb import UsbSource
from visionedge.settings import CameraSettings, PatternCamera

# Any: each builder takes the settings class of its own kind, and no type can say so.
Builder = Callable[[Any, threading.Event], CameraSource]


def _pattern(settings: PatternCamera, halt: threading.Event) -> CameraSource:
    # Imported only where somebody wants it: the virtual line has many parts, and no device one.
    from visionedge.cameras.pattern import PatternSource

    return PatternSource(settings, halt)


CAMERAS: Final[dict[str, Builder]] = {
    "pattern": _pattern,
    "file": FileSource,
    "stream": lambda settings, _: StreamSource(settings),
    "usb": lambda settings, _: UsbSource(settings),
}


def make_source(settings: CameraSettings, halt: threading.Event | None = None) -> CameraSource:
    """The source for a camera's settings; nothing is touched until it is opened.

    Args:
        settings: of any kind.
        halt: when set, a source that paces itself stops waiting.
    """
    return CAMERAS[settings.kind](settings, halt or threading.Event())
