"""The whole module against what else runs an ONNX file on a CPU: throughput and CPU a frame.

    OpenCV dnn      cv2.dnn, its own threads
    OpenVINO        its CPU plugin, tuned for latency by its own hint
    ultralytics     its own predict() on a file that it exported, whole: letterbox, run, decode
    Frigate         its own functions for one camera, out of a clone (bench/frigate.py)
    ours            the module with a worker a core, on a file without a pace

All read the same video and the same model. The peers that are only runtimes get our own
preprocessing and decode, which are quicker than their samples', so what is compared is the
runtime and the way it is fed; ours has decision, metrics, telemetry and the spool on top.
Results must agree with ours, or a peer is left out. A peer that is not installed is skipped
with a word: `pip install 'visionedge[bench]'` brings OpenVINO; ultralytics, which is under the
AGPL, is used where somebody has installed it, and Frigate where FRIGATE names a clone.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.clip import CODEC, write_clip
from bench.context import Context
from bench.frigate import Frigate
from bench.harness import Sample, Turn, compare, in_rounds, repeated, settled
from bench.line import Line
from bench.load import cores
from bench.naive import reader_of
from bench.ratios import COLUMNS
from bench.report import Report, Table, Unavailable
from bench.subjects import Subject
from visionedge.entities import Detections, Image, Prediction
from visionedge.inference.registry import build_adapter
from visionedge.inference.tensors import Outputs

_TURN_S: Final = 0.6
_WARM_UP: Final = 1
_BASE: Final = "ours, 2 workers"
_NEAR_PX: Final = 0.5
"""Kernels of another runtime round otherwise; boxes differ by hundredths of a pixel."""
Tensor = NDArray[Any]
Answer = Callable[[Tensor], Outputs]
Infer = Callable[[Image], Prediction]


def run(context: Context) -> Report:
    """Measure every subject."""
    tables, skipped = [], []
    for role in context.roles:
        try:
            table, without = _table(context, context.subject(role))
        except Unavailable as error:
            skipped.append(f"{role}: {error}")
            continue
        tables.append(table)
        skipped += [f"{role}: {reason}" for reason in without]
    return Report("peers", tables, skipped)


def _table(context: Context, subject: Subject) -> tuple[Table, list[str]]:
    clip = write_clip(context.folder / f"peers-{subject.role}.mp4", subject.frames)
    turns: dict[str, Turn] = {}
    skipped: list[str] = []
    with ExitStack() as lines:
        line = Line(subject.model, clip, context.folder, workers=cores())
        turns[_BASE] = partial(_line_turn, lines.enter_context(line))
        for name, make in _PEERS.items():
            try:
                turns[name] = settled(repeated(_loop(subject, make(subject), clip), _TURN_S))
            except (Unavailable, ImportError) as error:
                skipped.append(f"{name}: {error}")
        try:
            frigate = lines.enter_context(Frigate(subject, clip))
            turns["Frigate"] = lambda _: frigate.turn(_TURN_S)
        except Unavailable as error:
            skipped.append(f"Frigate: {error}")
        tick = lines.enter_context(context.progress(f"peers {subject.role}", context.blocks))
        rounds = in_rounds(
            turns, context.blocks, warm_up=_WARM_UP, patience_s=context.patience_s, tick=tick
        )
    table = Table(
        title=f"{subject.role}: {subject.title}; {context.blocks} rounds of {_TURN_S} s each",
        rows=compare(rounds, _BASE),
        columns=COLUMNS,
        notes=(
            f"1080p {CODEC} ({subject.pictures}), decoded by all; `of bare` and `by CPU` are "
            "over ours here: below 1 is slower, or takes more CPU, than ours",
            rounds.disturbance,
        ),
        bar=attrgetter("ratio"),
    )
    return table, skipped


def _line_turn(line: Line, _: int) -> Sample:
    return line.turn(_TURN_S)


def _loop(subject: Subject, infer: Infer, clip: Path) -> Callable[[], object]:
    """Read and look, one frame after the other; seen as ours sees them, or not at all.

    Raises:
        Unavailable: the peer sees something else.
    """
    runner = subject.model.runner()
    for frame in subject.frames:
        _agree(runner.infer(frame), infer(frame))
    read = reader_of(clip)
    return lambda: infer(read())


def _fed(subject: Subject, answer: Answer) -> Infer:
    """A runtime between our preprocessing and our decode."""
    model = subject.model
    adapter = build_adapter(model.card, model.session.signature, model.limits)

    def infer(image: Image) -> Prediction:
        inputs, geometry = adapter.preprocess(image)
        return adapter.decode(answer(next(iter(inputs.values()))), geometry)

    return infer


def _agree(ours: Prediction, theirs: Prediction) -> None:
    if isinstance(ours, Detections) and isinstance(theirs, Detections):
        sure, also = ours.confidence >= 0.5, theirs.confidence >= 0.5
        same = sure.sum() == also.sum() and (
            not sure.any() or np.abs(ours.xyxy[sure] - theirs.xyxy[also]).max() < _NEAR_PX
        )
    else:
        same = np.allclose(ours.confidence, theirs.confidence, atol=0.01)
    if not same:
        raise Unavailable("it sees something else than ours")


def _opencv(subject: Subject) -> Infer:
    try:
        net = cv2.dnn.readNetFromONNX(str(subject.model.bundle.model))
    except cv2.error as error:
        raise Unavailable(f"it cannot read the model: {str(error).splitlines()[0]}") from None
    names = [spec.name for spec in subject.model.session.signature.outputs]

    def answer(tensor: Tensor) -> Outputs:
        net.setInput(tensor)
        return [np.asarray(each) for each in net.forward(names)]

    cv2.setNumThreads(cores())
    return _fed(subject, answer)


def _openvino(subject: Subject) -> Infer:
    try:
        import openvino
    except ImportError:
        raise Unavailable("it is not installed") from None
    # By default it computes in bfloat16 where the processor can, and then sees other things.
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(str(subject.model.bundle.model), "CPU", options)
    request = compiled.create_infer_request()

    def answer(tensor: Tensor) -> Outputs:
        request.infer([tensor])
        found = range(len(compiled.outputs))
        return [request.get_output_tensor(number).data.copy() for number in found]

    return _fed(subject, answer)


def _ultralytics(subject: Subject) -> Infer:
    model = subject.model
    # What its exporter says of a file, and what its own code reads it by.
    if "stride" not in model.session.metadata:
        raise Unavailable("it reads what it exported only")
    try:
        from ultralytics import YOLO
    except ImportError:
        raise Unavailable("it is not installed") from None
    yolo = YOLO(str(model.bundle.model), task="detect")
    limits = {"conf": model.limits.floor, "iou": model.limits.nms_iou}

    def infer(image: Image) -> Prediction:
        boxes = yolo.predict(image, verbose=False, **limits)[0].boxes
        class_id = boxes.cls.numpy().astype(np.int32)
        return Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), class_id, ())

    return infer


_PEERS: Final[Mapping[str, Callable[[Subject], Infer]]] = {
    "OpenCV dnn": _opencv,
    "OpenVINO": _openvino,
    "ultralytics": _ultralytics,
}
