"""Who runs against whom: the bare run of a session, the tutorials' way, and ours.

All read the same ONNX file. The bare run and the tutorials' have sessions of their own,
made here with ONNX Runtime's API alone, so that nothing of ours is between; with the
options that ours has, or with the runtime's defaults (as many threads as cores, which
spin between two runs).
"""

from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from bench.least import Answer, least
from bench.naive import Floats, Found, naive
from bench.subjects import Subject
from visionedge.entities import Image
from visionedge.inference.geometry import place
from visionedge.inference.image import InputWriter
from visionedge.inference.model import LoadedModel
from visionedge.inference.rewritten import rewritten

_ERRORS_ONLY: Final = 3


class Bare:
    """A session with nothing around it.

    Args:
        model: whose file is run.
        default_options: the runtime's own options instead of ours.
        rewrite: whether it is run in the fewer steps that ours runs it in, or as it is.

    Attributes:
        is_rewritten: whether it is.
    """

    def __init__(
        self, model: LoadedModel, *, default_options: bool = False, rewrite: bool = False
    ) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if not default_options:
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.enable_mem_pattern = False
            options.enable_mem_reuse = not model.session.release_early
            options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = model.bundle.model
        content = rewritten(file) if rewrite and model.session.rewritten else None
        self.is_rewritten: Final = content is not None
        self._session = ort.InferenceSession(content or file, options, ["CPUExecutionProvider"])
        self._name: str = self._session.get_inputs()[0].name

    def run(self, tensor: NDArray[Any]) -> Floats:
        """The first output."""
        output: Floats = self._session.run(None, {self._name: tensor})[0]
        return output


def ready_tensor(subject: Subject) -> NDArray[Any]:
    """The input of the subject's first frame, in memory of its own."""
    writer = InputWriter(subject.model.card.input, subject.model.session.signature.inputs[0])
    writer.write(subject.frames[0])
    return writer.tensor.copy()


def after_resize(subject: Subject, session: Bare) -> Callable[[Image], Floats]:
    """What nobody can do without who is shown frames: one resize by OpenCV, then the bare run."""
    tensor, card = ready_tensor(subject), subject.model.card.input
    height, width = subject.frames[0].shape[:2]
    placed = place(card.fit, (width, height), (tensor.shape[3], tensor.shape[2]), card.resize_px)
    x1, y1, x2, y2 = placed.cut
    small = np.empty((placed.height, placed.width, 3), np.uint8)

    def run(image: Image) -> Floats:
        cv2.resize(image[y1:y2, x1:x2], (placed.width, placed.height), dst=small)
        return session.run(tensor)

    return run


def after_tensor(subject: Subject, session: Bare) -> Callable[[Image], Floats]:
    """From a frame to the model's scores, and not to boxes: our writer, then the bare run."""
    writer = InputWriter(subject.model.card.input, subject.model.session.signature.inputs[0])

    def run(image: Image) -> Floats:
        writer.write(image)
        return session.run(writer.tensor)

    return run


def least_way(subject: Subject, session: Bare) -> Callable[[Image], Answer]:
    """From a frame to what is in it and no further: our writer, the bare run, the least decode.

    For one thread, as it has a tensor of its own.

    Raises:
        Unavailable: nobody has written the least decode for the subject's head.
    """
    writer = InputWriter(subject.model.card.input, subject.model.session.signature.inputs[0])
    read = least(subject, writer.write(subject.frames[0]))

    def run(image: Image) -> Answer:
        writer.write(image)
        return read(session.run(writer.tensor))

    return run


def naive_way(subject: Subject, session: Bare) -> Callable[[Image], Found]:
    """The tutorials' way for a subject."""
    model = subject.model
    size = InputWriter(model.card.input, model.session.signature.inputs[0]).size
    return naive(session.run, model.card, size, model.limits)
