"""YOLOX-nano for 80 classes: depthwise CSPDarknet, PAFPN and a decoupled head.

The objectness of random weights says nothing, so its bias is a parameter: whoever makes
the graph chooses how many candidates a frame has.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021"; Megvii-BaseDetection/YOLOX,
`exps/default/yolox_nano.py` (depth 0.33, width 0.25, depthwise) and `yolox/models`.
"""

from pathlib import Path
from typing import Final

import numpy as np

from bench.graphs.network import Network, Value

CLASSES: Final = 80
STRIDES: Final = (8, 16, 32)
_BASE: Final = 16
_HEAD: Final = 64
_PIXEL_GAIN: Final = 1e-4
"""Brings pixels of 0..255 down to a variance of about one."""
_LOGIT: Final = 2.0
_SMALL: Final = 0.1
"""Variance of the raw boxes: about the size of a cell, as a size is its exponential."""


def save_yolox_nano(path: Path, side_px: int, objectness_bias: float, seed: int = 1) -> None:
    """Write the graph, `[1, 3, side, side]` to `[1, cells, 85]`."""
    net = Network(seed)
    levels = _neck(net, *_backbone(net, Value("images", 3)))
    outputs = [_head(net, level, objectness_bias) for level in levels]
    joined = net.node("Concat", outputs, axis=2)
    table = net.node("Transpose", [joined], perm=[0, 2, 1])
    cells = sum((side_px // stride) ** 2 for stride in STRIDES)
    net.save(path, ("images", [1, 3, side_px, side_px]), (table, [1, cells, 5 + CLASSES]))


def _backbone(net: Network, picture: Value) -> tuple[Value, Value, Value]:
    x = _silu(net, net.conv(_focus(net, picture), _BASE, 3, gain=_PIXEL_GAIN))
    x = _csp(net, _depthwise(net, x, 2 * _BASE, stride=2), 2 * _BASE, 1)
    c3 = _csp(net, _depthwise(net, x, 4 * _BASE, stride=2), 4 * _BASE, 3)
    c4 = _csp(net, _depthwise(net, c3, 8 * _BASE, stride=2), 8 * _BASE, 3)
    x = _pyramid_pool(net, _depthwise(net, c4, 16 * _BASE, stride=2), 16 * _BASE)
    return c3, c4, _csp(net, x, 16 * _BASE, 1, shortcut=False)


def _neck(net: Network, c3: Value, c4: Value, c5: Value) -> tuple[Value, Value, Value]:
    top = _basic(net, c5, 8 * _BASE)
    p4 = _csp(net, net.concat(_upsample(net, top), c4), 8 * _BASE, 1, shortcut=False)
    middle = _basic(net, p4, 4 * _BASE)
    p3 = _csp(net, net.concat(_upsample(net, middle), c3), 4 * _BASE, 1, shortcut=False)
    down = _depthwise(net, p3, 4 * _BASE, stride=2)
    n3 = _csp(net, net.concat(down, middle), 8 * _BASE, 1, shortcut=False)
    down = _depthwise(net, n3, 8 * _BASE, stride=2)
    n4 = _csp(net, net.concat(down, top), 16 * _BASE, 1, shortcut=False)
    return p3, n3, n4


def _head(net: Network, level: Value, objectness_bias: float) -> str:
    """One level as `[1, 85, cells]`."""
    stem = _basic(net, level, _HEAD)
    classes = _depthwise(net, _depthwise(net, stem, _HEAD), _HEAD)
    boxes = _depthwise(net, _depthwise(net, stem, _HEAD), _HEAD)
    box = net.conv(boxes, 4, gain=_SMALL)
    objectness = net.conv(boxes, 1, gain=_LOGIT, bias=objectness_bias)
    scores = net.conv(classes, CLASSES, gain=_LOGIT)
    parts = [box.name, *(net.node("Sigmoid", [x.name]) for x in (objectness, scores))]
    joined = net.node("Concat", parts, axis=1)
    return net.node("Reshape", [joined, net.constant(np.array([1, 5 + CLASSES, -1]))])


def _focus(net: Network, x: Value) -> Value:
    """Every second pixel, four ways, as channels."""
    corners = []
    for left in (0, 1):
        for top in (0, 1):
            bounds = ([top, left], [2**31 - 1] * 2, [2, 3], [2, 2])
            inputs = [net.constant(np.array(bound)) for bound in bounds]
            corners.append(Value(net.node("Slice", [x.name, *inputs]), x.channels))
    return net.concat(*corners)


def _csp(
    net: Network, x: Value, channels: int, repetitions: int, *, shortcut: bool = True
) -> Value:
    main, side = _basic(net, x, channels // 2), _basic(net, x, channels // 2)
    for _ in range(repetitions):
        inner = _depthwise(net, _basic(net, main, channels // 2), channels // 2)
        main = net.add(main, inner) if shortcut else inner
    return _basic(net, net.concat(main, side), channels)


def _pyramid_pool(net: Network, x: Value, channels: int) -> Value:
    x = _basic(net, x, x.channels // 2)
    pooled = [
        Value(
            net.node("MaxPool", [x.name], kernel_shape=[size] * 2, pads=[size // 2] * 4),
            x.channels,
        )
        for size in (5, 9, 13)
    ]
    return _basic(net, net.concat(x, *pooled), channels)


def _basic(net: Network, x: Value, channels: int) -> Value:
    return _silu(net, net.conv(x, channels))


def _depthwise(net: Network, x: Value, channels: int, *, stride: int = 1) -> Value:
    groups = x.channels
    each = _silu(net, net.conv(x, groups, 3, stride=stride, groups=groups))
    return _basic(net, each, channels)


def _silu(net: Network, x: Value) -> Value:
    gate = net.node("Sigmoid", [x.name])
    return Value(net.node("Mul", [x.name, gate]), x.channels)


def _upsample(net: Network, x: Value) -> Value:
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    name = net.node(
        "Resize",
        [x.name, "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return Value(name, x.channels)
