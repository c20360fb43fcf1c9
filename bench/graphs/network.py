"""Write a convolutional network as an ONNX graph, layer by layer, with random weights.

Speed depends on a network's shape and not on what it has learnt, so these stand in for
weights that cannot be shipped. Batch normalisation is taken as folded into the
convolutions, as every exporter does.

Weights follow He et al., "Delving Deep into Rectifiers" (2015). Their deviation alone would
let the signal fade where SiLU follows, which halves what is small; the random biases hold
it at a variance of about one through any depth.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET: Final = 13
_IR_VERSION: Final = 8
_BIAS_DEVIATION: Final = 0.55


@dataclass(frozen=True, slots=True)
class Value:
    """The output of a layer.

    Attributes:
        name: in the graph.
        channels: how many it has.
    """

    name: str
    channels: int


@dataclass
class Network:
    """A graph that grows.

    Attributes:
        seed: of the weights; the same seed gives the same file.
    """

    seed: int
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _weights: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def conv(
        self,
        x: Value,
        channels: int,
        size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        gain: float = 2.0,
        bias: float = 0.0,
    ) -> Value:
        """A convolution that keeps the picture's size but for the stride.

        Args:
            gain: variance of the output over that of the input.
            bias: mean of the channels' biases.
        """
        shape = (channels, x.channels // groups, size, size)
        deviation = np.sqrt(gain / np.prod(shape[1:]))
        weight = self._random.normal(0, deviation, shape).astype(np.float32)
        biases = self._random.normal(bias, _BIAS_DEVIATION, channels).astype(np.float32)
        inputs = [x.name, self.constant(weight), self.constant(biases)]
        name = self.node(
            "Conv",
            inputs,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
            group=groups,
        )
        return Value(name, channels)

    def concat(self, *values: Value) -> Value:
        """Channels of several values of one size, one after the other."""
        name = self.node("Concat", [value.name for value in values], axis=1)
        return Value(name, sum(value.channels for value in values))

    def add(self, a: Value, b: Value) -> Value:
        """A shortcut."""
        return Value(self.node("Add", [a.name, b.name]), a.channels)

    def constant(self, array: NDArray[Any]) -> str:
        """A weight; returns its name."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def scalar(self, value: float) -> str:
        """A single number as a weight; returns its name."""
        return self.constant(np.array(value, np.float32))

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:  # noqa: ANN401 - what an operator takes is its own matter
        """Any operator with one output; returns the output's name."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def save(
        self, path: Path, picture: tuple[str, list[int]], output: tuple[str, list[int]]
    ) -> None:
        """Write the graph.

        Args:
            path: of the file.
            picture: name and shape of the input.
            output: name in this network, and shape; it is called `output` in the file.
        """
        self._nodes.append(helper.make_node("Identity", [output[0]], ["output"]))
        graph = helper.make_graph(
            self._nodes,
            path.stem,
            [helper.make_tensor_value_info(picture[0], TensorProto.FLOAT, picture[1])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, output[1])],
            self._weights,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            producer_name="visionedge-bench",
        )
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model)
        onnx.save(model, path)
