"""A JPEG from somebody else, decoded only after its bytes have told what it will cost.

What arrives by a message is not what a camera of ours made. So before anything is decoded
the first bytes, the size in the header, the number of scans and the end marker are looked
at. A JPEG that is cut short is refused, although libjpeg would fill the rest with grey: a
model would then look at half a part and say that it is good. A progressive JPEG may hold
thousands of scans, and each costs a pass over the whole picture.

Not promised: that a picture with damage in its middle is noticed; a JPEG has no checksum.
Source: ITU-T T.81, B.1 (markers); Glavic and others, "Two issues with the JPEG standard"
(libjpeg-turbo, 2015), for the scans.
"""

from typing import Final

import cv2
import numpy as np

from visionedge.cameras.picture import picture_size
from visionedge.entities import Image
from visionedge.errors import FrameRefused

MIN_SIDE_PX: Final = 16
_MAGIC: Final = b"\xff\xd8\xff"
_START_OF_SCAN: Final = b"\xff\xda"
_END: Final = b"\xff\xd9"
_MAX_SCANS: Final = 64
"""A progressive JPEG of any camera or tool has ten or so, and its thumbnail one."""


def decode_jpeg(body: bytes, max_pixels: int) -> Image:
    """The picture in `body`, upright as its EXIF orientation says.

    Args:
        body: as it came.
        max_pixels: width times height; more is not decoded.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        FrameRefused: `not_a_jpeg`, `too_many_pixels`, `too_small`, `too_complex`,
            `cut_short` or `damaged`.
    """
    if not body.startswith(_MAGIC):
        raise FrameRefused("not_a_jpeg", "it does not begin as a JPEG does")
    size = picture_size(body)
    if size is None:
        raise FrameRefused("damaged", "its header tells no size")
    if size[0] * size[1] > max_pixels:
        raise FrameRefused(
            "too_many_pixels", f"it has {size[0]} x {size[1]} pixels; {max_pixels} is the most"
        )
    if min(size) < MIN_SIDE_PX:
        raise FrameRefused(
            "too_small", f"it has {size[0]} x {size[1]} pixels; {MIN_SIDE_PX} a side is the least"
        )
    if (scans := body.count(_START_OF_SCAN)) > _MAX_SCANS:
        raise FrameRefused("too_complex", f"it has {scans} scans; {_MAX_SCANS} is the most")
    # Behind the last scan, because a thumbnail in the header has an end of its own.
    if body.rfind(_END) < body.rfind(_START_OF_SCAN):
        raise FrameRefused("cut_short", "its end is missing")
    return _decoded(body)


def _decoded(body: bytes) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise FrameRefused("damaged", "it cannot be decoded")
    return np.asarray(image, np.uint8)
