"""The graph's side of `quantize`: ranges of its tensors measured, and INT8 models made of it.

Static quantisation with Q/DQ nodes by ONNX Runtime: the ranges of all activations are
measured on pictures of the line, weights are rounded a channel each. Two traps are taken
out of the way. Quantising a channel each needs operator set 13, and on an older model gives
an invalid graph without complaint, so the model is converted first. And what follows the
last convolution stays in floating point: a detector joins boxes of 0 to 640 and scores of 0
to 1 into one tensor there, and one scale for both leaves nothing of the scores.

What is left to choose is how a range is told from what was measured, and what else stays in
floating point; a `Recipe` is one such choice. Ranges are measured once a method, picture by
picture, so that memory does not grow with their number.

The tools come with the extra `tools`; the container does not hold them.
"""

import contextlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import ModelLoadError, SettingsError
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel
from visionedge.inference.proof import MARK
from visionedge.inference.registry import build_adapter
from visionedge.inference.rewritten import rewritten
from visionedge.inference.session import VENDOR_ERRORS

Method = Literal["MinMax", "Percentile", "Entropy"]
"""Names as the vendor's `CalibrationMethod` has them."""
_OPSET: Final = 13
_WORKERS_OPS: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""What INT8 makes faster; whatever leads to none of them is the tail of the model."""
_OPTIONS: Final[Mapping[Method, Mapping[str, Any]]] = {
    "MinMax": {},
    # One value in a thousand may lie beyond: activations of SiLU and depthwise networks have
    # rare peaks that would take most of the 256 steps.
    "Percentile": {"percentile": 99.9, "symmetric": False},
    # The vendor's default of 128 bins for 128 steps leaves nothing to choose from.
    "Entropy": {"num_bins": 256, "num_quantized_bins": 128},
}
_STEM: Final = 10
"""The first convolution of each so many: the pixels' own, where an error spreads over all."""
_MOST_KEPT: Final = 1 / 3
_FAILURES: Final[tuple[type[Exception], ...]] = (
    *VENDOR_ERRORS,
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
)
"""The vendor's tools raise whatever their parts raise, and have no error of their own."""
Graph = Any
"""`onnx.GraphProto`, which has no types here."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to quantise.

    Attributes:
        name: for people.
        method: how ranges are told.
        head: True keeps the last convolutions in floating point.
        stem: True keeps the first tenth of the convolutions, and what is between, so too.
    """

    name: str
    method: Method
    head: bool = False
    stem: bool = False


RECIPES: Final = (
    Recipe("min-max", "MinMax"),
    Recipe("percentile", "Percentile"),
    Recipe("entropy", "Entropy"),
    Recipe("percentile, head kept", "Percentile", head=True),
    Recipe("percentile, stem kept", "Percentile", stem=True),
    Recipe("percentile, both kept", "Percentile", head=True, stem=True),
)
"""In the order in which they are tried: the more is kept, the less is gained."""


class Quantizer:
    """Makes INT8 models of one model.

    Args:
        model: in floating point.
        pictures: that show what the line shows.
        folder: for what is made on the way.
        progress: wraps the pictures, and is told what they are looked at for.

    Raises:
        ModelLoadError: its graph cannot be quantised.
        SettingsError: the tools are not installed, or it is quantised already.
    """

    def __init__(
        self,
        model: LoadedModel,
        pictures: Sequence[Path],
        folder: Path,
        progress: Callable[[Sequence[Path], str], Iterator[Path]],
    ) -> None:
        self._tools = _tools()
        self._model = model
        self._pictures = pictures
        self._folder = folder
        self._progress = progress
        self._prepared: Final = folder / "prepared.onnx"
        self._graph: Graph = None
        with _named(model):
            self._prepare()

    def is_worth(self, recipe: Recipe) -> bool:
        """True if most of what INT8 makes faster becomes INT8; a small network has no middle."""
        kept = set(self._kept(recipe))
        workers = [node.name for node in self._graph.node if node.op_type in _WORKERS_OPS]
        return sum(name in kept for name in workers) <= len(workers) * _MOST_KEPT

    def make(self, recipe: Recipe, to: Path) -> None:
        """Write an INT8 model.

        Raises:
            ModelLoadError: its graph cannot be quantised.
        """
        onnxruntime = self._tools.quantization
        with _named(self._model):
            onnxruntime.quantize_static(
                str(self._prepared),
                str(to),
                None,
                quant_format=onnxruntime.QuantFormat.QDQ,
                per_channel=True,
                activation_type=onnxruntime.QuantType.QUInt8,
                weight_type=onnxruntime.QuantType.QInt8,
                nodes_to_exclude=list(self._kept(recipe)),
                calibrate_method=onnxruntime.CalibrationMethod[recipe.method],
                calibration_cache_path=str(self._ranges(recipe.method)),
            )

    def _prepare(self) -> None:
        """The model in an operator set that INT8 needs, its shapes told and its nodes named."""
        tools = self._tools
        graph = self._loaded()
        _check(self._model, graph)
        if self._model.session.header.opset < _OPSET:
            graph = tools.version_converter.convert_version(graph, _OPSET)
        path = str(self._prepared)
        tools.onnx.save(graph, path)
        tools.shape_inference.quant_pre_process(path, path, skip_symbolic_shape=True)
        graph = tools.onnx.load(path)
        name_nodes(graph.graph)
        tools.onnx.save(graph, path)
        self._graph = graph.graph

    def _loaded(self) -> Any:  # noqa: ANN401 - `onnx.ModelProto`, which has no types here
        """The model in as few steps as it is run in: what is not folded now stays beside INT8."""
        path = self._model.bundle.model
        fewer = rewritten(path) if self._model.session.rewritten else None
        if fewer is None:
            return self._tools.onnx.load(path)
        model = self._tools.onnx.load_from_string(fewer)
        # The mark is for what is run as it was rewritten; what comes of it here is a file anew.
        for entry in [entry for entry in model.metadata_props if entry.key == MARK]:
            model.metadata_props.remove(entry)
        return model

    def _kept(self, recipe: Recipe) -> Iterator[str]:
        """Names of the nodes that stay in floating point."""
        rest = list(tail(self._graph))
        yield from rest
        if recipe.head:
            yield from last_workers(self._graph, rest)
        if recipe.stem:
            yield from stem(self._graph)

    def _ranges(self, method: Method) -> Path:
        """The file of the measured ranges; measured at the first call."""
        file = self._folder / f"ranges-{method}.json"
        if not file.is_file():
            onnxruntime = self._tools.quantization
            calibrator = onnxruntime.create_calibrator(
                str(self._prepared),
                augmented_model_path=str(self._folder / "augmented.onnx"),
                calibrate_method=onnxruntime.CalibrationMethod[method],
                extra_options=dict(_OPTIONS[method]),
            )
            for inputs in self._inputs(method):
                # One at a time: it keeps every tensor of all that it is given at once.
                with self._tools.silence():
                    calibrator.collect_data(_One(inputs))
            with self._tools.silence():
                ranges = calibrator.compute_data()
            onnxruntime.save_tensors_data(ranges, file)
        return file

    def _inputs(self, method: Method) -> Iterator[dict[str, NDArray[Any]]]:
        """The pictures, prepared as the model gets them."""
        model = self._model
        adapter = build_adapter(model.card, model.session.signature, model.limits)
        for path in self._progress(self._pictures, method):
            image = read_image(path)
            if image is not None:
                inputs, _ = adapter.preprocess(image)
                yield {name: np.array(tensor) for name, tensor in inputs.items()}


class _One:
    """One input for the vendor's calibrator; the name of the method is the vendor's."""

    def __init__(self, inputs: dict[str, NDArray[Any]]) -> None:
        self._left: list[dict[str, NDArray[Any]]] = [inputs]

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return self._left.pop() if self._left else None


@dataclass(frozen=True, slots=True)
class _Tools:
    """The vendor's modules, which are there only with the extra."""

    onnx: Any
    version_converter: Any
    quantization: Any
    shape_inference: Any

    @staticmethod
    def silence() -> contextlib.redirect_stdout[io.StringIO]:
        """For what prints its own notes into ours."""
        return contextlib.redirect_stdout(io.StringIO())


def _tools() -> _Tools:
    try:
        import onnx
        from onnx import version_converter
        from onnxruntime import quantization
        from onnxruntime.quantization import shape_inference
    except ImportError as error:
        raise SettingsError(
            f"quantize needs {error.name}, which is not installed",
            hint="install the tools: `pip install 'visionedge[tools]'`",
        ) from None
    return _Tools(onnx, version_converter, quantization, shape_inference)


@contextlib.contextmanager
def _named(model: LoadedModel) -> Iterator[None]:
    """Give what the vendor's tools raise a name."""
    try:
        yield
    except _FAILURES as error:
        raise ModelLoadError(
            f"{model.bundle.model} cannot be quantised: {' '.join(str(error).split())[:300]}",
            hint="export it again with opset 13 or later",
        ) from error


def _check(model: LoadedModel, graph: Graph) -> None:
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


def name_nodes(graph: Graph) -> None:
    """Give each node a name of its own: they are excluded by name, and exporters leave it empty."""
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}-{number}"
        taken.add(node.name)


def tail(graph: Graph) -> Iterator[str]:
    """Names of the nodes whose results no convolution or product uses: they stay as they are."""
    used: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in _WORKERS_OPS or used.intersection(node.output):
            used.update(node.input)
        else:
            yield node.name


def last_workers(graph: Graph, after: Sequence[str]) -> Iterator[str]:
    """Names of the convolutions and products whose results only those nodes use."""
    behind = set(after)
    used = {name for node in graph.node if node.name not in behind for name in node.input}
    for node in graph.node:
        if node.op_type in _WORKERS_OPS and not used.intersection(node.output):
            yield node.name


def stem(graph: Graph) -> Iterator[str]:
    """Names of the nodes up to the end of the first tenth of the convolutions and products."""
    workers = sum(node.op_type in _WORKERS_OPS for node in graph.node)
    left = math.ceil(workers / _STEM)
    for node in graph.node:
        if not left:
            return
        left -= node.op_type in _WORKERS_OPS
        yield node.name
