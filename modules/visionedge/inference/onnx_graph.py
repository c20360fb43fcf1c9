"""The graph of an ONNX file: which node reads what another writes, and constants.

Nodes and weights are listed by the places where they lie, and weights read when they are asked for.

What this does not promise: graphs within a node (`If`, `Loop`) are not looked into.
Source: onnx/onnx.proto (field numbers, data types).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.inference.protobuf import Buffer, Value, fields, integers, text, whole

MODEL_GRAPH: Final = 7
GRAPH_NODE, GRAPH_TENSOR, _GRAPH_OUTPUT, _VALUE_NAME = 1, 5, 12, 1
NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, ATTRIBUTE_INTS = 1, 3, 5, 8
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
_TENSOR_FLOATS: Final = 4
_LISTED: Final = {_TENSOR_FLOATS: "<f4", 5: "<i4", 7: "<i8"}
"""Fields of a tensor that hold its numbers one by one, with the type of these."""
DTYPES: Final = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2"}
"""Data types that are read here, by their numbers in the file."""
_STANDARD: Final = ("", "ai.onnx")
_MAX_NODES: Final = 20_000
"""Networks for devices have some hundreds; what has far more is not searched at each load."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operator.

    Attributes:
        operator: its name; empty where it is of another domain than the standard one.
        inputs: names of what it reads.
        outputs: names of what it writes.
        attributes: places of their messages, by name.
        place: of the field in the file.
        message: of the message in the file.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, slice]
    place: slice
    message: slice


class Graph:
    """The graph of a model file.

    Args:
        buffer: the whole file.

    Attributes:
        buffer: the whole file.
        message: place of the graph in it.
        place: of the field that holds the graph.
        nodes: in their order.
        writer: the node that writes a name.
        uses: how many nodes and outputs of the graph read a name.

    Raises:
        ValueError: this is no model, one with several graphs, or one of too many nodes.
    """

    def __init__(self, buffer: Buffer) -> None:
        self.buffer: Final = buffer
        graphs = [
            (message, place)
            for number, message, place in fields(buffer, whole(buffer))
            if number == MODEL_GRAPH and isinstance(message, slice)
        ]
        if len(graphs) != 1:
            raise ValueError(f"a model has one graph, not {len(graphs)}")
        ((self.message, self.place),) = graphs
        self.nodes: Final[list[Node]] = []
        self.uses: Final[Counter[str]] = Counter()
        self._tensors: Final[dict[str, slice]] = {}
        for number, message, place in fields(buffer, self.message):
            if isinstance(message, slice):
                self._add(number, message, place)
        self.writer: Final[Mapping[str, Node]] = {
            name: node for node in self.nodes for name in node.outputs
        }

    def _add(self, number: int, message: slice, place: slice) -> None:
        if number == GRAPH_NODE:
            if len(self.nodes) == _MAX_NODES:
                raise ValueError(f"more than {_MAX_NODES} nodes")
            node = _node(self.buffer, message, place)
            self.nodes.append(node)
            self.uses.update(node.inputs)
        elif number == GRAPH_TENSOR:
            self._tensors[self._named(message, TENSOR_NAME)] = message
        elif number == _GRAPH_OUTPUT:
            self.uses[self._named(message, _VALUE_NAME)] += 1

    def _named(self, message: slice, name: int) -> str:
        for number, value, _ in fields(self.buffer, message):
            if number == name and isinstance(value, slice):
                return text(self.buffer, value)
        return ""

    def constant(self, name: str) -> NDArray[Any] | None:
        """A weight, or what a `Constant` gives; None where it is neither, or lies elsewhere.

        Raises:
            ValueError: its bytes are not as many as its shape says.
        """
        place = self._tensors.get(name)
        writer = self.writer.get(name)
        if place is None and writer is not None and writer.operator == "Constant":
            for number, value, _ in self._attribute(writer, "value"):
                if number == _ATTRIBUTE_TENSOR and isinstance(value, slice):
                    place = value
        return None if place is None else _array(self.buffer, place)

    def integer(self, node: Node, attribute: str, default: int) -> int:
        """An attribute of a node."""
        for number, value, _ in self._attribute(node, attribute):
            if number == _ATTRIBUTE_INT:
                return integers(self.buffer, value)[0]
        return default

    def integers(self, node: Node, attribute: str, default: Sequence[int]) -> list[int]:
        """An attribute of a node that is a list."""
        if attribute not in node.attributes:
            return list(default)
        return [
            each
            for number, value, _ in self._attribute(node, attribute)
            if number == ATTRIBUTE_INTS
            for each in integers(self.buffer, value)
        ]

    def _attribute(self, node: Node, name: str) -> list[tuple[int, Value, slice]]:
        place = node.attributes.get(name)
        return [] if place is None else list(fields(self.buffer, place))


def _node(buffer: Buffer, message: slice, place: slice) -> Node:
    operator, domain = "", ""
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, slice] = {}
    for number, value, _ in fields(buffer, message):
        if isinstance(value, int):
            continue
        if number == NODE_INPUT:
            inputs.append(text(buffer, value))
        elif number == NODE_OUTPUT:
            outputs.append(text(buffer, value))
        elif number == NODE_OP:
            operator = text(buffer, value)
        elif number == _NODE_DOMAIN:
            domain = text(buffer, value)
        elif number == NODE_ATTRIBUTE:
            for part, name, _ in fields(buffer, value):
                if part == ATTRIBUTE_NAME and isinstance(name, slice):
                    attributes[text(buffer, name)] = value
    standard = operator if domain in _STANDARD else ""
    return Node(standard, tuple(inputs), tuple(outputs), attributes, place, message)


def _array(buffer: Buffer, place: slice) -> NDArray[Any] | None:
    """A tensor; None where its numbers are of another type, or not in the file."""
    dims: list[int] = []
    kind = 0
    parts: list[NDArray[Any]] = []
    for number, value, _ in fields(buffer, place):
        if number == TENSOR_DIMS:
            dims += integers(buffer, value)
        elif number == TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == TENSOR_RAW and isinstance(value, slice) and kind in DTYPES:
            parts.append(np.frombuffer(buffer[value], DTYPES[kind]))
        elif number in _LISTED and _LISTED[number] == DTYPES.get(kind):
            if number == _TENSOR_FLOATS and isinstance(value, slice):
                parts.append(np.frombuffer(buffer[value], "<f4"))
            else:
                parts.append(np.array(integers(buffer, value), _LISTED[number]))
    return np.concatenate(parts).reshape(dims) if parts else None
