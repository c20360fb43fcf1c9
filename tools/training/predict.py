"""The net's answer to whole frames while it learns, without an export.

The same letterbox and the same decode as in the exported graph, then a plain suppression. The
finished bundle is measured with the product's own runtime instead (`training.measure`).
"""

from typing import Final

import cv2
import numpy as np
import torch

from training.augment import INPUT_HEIGHT, INPUT_WIDTH
from training.net import DefectNet, decode_boxes
from visionedge.entities import Image
from visionedge.evaluation.average_precision import Boxes
from visionedge.inference.nms import nms

_PAD_GREY: Final = 114
_IOU: Final = 0.45
_CANDIDATES: Final = 600
"""An untrained net doubts every cell; nobody needs all of them."""


def predict(net: DefectNet, image: Image, at_least: float = 0.02) -> Boxes:
    """Boxes in pixels of the picture, as the net stands now."""
    height, width = image.shape[:2]
    scale = min(INPUT_WIDTH / width, INPUT_HEIGHT / height)
    size = (round(width * scale), round(height * scale))
    left, top = (INPUT_WIDTH - size[0]) // 2, (INPUT_HEIGHT - size[1]) // 2
    canvas = np.full((INPUT_HEIGHT, INPUT_WIDTH, 3), _PAD_GREY, dtype=np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size)
    with torch.inference_mode():
        pixels = torch.from_numpy(canvas[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        raw = net(pixels)
        boxes = decode_boxes(raw).flatten(2)[0].T.numpy()
        scores = raw[:, 4:].sigmoid().flatten(2)[0].T.numpy()
    row = np.argsort(-scores.max(axis=1))[:_CANDIDATES]
    row = row[scores[row].max(axis=1) >= at_least]
    confidence, classes = scores[row].max(axis=1), scores[row].argmax(axis=1).astype(np.int32)
    centre, half = (boxes[row, :2] - (left, top)) / scale, boxes[row, 2:] / scale / 2
    xyxy = np.hstack((centre - half, centre + half)).astype(np.float32)
    kept = nms(xyxy, confidence, classes, _IOU, _CANDIDATES)
    return Boxes(xyxy[kept], classes[kept], confidence[kept])
