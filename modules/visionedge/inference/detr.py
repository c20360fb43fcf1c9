"""RT-DETR, D-FINE, DEIM: `labels`, `boxes` and `scores` of 300 queries, finished in the graph.

Two inputs: the picture, and `orig_target_sizes`, to which the boxes are scaled; it is told
the size of the input (see `size_inputs`), so boxes come in its pixels, xyxy. Classes count
from 0. Queries need no suppression, and those below the floor are filling.
The picture is letterboxed on black, as the scripts of D-FINE and DEIMv2 do it. That of RT-DETR
stretches it, as all of them do in training: `inspect` names `input.fit` as the field to try.
Source: Peterande/D-FINE and Intellindust-AI-Lab/DEIMv2, `tools/deployment/export_onnx.py` and
`tools/inference/onnx_inf.py` (resize_with_aspect_ratio); lyuwenyu/RT-DETR,
`rtdetrv2_pytorch/references/deploy/rtdetrv2_onnxruntime.py`.
"""

from typing import Final

from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.listed_boxes import ListedBoxes, by_kind, lists_boxes
from visionedge.inference.size_inputs import TARGET_SIZES


class Detr(ListedBoxes):
    """Detector with finished boxes in pixels of the size that it was told."""


def tell(answer: Answer) -> Told | None:
    """A second input for the size, and three outputs of the right kinds."""
    names = [spec.name for spec in answer.signature.inputs]
    places = by_kind(answer.signature.outputs)
    if TARGET_SIZES not in names or places is None or not lists_boxes(answer, places):
        return None
    return Told(f"a second input `{TARGET_SIZES}`, and outputs of boxes, scores and classes")


FORMAT: Final = Format(
    head="detr",
    task="detection",
    build=Detr,
    tell=tell,
    exporters="RT-DETR, D-FINE, DEIM and DEIMv2, by their own scripts",
    layout="`labels` `[1, N]`, `boxes` `[1, N, 4]` pixels, `scores` `[1, N]`",
    input={"fit": "letterbox_cut", "color": "rgb", "scale": 1 / 255, "pad": 0},
)
