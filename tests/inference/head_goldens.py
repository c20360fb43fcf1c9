"""The golden folders of the heads: what an exporter writes, and what is seen in it.

`tests/golden/heads/<head>/<exporter>.json` gives a model's inputs, outputs and the predictions
that were computed by hand from the exporter's documented decode:

    exporter   whose signature it is, as docs/reference/formats.md lists it
    computed   how the expected figures came about
    inputs     name -> type, shape
    outputs    name -> type, shape, and `fill`, then `spread` (a ramp) and `put` (values at an
               index, where null is all and [a, b] a range); `free` is the shape that the model
               declares; `times` scales by that input, xyxy; or `map` for a ZipMap
    frame      width and height of the picture
    labels, metadata   as beside and in the model
    told       fields of the card that must be found out
    expected   boxes, best first; or class -> confidence
    hot        boxes of an anomaly model's map
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.inference.graphs import named_classes

from visionedge.inference.tensors import Outputs, Signature, TensorSpec

FOLDER: Final = Path(__file__).parents[1] / "golden" / "heads"
_TYPES: Final = {
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}


@dataclass(frozen=True)
class Golden:
    """One file."""

    path: Path
    document: dict[str, Any]

    @property
    def head(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return f"{self.head}/{self.path.stem}"

    @property
    def labels(self) -> list[str]:
        """Known, or those that the expected boxes name."""
        expected = self.document["expected"]
        if isinstance(expected, dict):
            return list(expected)
        named = _named_in(self.document.get("metadata", {}))
        return self.document.get("labels") or named or [box["label"] for box in expected]

    def card(self) -> dict[str, Any]:
        """What a card says once the model has been told."""
        card: dict[str, Any] = {"name": "golden", "head": self.head, "labels": self.labels}
        for field, value in self.document.get("told", {}).items():
            part, _, leaf = field.partition(".")
            card.setdefault(part, {})[leaf] = value
        if self.head == "classifier":
            card.setdefault("output", {}).setdefault("activation", "none")
        if any(spec["type"] == "uint8" for spec in self.document["inputs"].values()):
            card.setdefault("input", {})["scale"] = 1.0
        return card

    def signature(self) -> Signature:
        """As the model declares it."""
        inputs = [
            TensorSpec(name, tuple(spec["shape"]), np.dtype(spec["type"]))
            for name, spec in self.document["inputs"].items()
        ]
        return Signature(tuple(inputs), tuple(map(_declared, *_columns(self.document["outputs"]))))

    def outputs(self) -> Outputs:
        """As a session would give them, told that the size is the input's own."""
        return [self._output(spec) for spec in self.document["outputs"].values()]

    def _output(self, spec: dict[str, Any]) -> object:
        if "map" in spec:
            return [dict(spec["map"])]
        array = _array(spec)
        side = next(iter(self.document["inputs"].values()))["shape"][2]
        return array * side if "times" in spec else array

    def model(self) -> onnx.ModelProto:
        """A graph of that signature that answers so to every picture."""
        outputs, metadata = self.document["outputs"], self.document.get("metadata", {})
        first = next(iter(outputs.values()))
        if "map" in first:
            scores = np.array(list(first["map"].values()))
            model = named_classes(list(first["map"]), np.zeros((len(scores), 3), np.float32))
            # Its logits are then only what is added to them.
            return _with_logits(model, np.log(scores))
        model = _answering(self.document["inputs"], outputs)
        helper.set_model_props(model, metadata)
        return model


def goldens() -> list[Golden]:
    """All of them, by name."""
    return [Golden(path, json.loads(path.read_text())) for path in sorted(FOLDER.rglob("*.json"))]


def _columns(outputs: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    return list(outputs), list(outputs.values())


def _declared(name: str, spec: dict[str, Any]) -> TensorSpec:
    if "map" in spec:
        return TensorSpec(name, (), None)
    shape = spec.get("free", spec["shape"])
    sizes = tuple(size if isinstance(size, int) else None for size in shape)
    return TensorSpec(name, sizes, np.dtype(spec["type"]))


def _array(spec: dict[str, Any]) -> NDArray[Any]:
    array = np.full(spec["shape"], spec["fill"], spec["type"])
    for ramp in spec.get("spread", ()):
        place = _place(ramp["at"])
        array[place] = np.linspace(ramp["from"], ramp["to"], array[place].size)
    for put in spec.get("put", ()):
        array[_place(put["at"])] = put["values"]
    return array


def _place(at: list[Any]) -> tuple[Any, ...]:
    """An index, where null is all and a pair a range."""
    return tuple(slice(None) if i is None else slice(*i) if isinstance(i, list) else i for i in at)


def _named_in(metadata: dict[str, str]) -> list[str]:
    names = metadata.get("names", "")
    return [name for name in ("bolt", "nut", "washer") if name in names]


def _with_logits(model: onnx.ModelProto, logits: NDArray[Any]) -> onnx.ModelProto:
    model.graph.initializer.append(numpy_helper.from_array(logits.astype(np.float32), "given"))
    nodes = list(model.graph.node)
    place = next(i for i, node in enumerate(nodes) if node.op_type == "Softmax")
    nodes[place].input[0] = "sum"
    nodes.insert(place, helper.make_node("Add", ["logits", "given"], ["sum"]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _answering(inputs: dict[str, Any], outputs: dict[str, Any]) -> onnx.ModelProto:
    picture = next(iter(inputs))
    nodes = [
        helper.make_node("Cast", [picture], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    constants = [numpy_helper.from_array(np.zeros((), np.float32), "nothing")]
    for name, spec in outputs.items():
        constants.append(numpy_helper.from_array(_array(spec), f"{name}_value"))
        kind = _TYPES[spec["type"]]
        nodes.append(helper.make_node("Cast", ["zero"], [f"{name}_zero"], to=kind))
        last = f"{name}_sum" if "times" in spec else name
        nodes.append(helper.make_node("Add", [f"{name}_value", f"{name}_zero"], [last]))
        if "times" in spec:
            size, twice = f"{name}_size", f"{name}_twice"
            nodes.append(helper.make_node("Cast", [spec["times"]], [size], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Concat", [size, size], [twice], axis=1))
            nodes.append(helper.make_node("Mul", [last, twice], [name]))
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(n, _TYPES[s["type"]], s["shape"])
            for n, s in inputs.items()
        ],
        [
            helper.make_tensor_value_info(n, _TYPES[s["type"]], s.get("free", s["shape"]))
            for n, s in outputs.items()
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
