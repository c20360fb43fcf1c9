"""Inputs beside the picture: those that only tell a size are answered here.

Exports of the DETR family take `orig_target_sizes`, the frame's width and height, and
scale their boxes to it. They are told the size of their own input instead: then boxes
come in pixels of the input, as from every other model, and one geometry takes them back
to the frame through whatever padding there was.
Source: lyuwenyu/RT-DETR, Peterande/D-FINE and Intellindust-AI-Lab/DEIMv2,
`tools/deployment/export_onnx.py`.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import ModelCardError
from visionedge.inference.tensors import Signature

TARGET_SIZES: Final = "orig_target_sizes"


def size_inputs(signature: Signature, size: tuple[int, int]) -> Mapping[str, NDArray[Any]]:
    """Tensors for all inputs but the picture, by name.

    Args:
        signature: of the model.
        size: width and height of the picture input, pixels.

    Raises:
        ModelCardError: the model takes something that is no size.
    """
    others = [spec for spec in signature.inputs if spec is not signature.picture]
    # By identity, so a second input for pictures is another one, and one too many.
    if len(others) + 1 != len(signature.inputs) or {o.name for o in others} - {TARGET_SIZES}:
        raise ModelCardError(
            f"the model has {len(signature.inputs)} inputs: {signature}",
            hint=f"models are read that take one picture, and beside it at most `{TARGET_SIZES}`: "
            "export it so that it takes nothing else",
        )
    return {
        spec.name: np.array([size], np.int64 if spec.dtype is None else spec.dtype)
        for spec in others
    }
