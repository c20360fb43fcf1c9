"""Pictures of the last escalations as the cloud got them, with both opinions drawn in.

Taken on the hub's side: what is not in such a picture did not leave the device.
"""

import base64
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from devhub.ledger import DeviceMessage
from devhub.verdicts import Sighting
from visionedge.commands.draw import draw
from visionedge.entities import Detections, Image

_KEEP: Final = 12


class Gallery:
    """Keeps the newest escalations and draws them when asked. Safe for all threads.

    Args:
        folder: where `write` puts `01.png`, `02.png` and so on; older ones there go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._truths: dict[str, Sequence[Sighting]] = {}

    def receive(self, message: DeviceMessage) -> None:
        """Take a message from the hub; only escalations are kept."""
        if message.output != "escalation":
            return
        with self._lock:
            self._kept[message.id] = json.loads(message.body)
            while len(self._kept) > _KEEP:
                self._truths.pop(self._kept.popitem(last=False)[0], None)

    def judged(self, escalation_id: str, sightings: Sequence[Sighting]) -> None:
        """Remember what the verifier saw."""
        with self._lock:
            if escalation_id in self._kept:
                self._truths[escalation_id] = sightings

    def write(self) -> int:
        """Write the pictures; returns how many."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("*.png"):
            old.unlink()
        with self._lock:
            kept = list(self._kept.items())
            truths = dict(self._truths)
        for number, (id_, escalation) in enumerate(kept, start=1):
            picture = _picture(escalation, truths.get(id_))
            cv2.imwrite(str(self.folder / f"{number:02d}.png"), picture)
        return len(kept)


def _picture(escalation: dict[str, Any], truth: Sequence[Sighting] | None) -> Image:
    jpeg = np.frombuffer(base64.b64decode(escalation["image"]["data"]), np.uint8)
    image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    claims = escalation["prediction"]["detections"]
    boxed = [s for s in truth or () if "box" in s]
    title = (
        f"{escalation['camera']} frame {escalation['frame']['seq']}  "
        f"{escalation['reason']}  doubt {escalation['score']:.2f}"
    )
    return draw(
        image,
        _detections(claims, image),
        truth=_detections(boxed, image) if truth is not None else None,
        title=title,
    )


def _detections(found: Sequence[Any], image: Image) -> Detections:
    height, width = image.shape[:2]
    labels = tuple(dict.fromkeys(str(each["label"]) for each in found))
    size = np.array([width, height, width, height], np.float32)
    boxes = np.array([e["box"] for e in found], np.float32).reshape(-1, 4)
    return Detections(
        xyxy=boxes * size,
        confidence=np.array([e["confidence"] for e in found], np.float32),
        class_id=np.array([labels.index(str(e["label"])) for e in found], np.int32),
        labels=labels,
    )
