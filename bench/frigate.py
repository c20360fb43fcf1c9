"""Frigate's chain for one camera, run by Frigate's own functions out of a clone of it.

Frigate is no package, and its modules import a whole recorder. So the dozen functions that
a frame passes are taken out of the sources of a clone, by name, and run as they stand:

    ffmpeg, a process of its own   H.264 to planes of YUV 4:2:0, written to a pipe
    create_tensor_input            a square of them, to BGR or RGB, resized
    _transform_input               to NCHW float32
    detect_raw                     ONNX Runtime with its default options, decode, suppression

That is less than Frigate takes: its motion detection, its tracker, and the copies and queues
between its processes are left out. Its decode hands corners to a suppression that takes
widths, and keeps 20 boxes of 0.4 and more; so it must see our surest box, and no more.

    git clone --depth 1 https://github.com/blakeblackshear/frigate
    FRIGATE=frigate python -m bench peers       with ffmpeg on the path
"""

import __future__

import ast
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from bench.harness import Sample
from bench.load import cpu_s
from bench.report import Unavailable
from bench.subjects import Subject
from visionedge.entities import Detections, Image
from visionedge.evaluation.tuning import settle
from visionedge.inference.model import LoadedModel

VARIABLE: Final = "FRIGATE"
_TAKEN: Final[Mapping[str, tuple[str, ...]]] = {
    "frigate/detectors/detector_config.py": (
        "PixelFormatEnum",
        "InputTensorEnum",
        "InputDTypeEnum",
        "ModelTypeEnum",
    ),
    "frigate/util/image.py": (
        "calculate_region",
        "get_yuv_crop",
        "yuv_crop_and_resize",
        "yuv_region_2_rgb",
        "yuv_region_2_bgr",
    ),
    "frigate/util/object.py": ("create_tensor_input",),
    "frigate/object_detection/util.py": ("tensor_transform",),
    "frigate/object_detection/base.py": ("_transform_input",),
    "frigate/detectors/detection_api.py": ("calculate_grids_strides",),
    "frigate/detectors/plugins/onnx.py": ("detect_raw",),
    "frigate/util/model.py": (
        "get_ort_providers",
        "post_process_yolox",
        "post_process_yolo",
        "__post_process_nms_yolo",
    ),
    "frigate/config/camera/ffmpeg.py": (
        "FFMPEG_GLOBAL_ARGS_DEFAULT",
        "DETECT_FFMPEG_OUTPUT_ARGS_DEFAULT",
    ),
}
"""Names by the file of the clone that defines them."""
_KINDS: Final[Mapping[str, str]] = {"yolox": "yolox", "yolo_v8": "yologeneric"}
"""Frigate's word for a model, by our head."""
_INPUTS: Final[Mapping[float, str]] = {1: "float_denorm", 1 / 255: "float"}
"""Its word for what an input holds, by what a byte is multiplied with."""
_FRAMES_AHEAD: Final = 10
"""Its buffer before the pipe, in frames."""
_SURE: Final = 0.7
"""Least confidence of a box of ours that it must see too: it reads a picture of its own."""
_SAME: Final = 0.5
"""Overlap of two boxes of one thing."""
_AT_WORK: Final = frozenset("RD")
"""States of a thread that computes, or would if it had a core."""
_LOOK_S: Final = 0.002
_QUIET_LOOKS: Final = 4
_END_S: Final = 5.0


class Frigate:
    """One camera's chain. Its ffmpeg lives as long as the `with`, and stands while nobody reads.

    Args:
        subject: its model and the frames in the file.
        clip: the file, which is played again and again.

    Raises:
        Unavailable: no clone, no ffmpeg, no such head in Frigate, or it sees something else.
    """

    def __init__(self, subject: Subject, clip: Path) -> None:
        model, card = subject.model, subject.model.card
        is_known = card.head in _KINDS and card.input.color in ("bgr", "rgb")
        if not is_known or card.input.scale not in _INPUTS or card.input.mean:
            raise Unavailable("it has no input or no decode of this kind")
        height, width = model.session.signature.picture.shape[2:]
        if height != width or height is None:
            raise Unavailable(f"it looks at squares, and the input is {width}x{height}")
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise Unavailable("there is no ffmpeg on the path")
        theirs = _taken(Path(os.environ.get(VARIABLE, "")))
        self._their = SimpleNamespace(**theirs)
        self._config = SimpleNamespace(
            width=width,
            height=height,
            input_pixel_format=theirs["PixelFormatEnum"][card.input.color],
        )
        self._detector = self._loaded(model)
        self._height, self._width = subject.frames[0].shape[:2]
        self._region = theirs["calculate_region"](
            (self._height, self._width), 0, 0, self._width, self._height, width, 1
        )
        try:
            for frame in subject.frames:
                self._agree(subject, frame)
        except (AttributeError, KeyError, NameError, TypeError, ValueError) as error:
            raise Unavailable(f"the clone no longer fits: {error!r}") from error
        self._command = [
            ffmpeg,
            *theirs["FFMPEG_GLOBAL_ARGS_DEFAULT"],
            *("-stream_loop", "-1", "-i", str(clip)),
            *theirs["DETECT_FFMPEG_OUTPUT_ARGS_DEFAULT"],
            "pipe:",
        ]

    def __enter__(self) -> Self:
        """Start ffmpeg, and see one frame through."""
        self._frame_bytes = self._height * self._width * 3 // 2
        self._ffmpeg = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=self._frame_bytes * _FRAMES_AHEAD,
        )
        try:
            self._step()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End ffmpeg, and wait for it."""
        self._ffmpeg.kill()
        self._ffmpeg.communicate(timeout=_END_S)

    @property
    def ffmpeg_pid(self) -> int:
        """Of its ffmpeg."""
        return self._ffmpeg.pid

    def turn(self, seconds: float) -> Sample:
        """Let it run; what a frame took, with the CPU time of ffmpeg.

        What ffmpeg holds ready is as much afterwards as it was before, as it is waited for:
        so it has decoded just as many frames as were looked at.
        """
        frames, ffmpeg_s = 0, self._ffmpeg_rested_s()
        cpu_s, began = time.process_time(), time.perf_counter()
        while (wall_s := time.perf_counter() - began) < seconds or not frames:
            self._step()
            frames += 1
        cpu_s = time.process_time() - cpu_s
        cpu_s += self._ffmpeg_rested_s() - ffmpeg_s
        settle()
        return Sample(wall_s / frames, cpu_s / frames)

    def _step(self) -> None:
        planes = self._ffmpeg.stdout.read(self._frame_bytes) if self._ffmpeg.stdout else b""
        if len(planes) < self._frame_bytes:
            raise Unavailable("ffmpeg cannot read the file")
        self._see(np.frombuffer(planes, np.uint8).reshape(-1, self._width))

    def _see(self, planes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of class, confidence, y1 x1 y2 x2 as shares of the input."""
        picture = self._their.create_tensor_input(planes, self._config, self._region)
        tensor = self._their._transform_input(self._detector, picture)
        found: NDArray[np.float32] = self._their.detect_raw(self._detector, tensor)
        return found

    def _loaded(self, model: LoadedModel) -> SimpleNamespace:
        """What Frigate's methods find on `self`."""
        their = self._their
        providers, options = their.get_ort_providers()
        file = str(model.bundle.model)
        session = ort.InferenceSession(file, providers=providers, provider_options=options)
        detector = SimpleNamespace(
            width=self._config.width,
            height=self._config.height,
            input_transform=their.tensor_transform(their.InputTensorEnum.nchw),
            onnx_model_type=their.ModelTypeEnum[_KINDS[model.card.head]],
            dtype=their.InputDTypeEnum[_INPUTS[model.card.input.scale]],
            runner=SimpleNamespace(
                get_input_names=lambda: [spec.name for spec in session.get_inputs()],
                run=lambda feed: session.run(None, feed),
            ),
        )
        their.calculate_grids_strides(detector)
        return detector

    def _agree(self, subject: Subject, frame: Image) -> None:
        ours = subject.model.runner().infer(frame)
        if not isinstance(ours, Detections) or not ours.confidence.size:
            return
        surest = int(ours.confidence.argmax())
        if ours.confidence[surest] < _SURE:
            return
        rows = self._see(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420), np.uint8))
        side = self._region[2] - self._region[0]
        boxes = rows[rows[:, 0] == ours.class_id[surest]][:, [3, 2, 5, 4]] * side
        if not any(_iou(box, ours.xyxy[surest]) > _SAME for box in boxes):
            raise Unavailable("it does not see what ours is surest of")

    def _ffmpeg_rested_s(self) -> float:
        """The CPU time of ffmpeg, as soon as none of its threads has anything to do."""
        quiet, deadline = 0, time.perf_counter() + _END_S
        while quiet < _QUIET_LOOKS:
            if time.perf_counter() > deadline:
                raise Unavailable(f"its ffmpeg does not rest in {_END_S:.0f} s")
            time.sleep(_LOOK_S)
            states = map(_state, Path(f"/proc/{self.ffmpeg_pid}/task").iterdir())
            quiet = 0 if _AT_WORK.intersection(states) else quiet + 1
        return cpu_s(self.ffmpeg_pid)


def _state(task: Path) -> str:
    """Of a thread, as proc(5) has it; empty where it has ended."""
    try:
        return (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _taken(clone: Path) -> dict[str, Any]:
    """What `_TAKEN` names, from the sources of a clone."""
    names: dict[str, Any] = {"np": np, "cv2": cv2, "ort": ort, "Enum": Enum}
    for file, wanted in _TAKEN.items():
        try:
            tree = ast.parse((clone / file).read_bytes())
        except (OSError, SyntaxError) as error:
            raise Unavailable(
                f"{VARIABLE} names no clone of it ({type(error).__name__}: {file})"
            ) from None
        tree.body = [node for node in ast.walk(tree) if _defines(node) in wanted]  # type: ignore[misc]
        if missing := set(wanted) - {_defines(node) for node in tree.body}:
            raise Unavailable(f"{file} of the clone no longer has {', '.join(sorted(missing))}")
        # Annotations name classes that are not taken.
        lazily = __future__.annotations.compiler_flag
        try:
            exec(compile(tree, str(clone / file), "exec", flags=lazily), names)  # noqa: S102
        except Exception as error:
            raise Unavailable(f"{file} of the clone no longer fits: {error!r}") from error
    return names


def _defines(node: ast.AST) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    inner = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner))
