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

import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.board import BoardLayout, draw_layout
from visionedge.cameras.board_layers import BoardLayers, draw_layers, with_polygons
from visionedge.cameras.board_paint import Finish, draw_finish, paint_board
from visionedge.cameras.conveyor import Conveyor
from visionedge.cameras.defects import DEFECT_LABELS, Defect, place_defects
from visionedge.cameras.lighting import Lighting
from visionedge.cameras.sprite import SHADOW_PX, Sprite, make_sprite
from visionedge.entities import Image
from visionedge.errors import SettingsError

# The second word of every key, so that no two uses share a stream.
_LAYOUT, _FINISH, _DEFECTS, _LOOKS, _POSE, _BELT, _LIGHT = range(7)
_VISIBLE: Final = 0.6
_REACH_PX: Final = 400  # from the middle of the largest board to the end of its shadow, and more
_FIRST_AT: Final = 0.28  # where the first board begins, as a share of the frame's width


_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "width_px": (160, 7680),
    "height_px": (90, 4320),
    "fps": (0.1, 1000.0),
    "seed": (0, 2**63),
    "defect_rate": (0.0, 30.0),
    "lot_size": (1, 10**6),
    "board_pitch_px": (710.0, 10_000.0),  # the largest board at the greatest tilt is 700 wide
    "belt_speed_px_s": (0.0, 20_000.0),
    "lighting_drift": (0.0, 0.5),
    "blur_px": (0.0, 5.0),
    "exposure_s": (0.0, 0.1),
    "noise": (0.0, 40.0),
    "tilt_deg": (0.0, 8.0),
}


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

    Zero switches off what a field adds.

    Raises:
        SettingsError: a field is out of its range; `fields` names each, with the range.
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
        wrong = {
            name: f"is {getattr(self, name)}; choose from {low} to {high}"
            for name, (low, high) in _BOUNDS.items()
            if not low <= getattr(self, name) <= high
        }
        unknown = sorted(set(self.defect_classes) - set(DEFECT_LABELS))
        if unknown or not self.defect_classes:
            wrong["defect_classes"] = f"has {unknown}; choose from {', '.join(DEFECT_LABELS)}"
        if wrong:
            listed = "; ".join(f"{name} {why}" for name, why in wrong.items())
            raise SettingsError(f"the virtual line cannot be built: {listed}", fields=wrong)


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
        in_view = 3 + int(spec.width_px / self._pitch_px)
        self._lot = lru_cache(maxsize=in_view)(self._make_lot)
        self._board = lru_cache(maxsize=2 * in_view)(self._make_board)
        self._sprite = lru_cache(maxsize=in_view)(self._make_sprite)

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
        margin = SHADOW_PX * self._scale
        conveyor.draw(shift, out)
        for board_id in self._in_view(shift):
            extent = self._extent(self._board(board_id), shift)
            if extent[2] + margin > 0 and extent[0] - margin < self.spec.width_px:
                self._sprite(board_id).paste(shift, out, lighting.sheen)
        lighting.shine(index, out)
        return out

    def close(self) -> None:
        """Let everything that was painted go; the next frame paints it anew.

        The caches hold the line and the line its caches, so that only the garbage collector
        would find them, and it looks for tens of megabytes no sooner than for tens of bytes.
        """
        for cache in (self._lot, self._board, self._sprite):
            cache.cache_clear()
        self._conveyor = self._lighting = None

    def truth(self, index: int) -> SceneTruth:
        """The ground truth of frame `index`, without rendering it."""
        shift = self._shift_px(index)
        boards, ids, boxes, classes, bearers = [], [], [], [], []
        for board_id in self._in_view(shift):
            board = self._board(board_id)
            extent = self._extent(board, shift)
            if extent[2] <= 0 or extent[0] >= self.spec.width_px:
                continue
            boards.append(extent)
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
        # A little more than the largest board: so one is laid out some frames before it is painted.
        reach = _REACH_PX * self._scale
        start = shift - _FIRST_AT * self.spec.width_px
        first = int(np.ceil((start - reach) / self._pitch_px))
        last = int(np.floor((start + self.spec.width_px + reach) / self._pitch_px))
        return range(max(0, first), last + 1)

    def _extent(self, board: _Board, shift: int) -> NDArray[np.float64]:
        layout = board.lot.layout
        whole = (0.0, 0.0, float(layout.width_px), float(layout.height_px))
        return self._to_frame(board, whole, shift)

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
        classes = tuple(DEFECT_LABELS.index(label) for label in spec.defect_classes)
        defects = place_defects(rng, lot.layout, lot.layers, count, classes)
        pose = self._rng(_POSE, board_id)
        angle = np.deg2rad(pose.uniform(-1.0, 1.0) * spec.tilt_deg)
        cos, sin = np.cos(angle) * self._scale, np.sin(angle) * self._scale
        x = (
            _FIRST_AT * spec.width_px
            + board_id * self._pitch_px
            + pose.uniform(-12, 12) * self._scale
        )
        y = spec.height_px * 0.5 + pose.uniform(-14, 14) * self._scale
        return _Board(lot, defects, (float(x), float(y)), np.array(((cos, -sin), (sin, cos))))

    def _make_sprite(self, board_id: int) -> Sprite:
        spec, board = self.spec, self._board(board_id)
        lot = board.lot
        copper = with_polygons(
            lot.layers.copper, [(d.polygon, d.adds_copper) for d in board.defects]
        )
        lot_id = board_id // spec.lot_size
        serial = (f"VE-{2000 + lot_id % 7000} R{1 + lot_id % 4}", f"SN {board_id + 1:07d}")
        picture = paint_board(
            self._rng(_LOOKS, board_id), lot.layers, copper, lot.finish,
            (serial, lot.layout.serial_at),
        )  # fmt: skip
        smear_px = spec.belt_speed_px_s * spec.exposure_s
        return make_sprite(picture, board.turn, board.centre, spec.blur_px, smear_px)

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


def _area(box: NDArray[np.float64]) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))
