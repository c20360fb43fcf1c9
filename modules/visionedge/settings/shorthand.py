"""`--source X` as settings: one camera, named after what it is."""

import re
from pathlib import Path
from typing import Final

from visionedge.settings.sources import Document

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""RFC 3986; which schemes can be read is for the camera's own check to say."""


def camera_document(source: str) -> Document:
    """The `cameras` section with `source` as the only camera.

    Args:
        source: `pattern`, a video file, a picture, a folder, a stream's address, or a device.
    """
    if source == "pattern":
        return {}
    if _ADDRESS.match(source):
        name, camera = "stream", {"kind": "stream", "url": source}
    elif source.startswith("/dev/"):
        name, camera = source.rpartition("/")[2], {"kind": "usb", "device": source}
    else:
        name, camera = Path(source).stem, {"kind": "file", "path": source}
    key = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:64] or "camera"
    return {key: camera}
