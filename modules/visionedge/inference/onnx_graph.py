"""The graph of an ONNX file: which node reads what another writes, and constants.

Nodes and weights are listed by the places where they lie, and weights read when they are asked for.

What this does not promise: graphs within a node (`If`, `Loop`) are not looked into; a file that
has one is refused.
Source: onnx/onnx.proto (field numbers, data types).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.inference import onnx_proto as proto
from visionedge.inference.protobuf import Buffer, Value, fields, integers, name, whole

_LISTED: Final = {proto.TENSOR_FLOATS: "<f4", 5: "<i4", 7: "<i8"}
"""Fields of a tensor that hold its numbers one by one, with the type of these."""
DTYPES: Final = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2"}
"""Data types that are read here, by their numbers in the file."""
_MAX_LIST_BYTES: Final = 256
"""Of a list that says where to cut, or of one number; more is none."""
_MAX_PARTS: Final = 16
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
        ir_version: of the format of the file; 0 where it does not say.
        names: all that stand for something, the inputs of the graph among them.

    Raises:
        ValueError: this is no model, one with several graphs or graphs within nodes, or one of too
            many nodes.
    """

    def __init__(self, buffer: Buffer) -> None:
        self.buffer: Final = buffer
        told = list(fields(buffer, whole(buffer)))
        graphs = [
            (message, place)
            for number, message, place in told
            if number == proto.MODEL_GRAPH and isinstance(message, slice)
        ]
        if len(graphs) != 1:
            raise ValueError(f"a model has one graph, not {len(graphs)}")
        ((self.message, self.place),) = graphs
        versions = [value for number, value, _ in told if number == proto.MODEL_IR]
        self.ir_version: Final = versions[-1] if versions and isinstance(versions[-1], int) else 0
        self.nodes: Final[list[Node]] = []
        self.uses: Final[Counter[str]] = Counter()
        self._tensors: Final[dict[str, slice]] = {}
        self._inputs: Final[dict[str, slice]] = {}
        for number, message, place in fields(buffer, self.message):
            if isinstance(message, slice):
                self._add(number, message, place)
        self.writer: Final[Mapping[str, Node]] = {
            output: node for node in self.nodes for output in node.outputs
        }
        self.names: Final[Set[str]] = (
            self.uses.keys() | self.writer.keys() | self._tensors.keys() | self._inputs.keys()
        )

    def _add(self, number: int, message: slice, place: slice) -> None:
        if number == proto.GRAPH_NODE:
            if len(self.nodes) == _MAX_NODES:
                raise ValueError(f"more than {_MAX_NODES} nodes")
            node = _node(self.buffer, message, place)
            if node.operator in proto.NESTED:
                raise ValueError(f"a graph within {node.operator}")
            self.nodes.append(node)
            self.uses.update(node.inputs)
        elif number == proto.GRAPH_TENSOR:
            self._tensors[self._named(message, proto.TENSOR_NAME)] = message
        elif number == proto.GRAPH_INPUT:
            self._inputs[self._named(message, proto.VALUE_NAME)] = place
        elif number == proto.GRAPH_OUTPUT:
            self.uses[self._named(message, proto.VALUE_NAME)] += 1

    def _named(self, message: slice, part: int) -> str:
        for number, value, _ in fields(self.buffer, message):
            if number == part and isinstance(value, slice):
                return name(self.buffer, value)
        return ""

    def weights_among_inputs(self) -> list[slice]:
        """Places of the fields that list a weight as an input, too."""
        return [place for called, place in self._inputs.items() if called in self._tensors]

    def constant(self, called: str, most_bytes: int = _MAX_LIST_BYTES) -> NDArray[Any] | None:
        """A weight, or what a `Constant` gives.

        Args:
            called: its name.
            most_bytes: that it may take in the file; more is not read.

        Returns:
            None where it is neither, more, or not in the file.

        Raises:
            ValueError: its bytes are not as many as its shape says.
        """
        place, writer = self._tensors.get(called), self.writer.get(called)
        if place is None and writer is not None and writer.operator == "Constant":
            value = self._attribute(writer, "value", proto.ATTRIBUTE_TENSOR)
            place = value if isinstance(value, slice) else None
        if place is None or place.stop - place.start > most_bytes:
            return None
        return _array(self.buffer, place)

    def integer(self, node: Node, attribute: str, default: int) -> int:
        """An attribute of a node."""
        value = self._attribute(node, attribute, proto.ATTRIBUTE_INT)
        return default if value is None else integers(self.buffer, value)[0]

    def integers(self, node: Node, attribute: str, default: Sequence[int]) -> list[int]:
        """An attribute of a node that is a list."""
        if attribute not in node.attributes:
            return list(default)
        return [
            each
            for number, value, _ in self._parts(node, attribute)
            if number == proto.ATTRIBUTE_INTS
            for each in integers(self.buffer, value)
        ]

    def _attribute(self, node: Node, attribute: str, part: int) -> Value | None:
        return next(
            (value for number, value, _ in self._parts(node, attribute) if number == part), None
        )

    def _parts(self, node: Node, attribute: str) -> Iterator[tuple[int, Value, slice]]:
        place = node.attributes.get(attribute)
        # One with many parts is none of those that are asked for here.
        return islice(fields(self.buffer, place), _MAX_PARTS) if place else iter(())


def _node(buffer: Buffer, message: slice, place: slice) -> Node:
    operator, domain = "", ""
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, slice] = {}
    for number, value, _ in fields(buffer, message):
        if isinstance(value, int):
            continue
        if number == proto.NODE_INPUT:
            inputs.append(name(buffer, value))
        elif number == proto.NODE_OUTPUT:
            outputs.append(name(buffer, value))
        elif number == proto.NODE_OP:
            operator = name(buffer, value)
        elif number == proto.NODE_DOMAIN:
            domain = name(buffer, value)
        elif number == proto.NODE_ATTRIBUTE:
            # Its name comes first, and may be followed by millions of numbers.
            part, called, _ = next(fields(buffer, value), (0, 0, value))
            if part == proto.ATTRIBUTE_NAME and isinstance(called, slice):
                attributes[name(buffer, called)] = value
            else:
                raise ValueError("an attribute that does not begin with its name")
    standard = operator if domain in proto.STANDARD else ""
    return Node(standard, tuple(inputs), tuple(outputs), attributes, place, message)


def _array(buffer: Buffer, place: slice) -> NDArray[Any] | None:
    """A tensor; None where its numbers are of another type, or not in the file."""
    told = list(fields(buffer, place))
    dims = [
        each
        for number, value, _ in told
        if number == proto.TENSOR_DIMS
        for each in integers(buffer, value)
    ]
    kind = next((value for number, value, _ in reversed(told) if number == proto.TENSOR_TYPE), 0)
    parts: list[NDArray[Any]] = []
    for number, value, _ in told:
        if number == proto.TENSOR_RAW and isinstance(value, slice) and kind in DTYPES:
            parts.append(np.frombuffer(buffer[value], DTYPES[kind]))
        elif number in _LISTED and _LISTED[number] == DTYPES.get(kind):
            if number == proto.TENSOR_FLOATS and isinstance(value, slice):
                parts.append(np.frombuffer(buffer[value], "<f4"))
            else:
                parts.append(np.array(integers(buffer, value), _LISTED[number]))
    return np.concatenate(parts).reshape(dims) if parts else None
