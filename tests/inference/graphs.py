"""Small ONNX models, built where they are needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]


def answers(
    outputs: Mapping[str, NDArray[Any]],
    *,
    input_shape: Shape = (1, 3, 64, 64),
    output_shapes: Mapping[str, Shape] | None = None,
    metadata: Mapping[str, str] | None = None,
    producer: str = "tests",
) -> onnx.ModelProto:
    """A model that says the same to every picture."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    constants = [numpy_helper.from_array(np.zeros((), np.float32), "nothing")]
    for name, value in outputs.items():
        constants.append(numpy_helper.from_array(value.astype(np.float32), f"{name}_value"))
        nodes.append(helper.make_node("Add", [f"{name}_value", "zero"], [name]))
    shapes = {name: value.shape for name, value in outputs.items()} | dict(output_shapes or {})
    return _model(nodes, constants, input_shape, shapes, metadata, producer)


def color_classifier(
    weights: NDArray[np.float32],
    *,
    input_shape: Shape = (1, 3, 32, 32),
    batch: int | str = 1,
    softmax: bool = True,
    producer: str = "tests",
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """A model that judges by the mean colour: (classes, 3) weights on it, less its average."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["color"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["color"], ["gray"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["color", "gray"], ["tint"]),
        helper.make_node("MatMul", ["tint", "weights"], ["logits"]),
    ]
    last = "logits"
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=1))
        last = "scores"
    constants = [numpy_helper.from_array(np.ascontiguousarray(weights.T, np.float32), "weights")]
    return _model(nodes, constants, input_shape, {last: (batch, len(weights))}, metadata, producer)


def named_classes(labels: Sequence[str], weights: NDArray[np.float32]) -> onnx.ModelProto:
    """A classifier with a ZipMap at its end, as OnnxMLTools writes it for Custom Vision."""
    model = color_classifier(weights, producer="OnnxMLTools")
    zipmap = helper.make_node(
        "ZipMap", ["scores"], ["loss"], domain="ai.onnx.ml", classlabels_strings=list(labels)
    )
    model.graph.node.append(zipmap)
    del model.graph.output[:]
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    mapped = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, value))
    model.graph.output.append(helper.make_value_info("loss", mapped))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    return model


def saved(model: onnx.ModelProto, path: Path) -> Path:
    """Write a model, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    input_shape: Shape,
    outputs: Mapping[str, Shape],
    metadata: Mapping[str, str] | None,
    producer: str,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(input_shape))],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
            for name, shape in outputs.items()
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.producer_name = producer
    helper.set_model_props(model, dict(metadata or {}))
    return model
