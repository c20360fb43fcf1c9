"""The virtual line: pictures of circuit boards that pass a camera, with their ground truth.

Frame `index` is a pure function of the `LineSpec`: any order, any process, the same bytes. So a
verifier elsewhere can ask for the truth of a frame that it never saw, and a test can compare
pixels. That holds because each board, lot and frame has a random generator of its own, keyed by
the seed and its number, and none is shared.

A board is rendered once, when it comes into view, with everything that does not change while it
passes (relief, tilt, defocus, motion blur: the speed is constant). A frame is then a window of the
belt, a few blended rectangles, one multiplication for the light, and two saturating additions for
the noise.

Not promised: optics true to a lens, or the same bytes across versions of OpenCV and numpy. An
instance belongs to one thread.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board import BoardLayout, draw_layout
from visionedge.cameras.board_layers import BoardLayers, draw_layers, with_polygons
from visionedge.cameras.board_paint import Finish, draw_finish, paint_board
from visionedge.cameras.conveyor import Conveyor
from visionedge.cameras.defects import DEFECT_LABELS, Defect, place_defects
from visionedge.cameras.lighting import Lighting

Image = NDArray[np.uint8]

# The second word of every key, so that no two uses share a stream.
_LAYOUT, _FINISH, _DEFECTS, _LOOKS, _POSE, _BELT, _LIGHT = range(7)
_PAD_PX: Final = 28  # room around a board for its shadow and its tilted corners
_VISIBLE: Final = 0.6


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """What is in one frame, in its pixels.

    Attributes:
        xyxy: (n, 4) float32, defects of which at least 60 % of the box is in the frame, clipped.
        class_id: (n,) int32, index into `DEFECT_LABELS`.
        defect_board_id: (n,) int64, the board that bears each defect.
        boards: (m, 4) float32, boards wholly or partly in view, not clipped.
        board_id: (m,) int64, their numbers: one board keeps its number over all frames.
    """

    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    defect_board_id: NDArray[np.int64]
    boards: NDArray[np.float32]
    board_id: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LineSpec:
    """Everything that decides the pictures.

    Attributes:
        width_px: Of the frame, at least 160.
        height_px: Of the frame, at least 90; boards are drawn to its scale (1 at 720).
        fps: Frames a second; only the way per frame depends on it.
        seed: Another seed is another factory.
        defect_rate: Mean number of defects a board (Poisson): 0.42 gives a third of boards some.
        defect_classes: The labels to choose from.
        lot_size: Boards in a row that share one design; 1 for the greatest variety.
        board_pitch_px: Way from one board to the next, at 720 lines.
        belt_speed_px_s: To the left.
        lighting_drift: Slow change of brightness, as a share (0.1 is 10 % up and down).
        blur_px: Defocus, standard deviation in pixels.
        exposure_s: Sets the motion blur, with the speed.
        noise: Sensor noise, standard deviation in grey levels.
        tilt_deg: Greatest turn of a board on the belt.
    """

    width_px: int = 1280
    height_px: int = 720
    fps: float = 30.0
    seed: int = 7
    defect_rate: float = 0.42
    defect_classes: tuple[str, ...] = DEFECT_LABELS
    lot_size: int = 4
    board_pitch_px: float = 720.0
    belt_speed_px_s: float = 240.0
    lighting_drift: float = 0.10
    blur_px: float = 0.55
    exposure_s: float = 0.008
    noise: float = 2.5
    tilt_deg: float = 1.5

    def __post_init__(self) -> None:
        least = {"width_px": 160, "height_px": 90, "lot_size": 1, "board_pitch_px": 700}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}; at least {bound} is needed")
        for name in ("defect_rate", "lighting_drift", "blur_px", "exposure_s", "noise", "tilt_deg",
                     "seed"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it cannot be negative")
        if self.fps <= 0:
            raise ValueError(f"fps is {self.fps}; it must be greater than 0")
        unknown = set(self.defect_classes) - set(DEFECT_LABELS)
        if unknown or not self.defect_classes:
            raise ValueError(f"defect_classes has {sorted(unknown)}; choose from {DEFECT_LABELS}")


@dataclass(frozen=True, slots=True, eq=False)
class _Lot:
    layout: BoardLayout
    layers: BoardLayers
    finish: Finish


@dataclass(frozen=True, slots=True, eq=False)
class _Board:
    """One board's geometry: where it lies on the belt, and what is wrong with it."""

    lot: _Lot
    defects: tuple[Defect, ...]
    centre: tuple[float, float]  # frame pixels, on the belt when it has not moved
    turn: NDArray[np.float64]  # (2, 2): from upright board pixels to frame pixels


@dataclass(frozen=True, slots=True, eq=False)
class _Sprite:
    """One board's picture: light it sends, and the share of the belt that shows through."""

    light: Image
    through: Image
    corner: tuple[int, int]  # frame pixels of its upper left, on the belt when it has not moved
    inner: tuple[int, int, int, int]  # x1 y1 x2 y2 within, where nothing shows through


class VirtualLine:
    """Renders the frames of one line.

    Example:
        >>> line = VirtualLine(LineSpec(width_px=640, height_px=360))
        >>> line.render(0).shape
        (360, 640, 3)
    """

    def __init__(self, spec: LineSpec) -> None:
        self.spec = spec
        self._scale = spec.height_px / 720
        self._pitch_px = spec.board_pitch_px * self._scale
        self._conveyor: Conveyor | None = None
        self._lighting: Lighting | None = None
        self._lot = lru_cache(maxsize=8)(self._make_lot)
        self._board = lru_cache(maxsize=16)(self._make_board)
        self._sprite = lru_cache(maxsize=6)(self._make_sprite)

    def render(self, index: int, out: Image | None = None) -> Image:
        """Render frame `index` (0 is the first) into `out`, or into a new array.

        Args:
            index: The frame's number.
            out: (height, width, 3) uint8, C-contiguous; reuse one to save its allocation.

        Returns:
            (height, width, 3) uint8 BGR.

        Raises:
            ValueError: `index` is negative, or `out` has another shape: give one that fits.
        """
        shape = (self.spec.height_px, self.spec.width_px, 3)
        if out is None:
            out = np.empty(shape, dtype=np.uint8)
        elif out.shape != shape or out.dtype != np.uint8:
            raise ValueError(f"out is {out.dtype} {out.shape}; uint8 {shape} is needed")
        shift = self._shift_px(index)
        conveyor, lighting = self._fixtures()
        conveyor.draw(shift, out)
        for board_id in self._in_view(shift):
            self._paste(self._sprite(board_id), shift, out, lighting)
        lighting.shine(index, out)
        return out

    def truth(self, index: int) -> SceneTruth:
        """The ground truth of frame `index`, without rendering it."""
        shift = self._shift_px(index)
        boards, ids, boxes, classes, bearers = [], [], [], [], []
        for board_id in self._in_view(shift):
            board = self._board(board_id)
            layout = board.lot.layout
            whole = (0.0, 0.0, float(layout.width_px), float(layout.height_px))
            boards.append(self._to_frame(board, whole, shift))
            ids.append(board_id)
            for defect in board.defects:
                box = self._to_frame(board, defect.xyxy, shift)
                clipped = np.clip(box, 0, (self.spec.width_px, self.spec.height_px) * 2)
                if _area(clipped) >= _VISIBLE * _area(box):
                    boxes.append(clipped)
                    classes.append(defect.class_id)
                    bearers.append(board_id)
        return SceneTruth(
            np.array(boxes, dtype=np.float32).reshape(-1, 4),
            np.array(classes, dtype=np.int32),
            np.array(bearers, dtype=np.int64),
            np.array(boards, dtype=np.float32).reshape(-1, 4),
            np.array(ids, dtype=np.int64),
        )

    def _shift_px(self, index: int) -> int:
        if index < 0:
            raise ValueError(f"index is {index}; the first frame is 0")
        return round(index * self.spec.belt_speed_px_s / self.spec.fps)

    def _in_view(self, shift: int) -> range:
        """Numbers of the boards that may touch the frame; the line begins with number 0."""
        reach = 420 * self._scale
        first = int(np.floor((shift - reach) / self._pitch_px)) - 1
        last = int(np.ceil((shift + self.spec.width_px + reach) / self._pitch_px)) + 1
        candidates = range(max(0, first), last)
        visible = [b for b in candidates if self._is_in_view(b, shift)]
        return range(visible[0], visible[-1] + 1) if visible else range(0)

    def _is_in_view(self, board_id: int, shift: int) -> bool:
        # By the board's own extent: the truth names a board exactly while a part of it shows.
        board = self._board(board_id)
        layout = board.lot.layout
        whole = (0.0, 0.0, float(layout.width_px), float(layout.height_px))
        box = self._to_frame(board, whole, shift)
        margin = _PAD_PX * self._scale
        return bool(box[2] + margin > 0 and box[0] - margin < self.spec.width_px)

    def _to_frame(
        self, board: _Board, xyxy: tuple[float, float, float, float], shift: int
    ) -> NDArray[np.float64]:
        """Turn a box of the upright board into the upright box around it in the frame."""
        layout = board.lot.layout
        middle = np.array((layout.width_px, layout.height_px)) * 0.5
        low, high = np.array(xyxy[:2]), np.array(xyxy[2:])
        centre = board.turn @ ((low + high) * 0.5 - middle) + board.centre - (shift, 0)
        half = np.abs(board.turn) @ ((high - low) * 0.5)
        return np.concatenate((centre - half, centre + half))

    def _rng(self, use: int, number: int = 0) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.spec.seed, use, number]))

    def _make_lot(self, number: int) -> _Lot:
        layout = draw_layout(self._rng(_LAYOUT, number))
        return _Lot(layout, draw_layers(layout), draw_finish(self._rng(_FINISH, number)))

    def _make_board(self, board_id: int) -> _Board:
        spec = self.spec
        lot = self._lot(board_id // spec.lot_size)
        rng = self._rng(_DEFECTS, board_id)
        count = int(rng.poisson(spec.defect_rate))
        classes = [DEFECT_LABELS.index(label) for label in spec.defect_classes]
        defects = place_defects(rng, lot.layout, lot.layers, rng.choice(classes, count))
        pose = self._rng(_POSE, board_id)
        angle = np.deg2rad(pose.uniform(-1.0, 1.0) * spec.tilt_deg)
        cos, sin = np.cos(angle) * self._scale, np.sin(angle) * self._scale
        x = 0.28 * spec.width_px + board_id * self._pitch_px + pose.uniform(-12, 12) * self._scale
        y = spec.height_px * 0.5 + pose.uniform(-14, 14) * self._scale
        return _Board(lot, defects, (float(x), float(y)), np.array(((cos, -sin), (sin, cos))))

    def _make_sprite(self, board_id: int) -> _Sprite:
        board = self._board(board_id)
        lot = board.lot
        copper = with_polygons(
            lot.layers.copper, [(d.polygon, d.adds_copper) for d in board.defects]
        )
        lot_id = board_id // self.spec.lot_size
        serial = (f"VE-{2000 + lot_id % 7000} R{1 + lot_id % 4}", f"SN {board_id + 1:07d}")
        picture = paint_board(
            self._rng(_LOOKS, board_id), lot.layers, copper, lot.finish,
            (serial, lot.layout.serial_at),
        )  # fmt: skip
        return _pose(board, picture, self._scale, self.spec)

    def _fixtures(self) -> tuple[Conveyor, Lighting]:
        # Made with the first frame: whoever asks for the truth only does not pay for them.
        spec = self.spec
        if self._conveyor is None or self._lighting is None:
            self._conveyor = Conveyor(self._rng(_BELT), spec.width_px, spec.height_px)
            self._lighting = Lighting(
                self._rng(_LIGHT), (spec.height_px, spec.width_px), spec.fps,
                spec.lighting_drift, spec.noise,
            )  # fmt: skip
        return self._conveyor, self._lighting

    def _paste(self, sprite: _Sprite, shift: int, out: Image, lighting: Lighting) -> None:
        """Lay a board over the belt; only its rim and shadow need blending."""
        left, top = sprite.corner[0] - shift, sprite.corner[1]
        height, width = sprite.light.shape[:2]
        x1, y1, x2, y2 = sprite.inner
        _blend(sprite, (0, 0, width, y1), left, top, out)
        _blend(sprite, (0, y2, width, height), left, top, out)
        _blend(sprite, (0, y1, x1, y2), left, top, out)
        _blend(sprite, (x2, y1, width, y2), left, top, out)
        clip = _clip(sprite.inner, left, top, out.shape)
        if clip is None:
            return
        (a, b, c, d), target = clip, out
        window = target[b + top : d + top, a + left : c + left]
        cv2.add(sprite.light[b:d, a:c], lighting.sheen[b + top : d + top, a + left : c + left],
                dst=window)  # fmt: skip


def _area(box: NDArray[np.float64]) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


def _clip(
    part: tuple[int, int, int, int], left: int, top: int, shape: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
    """The piece of a sprite's rectangle that falls into the frame, in the sprite's pixels."""
    x1, y1 = max(part[0], -left), max(part[1], -top)
    x2, y2 = min(part[2], shape[1] - left), min(part[3], shape[0] - top)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _blend(
    sprite: _Sprite, part: tuple[int, int, int, int], left: int, top: int, out: Image
) -> None:
    clip = _clip(part, left, top, out.shape)
    if clip is None:
        return
    x1, y1, x2, y2 = clip
    window = out[y1 + top : y2 + top, x1 + left : x2 + left]
    under = cv2.multiply(window, sprite.through[y1:y2, x1:x2], scale=1 / 255)
    cv2.add(under, sprite.light[y1:y2, x1:x2], dst=window)


def _pose(board: _Board, picture: Image, scale: float, spec: LineSpec) -> _Sprite:
    """Turn, scale and blur a board's picture, and give it its edge and its shadow."""
    height, width = picture.shape[:2]
    half = np.abs(board.turn) @ np.array((width, height)) * 0.5 + _PAD_PX * scale
    corner = np.floor(np.array(board.centre) - half).astype(int)
    size = (int(np.ceil(2 * half[0])) + 1, int(np.ceil(2 * half[1])) + 1)
    offset = np.array(board.centre) - corner - board.turn @ (np.array((width, height)) * 0.5 - 0.5)
    matrix = np.hstack((board.turn, offset[:, None] - 0.5))
    alpha = cv2.warpAffine(np.full((height, width), 255, np.uint8), matrix, size)
    flat = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC)
    cover = alpha.astype(np.float32) / 255
    drop = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, 4.0 * scale)))
    edge = cv2.warpAffine(cover, drop, size) * (1 - cover)
    fall = np.array(((1.0, 0.0, 7.0 * scale), (0.0, 1.0, 11.0 * scale)))
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, fall, size), (0, 0), 5.0 * scale) * 0.62
    through = (1 - cover - edge) * (1 - shadow)
    light = flat * cover[..., None] + edge[..., None] * np.array((58, 84, 92), dtype=np.float32)
    layers = cv2.merge((*cv2.split(light), through * 255))
    if spec.blur_px > 0:
        layers = cv2.GaussianBlur(layers, (0, 0), spec.blur_px)
    smear = spec.belt_speed_px_s * spec.exposure_s
    if smear > 1:
        layers = cv2.filter2D(layers, -1, _box_kernel(smear))
    pixels = np.clip(np.rint(layers), 0, 255).astype(np.uint8)
    belt = np.ascontiguousarray(np.repeat(pixels[..., 3:], 3, axis=2))
    inner = _inner(board.turn, (width, height), size, 4.0 + smear)
    return _Sprite(
        np.ascontiguousarray(pixels[..., :3]), belt,
        (int(corner[0]), int(corner[1])), inner,
    )  # fmt: skip


def _box_kernel(length: float) -> NDArray[np.float32]:
    """A level box filter of any length, in whole pixels with fractional ends."""
    reach = int(np.ceil((length - 1) / 2))
    kernel = np.ones(2 * reach + 1, dtype=np.float32)
    kernel[[0, -1]] = (length - (2 * reach - 1)) / 2
    kernel /= kernel.sum()
    return kernel[None, :]


def _inner(
    turn: NDArray[np.float64], board: tuple[int, int], size: tuple[int, int], rim: float
) -> tuple[int, int, int, int]:
    """The largest upright rectangle, centred in a sprite, that the turned board covers."""
    width, height = board
    corner = np.array((width, height)) * 0.5
    lost = np.abs(turn - np.diag(np.diag(turn))) @ corner + rim
    half = np.diag(turn) * corner - lost
    x1, y1 = np.ceil(np.array(size) * 0.5 - half).astype(int) + 1
    x2, y2 = np.floor(np.array(size) * 0.5 + half).astype(int) - 1
    return int(x1), int(y1), max(int(x1), int(x2)), max(int(y1), int(y2))
