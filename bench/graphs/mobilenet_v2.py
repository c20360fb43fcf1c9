"""MobileNetV2 1.0 for 1000 classes: what most classifiers on devices are made of.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018),
table 2; the paddings are torchvision's.
"""

from pathlib import Path
from typing import Final

from bench.graphs.network import Network, Value

CLASSES: Final = 1000
_STAGES: Final = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repetitions, first stride."""
_LINEAR: Final = 1.0
_SHARP: Final = 4.0
"""Variance of the logits over that of the features, so that a few classes stand out."""


def save_mobilenet_v2(path: Path, side_px: int, seed: int = 1) -> None:
    """Write the graph, `[1, 3, side, side]` to logits `[1, 1000]`."""
    net = Network(seed)
    x = _relu6(net, net.conv(Value("input", 3), 32, 3, stride=2))
    for expansion, channels, repetitions, first_stride in _STAGES:
        for number in range(repetitions):
            x = _block(net, x, expansion, channels, first_stride if number == 0 else 1)
    x = _relu6(net, net.conv(x, 1280))
    pooled = Value(net.node("GlobalAveragePool", [x.name]), x.channels)
    logits = net.conv(pooled, CLASSES, gain=_SHARP)
    flat = net.node("Flatten", [logits.name], axis=1)
    net.save(path, ("input", [1, 3, side_px, side_px]), (flat, [1, CLASSES]))


def _block(net: Network, x: Value, expansion: int, channels: int, stride: int) -> Value:
    inner = x
    if expansion > 1:
        inner = _relu6(net, net.conv(x, x.channels * expansion))
    inner = _relu6(net, net.conv(inner, inner.channels, 3, stride=stride, groups=inner.channels))
    out = net.conv(inner, channels, gain=_LINEAR)
    return net.add(x, out) if stride == 1 and x.channels == channels else out


def _relu6(net: Network, x: Value) -> Value:
    low, high = net.scalar(0.0), net.scalar(6.0)
    return Value(net.node("Clip", [x.name, low, high]), x.channels)
