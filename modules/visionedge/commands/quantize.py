"""`visionedge quantize`: INT8 for a model that is too slow, refused where it costs too much.

Static quantisation with Q/DQ nodes by ONNX Runtime: the ranges of all activations are
measured on pictures of the line, weights are rounded a channel each. Three traps are taken
out of the way. Quantising a channel each needs operator set 13, and on an older model gives
an invalid graph without complaint, so the model is converted first. What follows the last
convolution stays in floating point: a detector joins boxes of 0 to 640 and scores of 0 to 1
into one tensor there, and one scale for both leaves nothing of the scores. And INT8 is not
always faster, so speed and accuracy before and after are measured here and shown side by
side.

The tools come with the extra `tools`; the container does not hold them.
"""

import argparse
import copy
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.commands import options, speed
from visionedge.commands.evaluate import judge
from visionedge.commands.import_ import make_bundle
from visionedge.entities import Detections
from visionedge.errors import EXIT_OK, ModelLoadError, ModelRunError, SettingsError
from visionedge.evaluation.dataset import Dataset, Picture
from visionedge.evaluation.formats import read_dataset
from visionedge.inference.bundle import MODEL_NAME
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.registry import build_adapter

_OPSET: Final = 13
_WORKERS_OPS: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""What INT8 makes faster; whatever leads to none of them is the tail of the model."""
_MOST_PICTURES: Final = 200
_FEW_PICTURES: Final = 20
_GOLDEN: Final = 8
_SURE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Side:
    """One column of the comparison."""

    accuracy: float
    run_ms: float
    size_bytes: int


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "quantize",
        help="make an INT8 bundle of a model, if it loses little",
        description="Quantise a model to INT8 and compare accuracy and speed. Exits with 3 and "
        "writes nothing if it loses more than --max-loss.",
    )
    parser.add_argument("model", type=Path, help="bundle folder, ONNX file or export zip")
    parser.add_argument(
        "--calibration",
        type=Path,
        required=True,
        metavar="DIR",
        help="pictures of the line, a hundred or so; they need no labels",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="PATH",
        help="labelled pictures to measure on (default: agreement with the original on those of "
        "--calibration)",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the new bundle")
    parser.add_argument(
        "--max-loss",
        type=float,
        default=0.01,
        metavar="X",
        help="of mAP50 or accuracy, 0..1 (default: 0.01)",
    )
    options.add_hints(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the model cannot be used or quantised, or loses too much.
        SettingsError: an option is wrong, or the extra `tools` is not installed.
    """
    if args.to.exists():
        raise SettingsError(f"{args.to} is there already", hint="name another, or move it away")
    pictures = options.pictures([args.calibration])[:_MOST_PICTURES]
    if len(pictures) < _FEW_PICTURES:
        print(f"only {len(pictures)} pictures to calibrate with: a hundred give truer ranges")
    before = load_model(args.model, options.DEFAULTS, options.hints(args))
    dataset = read_dataset(args.dataset) if args.dataset else _own_words(before, pictures)
    with tempfile.TemporaryDirectory(prefix="visionedge-quantize-") as folder:
        card = before.card.model_dump(mode="json", exclude={"sha256"})
        quantised = Path(folder, MODEL_NAME)
        _quantise(before, pictures, quantised)
        after = load_model(quantised, options.DEFAULTS, card)
        sides = [_measured(model, dataset) for model in (before, after)]
        print("\n".join(_table(before, args.dataset is not None, *sides)))
        loss = sides[0].accuracy - sides[1].accuracy
        if loss > args.max_loss:
            raise ModelRunError(
                f"INT8 loses {loss:.3f}, more than {args.max_loss:g}; nothing is written",
                hint="calibrate with more pictures of the line, accept more with --max-loss, or "
                "keep the original",
            )
        make_bundle(
            args.to,
            after,
            _golden_pictures(before, pictures),
            origin=f"INT8 of {before.card.name} {before.card.sha256[:12]}. {before.card.origin}",
        )
    if sides[1].run_ms >= sides[0].run_ms:
        print("it is not faster on this machine; measure on the device before you deploy it")
    print(f"written: {args.to}")
    return EXIT_OK


def _quantise(model: LoadedModel, pictures: Sequence[Path], to: Path) -> None:
    """Write the INT8 model.

    Raises:
        ModelLoadError: its graph cannot be quantised.
        SettingsError: the tools are not installed.
    """
    try:
        import onnx
        from onnx import version_converter
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise SettingsError(
            f"quantize needs {error.name}, which is not installed",
            hint="install the tools: `pip install 'visionedge[tools]'`",
        ) from None
    graph: Any = onnx.load(model.bundle.model)
    _check(model, graph)
    prepared = to.with_name("prepared.onnx")
    # The tools raise whatever their parts raise, and have no error of their own.
    failures = (ValueError, RuntimeError, TypeError, KeyError, AttributeError, NotImplementedError)
    try:
        if model.session.header.opset < _OPSET:
            graph = version_converter.convert_version(graph, _OPSET)
        onnx.save(graph, prepared)
        quant_pre_process(str(prepared), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared)
        name_nodes(graph.graph)
        onnx.save(graph, prepared)
        quantize_static(
            str(prepared),
            str(to),
            _Calibration(model, pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(tail(graph.graph)),
        )
    except failures as error:
        raise ModelLoadError(
            f"{model.bundle.model} cannot be quantised: {' '.join(str(error).split())[:300]}",
            hint="export it again with opset 13 or later",
        ) from error


def _check(model: LoadedModel, graph: Any) -> None:  # noqa: ANN401 - onnx has no types here
    if any(node.op_type.endswith(("QuantizeLinear", "Integer")) for node in graph.graph.node):
        raise SettingsError(
            f"{model.bundle.model} is quantised already", hint="begin with the original"
        )
    wrong = [spec for spec in model.session.signature.inputs if spec.dtype != np.float32]
    if wrong:
        raise SettingsError(
            f"{model.bundle.model} takes {wrong[0]}, and only float32 is quantised",
            hint="export it in float32",
        )


def name_nodes(graph: Any) -> None:  # noqa: ANN401 - onnx has no types here
    """Give each node a name of its own: they are excluded by name, and exporters leave it empty."""
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}-{number}"
        taken.add(node.name)


def tail(graph: Any) -> Iterator[str]:  # noqa: ANN401 - onnx has no types here
    """Names of the nodes whose results no convolution or product uses: they stay as they are."""
    used: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in _WORKERS_OPS or used.intersection(node.output):
            used.update(node.input)
        else:
            yield node.name


class _Calibration:
    """Gives the quantiser the pictures, prepared as the model gets them."""

    def __init__(self, model: LoadedModel, pictures: Sequence[Path]) -> None:
        self._adapter = build_adapter(model.card, model.session.signature, model.limits)
        self._pictures = iter(options.with_progress(pictures, "picture"))

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next input, or None after the last; the name is the vendor's."""
        for path in self._pictures:
            image = read_image(path)
            if image is not None:
                inputs, _ = self._adapter.preprocess(image)
                return {name: np.array(tensor) for name, tensor in inputs.items()}
        return None


def _own_words(model: LoadedModel, pictures: Sequence[Path]) -> Dataset:
    """What the original is sure of, as the truth to hold the other one to."""
    runner, judged = model.runner(), []
    for path in pictures:
        image = read_image(path)
        if image is None:
            raise SettingsError(f"{path} is no picture that can be read", hint="leave it out")
        said = runner.infer(image)
        if isinstance(said, Detections):
            sure = said.confidence >= _SURE
            judged.append(Picture(path, said.class_id[sure], said.xyxy[sure]))
        else:
            judged.append(Picture(path, np.array([said.top(1)[0][0]], np.int32)))
    if not any(len(each.class_id) for each in judged):
        raise SettingsError(
            "the model is sure of nothing in these pictures, so nothing can be compared",
            hint="calibrate with pictures that show objects, or give a --dataset",
        )
    return Dataset("own", (), judged)


def _measured(model: LoadedModel, dataset: Dataset) -> Side:
    report = judge(model, _numbered(model, dataset), {}, _SURE)
    accuracy = report.map50 if report.accuracy is None else report.accuracy
    return Side(accuracy or 0.0, speed.measure(model).run_ms, model.bundle.model.stat().st_size)


def _numbered(model: LoadedModel, dataset: Dataset) -> Dataset:
    """A data set of the model's own words needs no names where the model has none."""
    if dataset.names or model.card.labels:
        return dataset
    highest = max(int(each.class_id.max(initial=0)) for each in dataset.pictures)
    labels = tuple(str(number) for number in range(highest + 1))
    return Dataset(dataset.format, labels, copy.copy(dataset.pictures))


def _golden_pictures(model: LoadedModel, pictures: Sequence[Path]) -> list[Path]:
    if model.bundle.golden is None:
        return list(pictures[:_GOLDEN])
    return options.pictures([model.bundle.golden])


def _table(model: LoadedModel, is_measured: bool, before: Side, after: Side) -> Iterator[str]:
    figure = "mAP50" if model.card.task == "detection" else "accuracy"
    name = figure if is_measured else f"{figure} against the original"
    yield f"{'':28} {'before':>9} {'INT8':>9}"
    yield f"{name:28} {before.accuracy:>9.3f} {after.accuracy:>9.3f}"
    yield f"{'run, ms (median)':28} {before.run_ms:>9.2f} {after.run_ms:>9.2f}"
    yield f"{'file, MB':28} {before.size_bytes / 1e6:>9.2f} {after.size_bytes / 1e6:>9.2f}"
