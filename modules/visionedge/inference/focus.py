"""A network's Focus, run as one convolution: the same sums, an eighth of the time less.

YOLOX and the older YOLOv5 begin by four pictures of every second pixel, eight slices and a
concatenation, and convolve those. A convolution of twice the kernel and the step over the picture
itself reads the same pixels with the same weights: kernel row `u` of the picture that began
at row `dy` is row `2 u + dy`. The slices are gone, and the runtime has a convolution that reads
three planes as they are. Answers differ in the last digits, because sums are taken in another
order.

What this does not promise: a Focus that an exporter wrote in another way is left as it is. Where
a file leaves sizes free it refuses odd ones, and is not held to that.
Source: YOLOX, `yolox/models/network_blocks.py` (Focus); onnx/docs/Operators.md (Conv, Slice).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.inference.onnx_change import Change, NewNode
from visionedge.inference.onnx_graph import Graph, Node

_TO_THE_END: Final = 2**31 - 1
_ROWS: Final = 2
"""Axis of the rows in (pictures, channels, rows, columns)."""
_MAX_SLICES: Final = 4
_MAX_WEIGHTS: Final = 4 * 1024**2
"""Bytes. A Focus is the first layer, which is small."""


@dataclass(frozen=True, slots=True)
class _Quarter:
    """Every second pixel of a picture, from a row and a column on, each 0 or 1."""

    source: str
    row: int
    column: int
    slices: tuple[Node, ...]


def fold_focus(graph: Graph, change: Change) -> None:
    """Add to a change what makes one convolution of each Focus.

    Raises:
        ValueError: the graph breaks its format.
    """
    for node in graph.nodes:
        joined = graph.writer.get(node.inputs[0]) if node.inputs else None
        if node.operator != "Conv" or joined is None or joined.operator != "Concat":
            continue
        quarters = _quarters(graph, joined)
        weights = _spread(graph, node, quarters) if quarters else None
        if weights is None:
            continue
        name = change.add_weights(node.outputs[0], weights)
        steps = graph.integers(node, "strides", (1, 1))
        pads = graph.integers(node, "pads", (0, 0, 0, 0))
        folded = NewNode(
            "Conv",
            (quarters[0].source, name, *node.inputs[2:]),
            node.outputs,
            {
                "kernel_shape": weights.shape[2:],
                "strides": [2 * step for step in steps],
                "pads": [2 * pad for pad in pads],
            },
        )
        change.replace(node, folded)
        slices = {each.place.start: each for quarter in quarters for each in quarter.slices}
        change.remove_unread([joined, *(slices[at] for at in sorted(slices, reverse=True))])


def _spread(graph: Graph, node: Node, quarters: list[_Quarter]) -> NDArray[Any] | None:
    """The weights of a convolution of the joined quarters, for one of the picture itself."""
    plain = (
        graph.integer(node, "group", 1) == 1
        and set(graph.integers(node, "dilations", (1, 1))) == {1}
        and "auto_pad" not in node.attributes
    )
    weights = graph.constant(node.inputs[1], _MAX_WEIGHTS) if plain and node.inputs[1:] else None
    if weights is None or weights.ndim != 4 or weights.shape[1] % 4 or weights.dtype.kind != "f":
        return None
    planes, joined, rows, columns = weights.shape
    channels = joined // 4
    spread = np.empty((planes, channels, 2 * rows, 2 * columns), weights.dtype)
    for number, quarter in enumerate(quarters):
        part = weights[:, number * channels : (number + 1) * channels]
        spread[:, :, quarter.row :: 2, quarter.column :: 2] = part
    return spread


def _quarters(graph: Graph, joined: Node) -> list[_Quarter]:
    """The four quarters that a node joins, in its order; none where it joins anything else."""
    if len(joined.inputs) != 4 or graph.integer(joined, "axis", 0) not in (1, -3):
        return []
    found = [_quarter(graph, name) for name in joined.inputs]
    quarters = [quarter for quarter in found if quarter is not None]
    parities = {(quarter.row, quarter.column) for quarter in quarters}
    one_source = len({quarter.source for quarter in quarters}) == 1
    return quarters if len(quarters) == len(parities) == 4 and one_source else []


def _quarter(graph: Graph, name: str) -> _Quarter | None:
    """What a name is, if slices give every second row and column of something."""
    begins: dict[int, int] = {}
    slices: list[Node] = []
    while (node := graph.writer.get(name)) is not None and node.operator == "Slice":
        slices.append(node)
        given = [graph.constant(part) for part in node.inputs[1:]]
        lists = [
            part.tolist()
            for part in given
            if part is not None and part.ndim == 1 and part.dtype.kind == "i"
        ]
        if len(lists) != 4 or len(slices) > _MAX_SLICES:
            return None
        for begin, end, axis, step in zip(*lists, strict=True):
            if (begin, step) == (0, 1) and end >= _TO_THE_END:
                continue
            if step != 2 or begin not in (0, 1) or end < _TO_THE_END or axis % 4 in begins:
                return None
            begins[axis % 4] = begin
        name = node.inputs[0]
    if sorted(begins) != [_ROWS, _ROWS + 1]:
        return None
    return _Quarter(name, begins[_ROWS], begins[_ROWS + 1], tuple(slices))
