"""Which head reads a model, told by what it answered to one picture.

Every format is asked in the order of the registry, the narrow before the wide, and the
first that knows its own takes the model. Shapes alone are not enough: `[1, 6300, 85]` is
decoded from YOLOv5 and raw from YOLOv5-Lite, so formats look at the values too.

What fits no head is refused by name, and never read by the nearest one: a detector read
wrongly gives boxes that look nearly right.
"""

from dataclasses import replace

import numpy as np

from visionedge.errors import ModelCardError
from visionedge.inference.format import Answer, Format, Told
from visionedge.inference.registry import FORMATS


def tell_head(answer: Answer) -> tuple[Format, Told]:
    """The format of a model, and what was learnt of it.

    Args:
        answer: what it said to a picture.

    Raises:
        ModelCardError: no head fits.
    """
    # Where the labels contradict every reading, they are the likelier fault: the head says so.
    for asked in (answer, replace(answer, labels=0)):
        for known in FORMATS.values():
            if (told := known.tell(asked)) is not None:
                return known, told
    shapes = ", ".join(
        f"{spec.name} {np.shape(output)}"
        for spec, output in zip(answer.signature.outputs, answer.outputs, strict=True)
    )
    raise ModelCardError(
        f"the outputs fit no head: {shapes}",
        hint="export the model for a head that is read (docs/reference/formats.md lists them), or "
        "name the head in a card: `head` in model.json",
    )
