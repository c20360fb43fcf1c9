"""Bundles to deliver: ours, zipped as it is, or made bad in one way."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SOURCE = Path("models/pcb-defects")
_SLOW_SIDE = 1200
Change = Callable[[onnx.ModelProto], None]


def zipped(
    target: Path, *, version: str = "2", change: Change | None = None, golden: bool = True
) -> str:
    """Write a bundle as a zip; returns its SHA-256.

    Args:
        version: of the card; another version is another file.
        change: of the graph.
        golden: false lets every golden frame expect what is not there.
    """
    model = onnx.load(SOURCE / "model.onnx")
    if change is not None:
        change(model)
    graph = model.SerializeToString()
    card = json.loads((SOURCE / "model.json").read_text())
    card |= {"version": version, "sha256": hashlib.sha256(graph).hexdigest()}
    expected = json.loads((SOURCE / "golden/expected.json").read_text())
    expected["frames"] = expected["frames"][:2]
    if not golden:
        for frame in expected["frames"]:
            for box in frame["detections"]:
                box["box_xyxy"] = [1.0, 1.0, 20.0, 20.0]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("pcb/model.onnx", graph)
        bundle.writestr("pcb/model.json", json.dumps(card))
        bundle.writestr("pcb/golden/expected.json", json.dumps(expected))
        for frame in expected["frames"]:
            bundle.write(SOURCE / "golden" / frame["image"], f"pcb/golden/{frame['image']}")
    return hashlib.sha256(target.read_bytes()).hexdigest()


def failing_on_white(model: onnx.ModelProto) -> None:
    """Make the graph fail on a frame that is white, and on no other."""
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name == output:
                node.output[i] = "whole"
    # The graph takes 0..255; a gray frame, such as the first one, is far below.
    nodes = [
        helper.make_node("Cast", ["images"], ["wf_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["wf_float"], ["wf_mean"], keepdims=0),
        helper.make_node("Greater", ["wf_mean", "wf_limit"], ["wf_white"]),
        helper.make_node("Cast", ["wf_white"], ["wf_index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["wf_nothing", "wf_index"], ["wf_zero"], axis=0),
        helper.make_node("Add", ["whole", "wf_zero"], [output]),
    ]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(np.array(235, np.float32), "wf_limit"))
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "wf_nothing"))


def slow(model: onnx.ModelProto) -> None:
    """Make each run take tenths of a second longer."""
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name == output:
                node.output[i] = "whole"
    big = np.full((_SLOW_SIDE, _SLOW_SIDE), 1e-6, np.float32)
    graph.initializer.append(numpy_helper.from_array(big, "slow_big"))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "slow_nothing"))
    graph.node.append(helper.make_node("Cast", ["images"], ["slow_in"], to=TensorProto.FLOAT))
    graph.node.append(helper.make_node("ReduceMean", ["slow_in"], ["slow_mean"], keepdims=0))
    graph.node.append(helper.make_node("Add", ["slow_big", "slow_mean"], ["slow_0"]))
    for i in range(8):
        graph.node.append(helper.make_node("MatMul", [f"slow_{i}", "slow_big"], [f"slow_{i + 1}"]))
    graph.node.append(helper.make_node("ReduceMean", ["slow_8"], ["slow_end"], keepdims=0))
    graph.node.append(helper.make_node("Mul", ["slow_end", "slow_nothing"], ["slow_zero"]))
    graph.node.append(helper.make_node("Add", ["whole", "slow_zero"], [output]))
