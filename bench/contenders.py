"""Who runs against whom: the bare run of a session, the tutorials' way, and ours.

All read the same ONNX file. The bare run and the tutorials' have sessions of their own,
made here with ONNX Runtime's API alone, so that nothing of ours is between; with the
options that ours has, or with the runtime's defaults (as many threads as cores, which
spin between two runs).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from bench.naive import Floats, Found, naive
from bench.report import Unavailable
from bench.subjects import Subject
from visionedge.entities import Classification, Image, Prediction
from visionedge.inference.image import InputWriter

_ERRORS_ONLY: Final = 3
_NEAR_PX: Final = 1e-3
_NEAR_SCORE: Final = 1e-4


class Bare:
    """A session with nothing around it.

    Args:
        path: the ONNX file.
        default_options: the runtime's own options instead of ours.
    """

    def __init__(self, path: Path, *, default_options: bool = False) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if not default_options:
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._name: str = self._session.get_inputs()[0].name

    def run(self, tensor: NDArray[Any]) -> Floats:
        """The first output."""
        output: Floats = self._session.run(None, {self._name: tensor})[0]
        return output


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two ways differ over all frames.

    Attributes:
        found: boxes a frame (or classes that were compared).
        farthest: largest difference, pixels for boxes and probability for classes.
        unit: of it.
    """

    found: float
    farthest: float
    unit: str

    def __str__(self) -> str:
        return (
            f"{self.found:.1f} a frame, the same in all ways within {self.farthest:.1g} {self.unit}"
        )


def ready_tensor(subject: Subject) -> NDArray[Any]:
    """The input of the subject's first frame, in memory of its own."""
    writer = InputWriter(subject.model.card.input, subject.model.session.signature.inputs[0])
    writer.write(subject.frames[0])
    return writer.tensor.copy()


def naive_way(subject: Subject, session: Bare) -> Callable[[Image], Found]:
    """The tutorials' way for a subject."""
    model = subject.model
    size = InputWriter(model.card.input, model.session.signature.inputs[0]).size
    return naive(session.run, model.card, size, model.limits)


def agreement(
    subject: Subject, ours: Callable[[Image], Prediction], other: Callable[[Image], Found]
) -> Agreement:
    """Hold two ways together; a comparison of speed means nothing where results differ.

    Raises:
        Unavailable: they differ, so there is nothing to measure.
    """
    found, farthest = 0, 0.0
    is_classes = subject.model.card.task == "classification"
    for image in subject.frames:
        theirs = other(image)
        distance = _distance(ours(image), theirs)
        if distance is None:
            raise Unavailable(
                f"{subject.role}: ours and the naive way see different things",
                hint="one of them is wrong: compare them on a single frame",
            )
        found += len(theirs)
        farthest = max(farthest, distance)
    unit = "of probability" if is_classes else "px"
    return Agreement(found / len(subject.frames), farthest, unit)


def _distance(ours: Prediction, theirs: Found) -> float | None:
    """Largest difference of boxes or probabilities; None where they are not the same."""
    if isinstance(ours, Classification):
        apart = [abs(ours.confidence[class_id] - score) for class_id, score, _ in theirs]
        return float(max(apart)) if max(apart) <= _NEAR_SCORE else None
    if len(ours) != len(theirs):
        return None
    if not theirs:
        return 0.0
    mine = _sorted(ours.class_id, ours.confidence, ours.xyxy)
    other = _sorted(*(np.array(column) for column in zip(*theirs, strict=True)))
    if (mine[:, 0] != other[:, 0]).any():
        return None
    farthest = np.abs(mine - other).max(axis=0)
    near = farthest[1] <= _NEAR_SCORE and farthest[2:].max() <= _NEAR_PX
    return float(farthest[2:].max()) if near else None


def _sorted(class_id: NDArray[Any], score: NDArray[Any], xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of class, score and box, in an order that equal scores do not change."""
    rows = np.column_stack([class_id, score, xyxy]).astype(np.float64)
    return rows[np.lexsort((rows[:, 2], -rows[:, 1], rows[:, 0]))]
