"""A finished bundle, read and run by the product's own code, for measuring and golden frames."""

from pathlib import Path

from visionedge.entities import Detections, Image
from visionedge.evaluation.average_precision import Boxes
from visionedge.inference.model import load_model
from visionedge.settings import ModelSettings

FLOOR = 0.02
"""Lower than the product's, so that the precision is measured down to where recall ends."""


class Detector:
    """One bundle, one thread."""

    def __init__(self, bundle: Path) -> None:
        settings = ModelSettings(path=str(bundle), floor=FLOOR)
        self._runner = load_model(bundle, settings).runner()

    def find(self, image: Image) -> Boxes:
        """Boxes of one picture, in its pixels, down to a confidence of `FLOOR`."""
        found = self._runner.infer(image)
        if not isinstance(found, Detections):
            raise SystemExit("the bundle holds no detector")
        return Boxes(found.xyxy, found.class_id, found.confidence)
