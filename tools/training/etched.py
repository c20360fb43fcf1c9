"""Pictures of etched boards as a line scanner gives them: thresholded, dark copper on white.

The other style that the bundle learns, beside the virtual line. Edges are ragged, as etching and
the threshold leave them; no mask, no print. A copper that is lighter than the board is never
shown: turned inside out, a spur is a mousebite and a pin-hole spurious copper, and nothing in
such a picture tells which way it is meant.

Numbers of boards are seeds, from the same ranges as those of lines (`training.lines.Split`).
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.artwork import CANVAS_PX, draw_artwork
from training.etched_defects import spoil
from training.lines import Sample
from visionedge.cameras.board import draw_layout
from visionedge.cameras.board_layers import draw_layers

SIDE_PX: Final = 640
_MOST_DEFECTS: Final = 11


def etched_board(seed: int) -> Sample:
    """Board `seed`, (640, 640, 3) uint8, with its truth; one in fifteen is good."""
    picture, xyxy, class_id = draw_etched(seed)
    return Sample(np.asarray(cv2.merge((picture,) * 3), np.uint8), xyxy, class_id)


def draw_etched(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
    """Board `seed` in grey, (640, 640) uint8, with its boxes and classes."""
    rng = np.random.Generator(np.random.PCG64((seed, 17)))
    artwork = _enlarged_board(rng) if rng.random() < 0.25 else draw_artwork(rng)
    copper = _etch(rng, artwork)
    at = (CANVAS_PX - SIDE_PX) // 2
    copper = np.ascontiguousarray(copper[at : at + SIDE_PX, at : at + SIDE_PX])
    count = int(rng.integers(3, _MOST_DEFECTS)) if rng.random() > 1 / 15 else 0
    copper, xyxy, class_id = spoil(rng, copper, count)
    return _scan(rng, copper), np.clip(xyxy, 0, SIDE_PX), class_id


def _enlarged_board(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A part of a board of the virtual line, as large as the canvas: dense with chips and vias."""
    layers = draw_layers(draw_layout(rng))
    copper = cv2.subtract(layers.copper, layers.drill)
    part = round(CANVAS_PX / float(rng.uniform(1.8, 3.6)))
    y, x = (int(rng.integers(max(1, side - part))) for side in copper.shape)
    cut = copper[y : y + part, x : x + part]
    large = cv2.resize(cut, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_CUBIC)
    return np.where(large > 127, 255, 0).astype(np.uint8)


def _etch(rng: np.random.Generator, artwork: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Round the corners, widen or narrow all a little, fray the edges."""
    rounding = float(rng.uniform(0.8, 3.2))
    soft = cv2.GaussianBlur(artwork, (0, 0), rounding).astype(np.float32)
    slope = 255 / (2.5 * rounding)  # grey levels a pixel, across an edge
    shape = tuple(-(-side // int(grain)) for side, grain in
                  zip(artwork.shape, rng.choice((1, 1, 2, 3, 5), 2), strict=True))  # fmt: skip
    coarse = rng.standard_normal(shape, dtype=np.float32)
    fray = cv2.resize(coarse, artwork.shape[::-1], interpolation=cv2.INTER_LINEAR)
    level = 127 + slope * (float(rng.normal(0, 0.7)) + fray * float(rng.uniform(0.0, 0.7)))
    level = np.clip(level, 25, 230)
    return np.where(soft > level, 255, 0).astype(np.uint8)


def _scan(rng: np.random.Generator, copper: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The scanner's picture: black on white, or two greys, softer and with noise; and JPEG."""
    picture = 255 - copper
    if rng.random() < 0.3:
        _speckle(rng, picture)
    if rng.random() < 0.3:
        dark, light = float(rng.uniform(0, 90)), float(rng.uniform(150, 255))
        soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.2)))
        grain = rng.standard_normal(picture.shape, dtype=np.float32) * float(rng.uniform(0, 9))
        grey = soft.astype(np.float32) * ((light - dark) / 255) + dark + grain
        picture = np.clip(grey, 0, 255).astype(np.uint8)
    quality = int(rng.integers(70, 97))
    _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _speckle(rng: np.random.Generator, picture: NDArray[np.uint8]) -> None:
    """Single wrong pixels, too small to be anything."""
    rows, columns = rng.integers(0, SIDE_PX, (2, int(rng.integers(1, 30))))
    picture[rows, columns] = 255 - picture[rows, columns]
