"""Networks that are run in fewer steps than they were written with, as exporters write them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

END = 2**63 - 1
YOLOX_ORDER = ((0, 0), (1, 0), (0, 1), (1, 1))
"""Rows and columns at which the quarters of a Focus begin."""
Sizes = tuple[int | str, int | str]


def focus(
    *,
    order: Sequence[tuple[int, int]] = YOLOX_ORDER,
    at_once: bool = False,
    end: int = END,
    step: int = 2,
    joined_axis: int = 1,
    sizes: Sizes = (32, 48),
    kernel: int = 3,
    weights: NDArray[Any] | None = None,
    shown: Sequence[str] = (),
    **conv: Any,  # noqa: ANN401 - attributes of the operator
) -> onnx.ModelProto:
    """A Focus and its convolution.

    Args:
        order: where each quarter begins.
        at_once: rows and columns by one slice, in place of one each.
        end: of the slices.
        step: of the slices.
        joined_axis: along which quarters are joined.
        sizes: of the picture.
        kernel: of the convolution.
        weights: of the convolution; None draws them.
        shown: names that the network gives besides.
        conv: attributes of the convolution.
    """
    nodes, quarters = [], []
    tensors: dict[str, NDArray[Any]] = {}
    for number, (row, column) in enumerate(order):
        cuts = [((row, column), (2, 3))] if at_once else [((row,), (2,)), ((column,), (-1,))]
        name = "images"
        for begins, axes in cuts:
            parts = (begins, (end,) * len(axes), axes, (step,) * len(axes))
            names = ["list" + "_".join(map(str, part)) for part in parts]
            tensors |= dict(zip(names, (np.array(part, np.int64) for part in parts), strict=True))
            output = f"{name}_{number}"
            nodes.append(helper.make_node("Slice", [name, *names], [output]))
            name = output
        quarters.append(name)
    if weights is None:
        drawn = np.random.default_rng(4).normal(size=(5, 12, kernel, kernel))
        weights = drawn.astype(np.float32)
    conv = {"pads": [kernel // 2] * 4} | conv
    nodes += [
        helper.make_node("Concat", quarters, ["joined"], axis=joined_axis),
        helper.make_node("Conv", ["joined", "weights", "bias"], ["sums"], **conv),
        helper.make_node("Relu", ["sums"], ["out"]),
    ]
    tensors |= {"weights": weights, "bias": np.linspace(-1, 1, len(weights), dtype=weights.dtype)}
    return _model(nodes, tensors, (1, 3, *sizes), ("out", *shown), weights.dtype)


def hard_swish(
    *,
    shift: float = 3.0,
    bounds: tuple[float, float] = (0.0, 6.0),
    divisor: float = 6.0,
    swapped: bool = False,
    of: str = "images",
    shown: Sequence[str] = (),
) -> onnx.ModelProto:
    """`x * clip(x + shift, *bounds) / divisor`, with `of` in place of the first `x`."""
    product = ["clipped", of] if swapped else [of, "clipped"]
    addition = ["shift", "images"] if swapped else ["images", "shift"]
    nodes = [
        helper.make_node("Add", ["images", "images"], ["twice"]),
        helper.make_node("Add", addition, ["shifted"]),
        helper.make_node("Clip", ["shifted", "low", "high"], ["clipped"]),
        helper.make_node("Mul", product, ["product"]),
        helper.make_node("Div", ["product", "divisor"], ["out"]),
    ]
    values = {"shift": shift, "low": bounds[0], "high": bounds[1], "divisor": divisor}
    tensors = {name: np.array(value, np.float32) for name, value in values.items()}
    return _model(nodes, tensors, (1, 3, 32, 48), ("out", "twice", *shown), np.dtype(np.float32))


def as_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with each weight as the output of a node, as some exporters leave them."""
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    del model.graph.initializer[:]
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def as_inputs(model: onnx.ModelProto, ir_version: int = 3) -> onnx.ModelProto:
    """The same with each weight among the inputs, as it had to be up to version 3."""
    for tensor in model.graph.initializer:
        listed = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(listed)
    model.ir_version = ir_version
    return model


def as_lists(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with numbers one by one, in place of raw bytes."""
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        kind = tensor.int64_data if array.dtype == np.int64 else tensor.float_data
        kind.extend(array.ravel().tolist())
    return model


def _model(
    nodes: Sequence[onnx.NodeProto],
    tensors: dict[str, NDArray[Any]],
    shape: Sequence[int | str],
    outputs: Sequence[str],
    dtype: np.dtype[Any],
) -> onnx.ModelProto:
    kind = TensorProto.FLOAT16 if dtype == np.float16 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(name, kind, [*"nchw"]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"task": "detect"})
    return model
