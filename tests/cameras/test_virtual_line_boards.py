"""Boards of the virtual line: clean copper is clean, and each defect is what its name says."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visionedge.cameras.board import BoardLayout, draw_layout
from visionedge.cameras.board_layers import BoardLayers, draw_layers, with_polygons
from visionedge.cameras.defects import DEFECT_LABELS, Defect, place_defects

DESIGNS = range(12)


@cache
def _design(number: int) -> tuple[BoardLayout, BoardLayers]:
    layout = draw_layout(np.random.default_rng(number))
    return layout, draw_layers(layout)


def _place(number: int, label: str) -> tuple[Defect, ...]:
    layout, layers = _design(number)
    rng = np.random.default_rng(1000 + number)
    return place_defects(rng, layout, layers, 6, (DEFECT_LABELS.index(label),))


def _defects(label: str) -> list[tuple[BoardLayers, Defect]]:
    found = [(_design(n)[1], defect) for n in DESIGNS for defect in _place(n, label)]
    assert len(found) >= 20
    return found


def _changed(layers: BoardLayers, defect: Defect) -> NDArray[np.uint8]:
    return with_polygons(layers.copper, [(defect.polygon, defect.adds_copper)])


def _window(defect: Defect, grow: int) -> tuple[slice, slice]:
    x1, y1, x2, y2 = (round(v) for v in defect.xyxy)
    return slice(max(0, y1 - grow), y2 + grow), slice(max(0, x1 - grow), x2 + grow)


def _pieces(copper: NDArray[np.uint8]) -> int:
    return int(cv2.connectedComponents((copper > 127).astype(np.uint8))[0]) - 1


@pytest.mark.parametrize("number", range(25))
def test_each_net_of_a_clean_board_is_one_piece_of_copper(number: int) -> None:
    _, layers = _design(number)
    count, pieces = cv2.connectedComponents((layers.copper > 127).astype(np.uint8))
    nets = [set(np.unique(layers.nets[pieces == k])) - {0} for k in range(1, count)]
    assert all(len(net) == 1 for net in nets)
    assert len({net for one in nets for net in one}) == len(nets)


@pytest.mark.parametrize("number", range(25))
def test_clean_copper_keeps_its_distance(number: int) -> None:
    _, layers = _design(number)
    grown = cv2.dilate((layers.copper > 127).astype(np.uint8), np.ones((2, 2), np.uint8))
    assert int(cv2.connectedComponents(grown)[0]) - 1 == _pieces(layers.copper)


@pytest.mark.parametrize("number", DESIGNS)
def test_every_trace_ends_in_a_pad(number: int) -> None:
    layout, layers = _design(number)
    assert len(layout.traces) >= 15
    for trace in layout.traces:
        for x, y in (trace.points[0], trace.points[-1]):
            assert layers.metal[round(float(y)), round(float(x))] > 0


def test_an_open_parts_a_net() -> None:
    for layers, defect in _defects("open"):
        assert _pieces(_changed(layers, defect)) == _pieces(layers.copper) + 1


def test_a_short_joins_two_nets() -> None:
    for layers, defect in _defects("short"):
        assert _pieces(_changed(layers, defect)) == _pieces(layers.copper) - 1


@pytest.mark.parametrize("label", ["mousebite", "spur"])
def test_a_mousebite_or_a_spur_changes_an_edge_and_no_connection(label: str) -> None:
    for layers, defect in _defects(label):
        changed = _changed(layers, defect)
        assert _pieces(changed) == _pieces(layers.copper)
        assert _pieces(255 - changed) == _pieces(255 - layers.copper)


def test_spurious_copper_is_an_island() -> None:
    for layers, defect in _defects("spurious_copper"):
        assert _pieces(_changed(layers, defect)) == _pieces(layers.copper) + 1


def test_a_pin_hole_is_surrounded_by_copper() -> None:
    for layers, defect in _defects("pin_hole"):
        changed = _changed(layers, defect)
        assert _pieces(changed) == _pieces(layers.copper)
        assert _pieces(255 - changed) == _pieces(255 - layers.copper) + 1


@pytest.mark.parametrize("label", DEFECT_LABELS)
def test_a_defect_shows_under_the_mask_and_free_of_print(label: str) -> None:
    for layers, defect in _defects(label):
        difference = cv2.absdiff(_changed(layers, defect), layers.copper) > 64
        assert difference.sum() >= 8
        assert not layers.silk[difference].any()
        assert not layers.opening[difference].any()
        inside = difference[_window(defect, 0)]
        assert inside.sum() == difference.sum()


@pytest.mark.parametrize("number", DESIGNS)
def test_defects_of_one_board_lie_apart(number: int) -> None:
    layout, layers = _design(number)
    classes = tuple(range(len(DEFECT_LABELS)))
    boxes = [d.xyxy for d in place_defects(np.random.default_rng(5), layout, layers, 12, classes)]
    assert len(boxes) >= 8
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
