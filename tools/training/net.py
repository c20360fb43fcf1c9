"""The detector: small, fully convolutional, without anchors, with one head at stride 4.

A defect is 9 to 30 pixels at the input's scale and a pin-hole's own dark spot is 2 to 4, so the
head works at a quarter of the input and sees, through a path down to stride 16 and back, far
enough to tell a spur (ends free) from a short (reaches the next net). Every convolution is plain
and followed by ReLU: ONNX Runtime fuses both into one kernel on x86 and ARM alike, which measured
as fast as a depthwise net with half the multiplications.

Per cell the head gives ten numbers: box (dx, dy, log w, log h, in cells) and a logit a class.

Sources: FCOS (arXiv:1904.01355) for the dense, anchor-free head; ResNet's bottleneck
(arXiv:1512.03385) for the block.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from visionedge.cameras.defects import DEFECT_LABELS

STRIDE: Final = 4
CLASS_COUNT: Final = len(DEFECT_LABELS)
_CHANNELS: Final = (16, 32, 64, 96)
_PRIOR_LOGIT: Final = -4.6
"""A cell bears a defect about once in a hundred: the start that RetinaNet (arXiv:1708.02002)
gives, so that the first steps are not spent on unlearning false alarms."""


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """Squeeze to half the channels, convolve, add to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = _conv(channels, channels // 2, kernel=1)
        self.spread = _conv(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same."""
        return x + self.spread(self.squeeze(x))


class DefectNet(nn.Module):
    """(b, 3, h, w) RGB, 0..1, sides divisible by 16, to (b, 4 + classes, h / 4, w / 4)."""

    def __init__(self) -> None:
        super().__init__()
        c2, c4, c8, c16 = _CHANNELS
        self.stem = _conv(3, c2, stride=2)
        self.stage4 = nn.Sequential(_conv(c2, c4, stride=2), _Block(c4))
        self.stage8 = nn.Sequential(_conv(c4, c8, stride=2), _Block(c8), _Block(c8))
        self.stage16 = nn.Sequential(_conv(c8, c16, stride=2), _Block(c16), _Block(c16))
        self.lift8 = _conv(c16, c8, kernel=1)
        self.join8 = _Block(c8)
        self.lift4 = _conv(c8, c4, kernel=1)
        self.join4 = _Block(c4)
        self.head = nn.Conv2d(c4, 4 + CLASS_COUNT, 1)
        with torch.no_grad():
            self.head.bias[4:] = _PRIOR_LOGIT

    def forward(self, x: Tensor) -> Tensor:
        """Box numbers and class logits of every cell, undecoded."""
        x4 = self.stage4(self.stem(x))
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        y8 = self.join8(x8 + functional.interpolate(self.lift8(x16), scale_factor=2.0))
        y4 = self.join4(x4 + functional.interpolate(self.lift4(y8), scale_factor=2.0))
        return self.head(y4)


def cell_centres(height: int, width: int) -> Tensor:
    """(2, height, width): x and y of each cell's centre, in input pixels."""
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack((xs, ys)) + 0.5) * STRIDE


def decode_boxes(raw: Tensor) -> Tensor:
    """Boxes of `DefectNet`'s output: (b, 4, h, w), cx cy w h, in input pixels."""
    centres = cell_centres(raw.shape[2], raw.shape[3]).to(raw)
    return torch.cat((centres + raw[:, :2] * STRIDE, torch.exp(raw[:, 2:4]) * STRIDE), dim=1)
