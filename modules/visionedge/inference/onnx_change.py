"""An ONNX file with parts of its graph written anew, and all the rest byte for byte as it was.

Weights that no node reads any more are left in, and dropped by the runtime.

What this does not promise: that what is written means the same. `rewritten.py` asks the runtime.
Source: onnx/onnx.proto (field numbers).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.inference import onnx_proto as proto
from visionedge.inference.onnx_graph import DTYPES, Graph, Node
from visionedge.inference.protobuf import written

_MAX_ADDED_BYTES: Final = 16 * 1024**2
"""First layers are small: that of YOLOX-X takes 140 KB."""
_IR_VERSION: Final = 4
"""The first of the format in which a weight need not be an input."""


@dataclass(frozen=True, slots=True)
class NewNode:
    """An operator to be written; attributes are numbers, or lists of whole ones."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, float | Sequence[int]]


class Change:
    """What to write in place of what is there.

    Args:
        graph: that is to be changed; it stays as it is.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph: Final = graph
        self._parts: Final[dict[int, tuple[int, tuple[NewNode, ...]]]] = {}
        """Where a field of the graph ends and what takes its place, by where it begins."""
        self._weights: Final[dict[str, NDArray[Any]]] = {}
        self._uses: Final = graph.uses.copy()
        self._added_bytes = 0

    def add_weights(self, near: str, weights: NDArray[Any]) -> str:
        """Add weights; returns their name, which is made of another name of the graph.

        Raises:
            ValueError: they would make the file much larger.
        """
        self._added_bytes += weights.nbytes
        if self._added_bytes > _MAX_ADDED_BYTES:
            raise ValueError(f"more than {_MAX_ADDED_BYTES} bytes of new weights")
        name = self.new_name(near)
        self._weights[name] = weights
        return name

    def new_name(self, near: str) -> str:
        """A name for a new value, made of another name of the graph.

        Raises:
            ValueError: the graph has it already.
        """
        name = f"{near}/rewritten"
        if name in self._graph.names:
            raise ValueError(f"{name} is there already")
        return name

    def replace(self, node: Node, *by: NewNode) -> None:
        """Write others in place of a node."""
        self._put(node.place, *by)
        self._uses.subtract(node.inputs)
        for new in by:
            self._uses.update(new.inputs)

    def remove_unread(self, nodes: Iterable[Node]) -> None:
        """Leave out those that nobody reads any more; to be given readers first."""
        for node in nodes:
            if not any(self._uses[name] > 0 for name in node.outputs):
                self.replace(node)

    def leave_out(self, field: slice) -> None:
        """Leave out a field of the graph that is no node."""
        self._put(field)

    def _put(self, field: slice, *by: NewNode) -> None:
        self._parts[field.start] = field.stop, by

    def __len__(self) -> int:
        """How many fields of the graph are replaced or left out."""
        return len(self._parts)

    def file(self, metadata: Mapping[str, str]) -> bytes:
        """The whole file, changed, with these entries beside those of its exporter."""
        graph, parts, at = self._graph, [], self._graph.message.start
        for start, (stop, nodes) in sorted(self._parts.items()):
            parts += [
                graph.buffer[at:start],
                *(written(proto.GRAPH_NODE, _message(n)) for n in nodes),
            ]
            at = stop
        parts.append(graph.buffer[at : graph.message.stop])
        parts += [written(proto.GRAPH_TENSOR, _tensor(*each)) for each in self._weights.items()]
        entries = [
            written(
                proto.MODEL_METADATA,
                written(proto.ENTRY_KEY, key) + written(proto.ENTRY_VALUE, value),
            )
            for key, value in metadata.items()
        ]
        return b"".join(
            (
                graph.buffer[: graph.place.start],
                written(proto.MODEL_GRAPH, b"".join(parts)),
                graph.buffer[graph.place.stop :],
                # Of a number that is told twice the last one counts.
                written(proto.MODEL_IR, max(graph.ir_version, _IR_VERSION)),
                *entries,
            )
        )


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    kind = next(number for number, dtype in DTYPES.items() if array.dtype == np.dtype(dtype))
    dims = b"".join(written(proto.TENSOR_DIMS, size) for size in array.shape)
    raw = array.astype(DTYPES[kind], copy=False).tobytes()
    return (
        dims
        + written(proto.TENSOR_TYPE, kind)
        + written(proto.TENSOR_NAME, name)
        + written(proto.TENSOR_RAW, raw)
    )


def _message(node: NewNode) -> bytes:
    return b"".join(
        (
            *(written(proto.NODE_INPUT, name) for name in node.inputs),
            *(written(proto.NODE_OUTPUT, name) for name in node.outputs),
            written(proto.NODE_OP, node.operator),
            *(written(proto.NODE_ATTRIBUTE, _attribute(*each)) for each in node.attributes.items()),
        )
    )


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    if isinstance(value, float):
        parts, kind = written(proto.ATTRIBUTE_FLOAT, value), proto.TYPE_FLOAT
    else:
        parts = b"".join(written(proto.ATTRIBUTE_INTS, number) for number in value)
        kind = proto.TYPE_INTS
    return written(proto.ATTRIBUTE_NAME, name) + parts + written(proto.ATTRIBUTE_TYPE, kind)
