"""A second look at mirror images: boxes come back to where they are, and means are means."""

import numpy as np
import pytest
from tests.support.predictions import boxes, classes

from visionedge.entities import Detections, Image, Prediction
from visionedge.errors import ModelRunError
from visionedge.inference.mirrored import mirrored_look, together
from visionedge.inference.view import WHOLE, View

SPOT = (30, 20, 50, 30)
"""x1, y1, x2, y2 of the bright spot in the picture."""


def picture() -> Image:
    image = np.zeros((100, 200, 3), np.uint8)
    image[SPOT[1] : SPOT[3], SPOT[0] : SPOT[2]] = 255
    return image


def finds_the_spot(image: Image, view: View) -> Detections:
    """A model that sees the bright spot, wherever it is, and says where it looked."""
    ys, xs = np.nonzero(image[:, :, 0])
    area = view.area(image.shape[1], image.shape[0])
    inside = area.x1 <= xs.min() and xs.max() < area.x2 and area.y1 <= ys.min() <= area.y2
    if not inside:
        return boxes()
    low, high = (int(xs.min()), int(ys.min())), (int(xs.max()) + 1, int(ys.max()) + 1)
    return boxes(0.9, xyxy=[(*low, *high)])


def test_boxes_of_mirror_images_lie_where_the_object_is() -> None:
    image = picture()
    seen = mirrored_look(finds_the_spot, image, WHOLE, finds_the_spot(image, WHOLE))
    assert isinstance(seen, Detections)
    assert seen.xyxy.tolist() == [list(SPOT)]
    assert seen.confidence.tolist() == pytest.approx([0.9])


def test_a_region_is_mirrored_with_the_picture() -> None:
    left_top = View(region=((0, 0), (0.4, 0), (0.4, 0.4), (0, 0.4)))
    image = picture()
    seen = mirrored_look(finds_the_spot, image, left_top, finds_the_spot(image, left_top))
    assert seen.confidence.tolist() == pytest.approx([0.9])


def test_every_mirror_image_is_looked_at_once_and_half_a_turn_is_one() -> None:
    seen: list[Image] = []

    def look(image: Image, view: View) -> Detections:
        seen.append(image)
        return finds_the_spot(image, view)

    image = picture()
    mirrored_look(look, image, WHOLE, look(image, WHOLE))
    ways = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
    assert len(seen) == len(ways)
    assert all(np.array_equal(a, b) for a, b in zip(seen, ways, strict=True))


def test_what_is_seen_once_in_three_looks_keeps_a_third_of_its_confidence() -> None:
    looks: list[Prediction] = [boxes(0.9), boxes(), boxes()]
    seen = together(looks)
    assert seen.confidence.tolist() == pytest.approx([0.3])


def test_objects_of_two_classes_or_places_stay_apart_and_the_surest_comes_first() -> None:
    here, there = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)
    one = boxes(0.8, 0.6, xyxy=[here, there])
    other = boxes(0.2, 0.9, class_id=[1, 0], xyxy=[here, there])
    seen = together([one, other])
    assert isinstance(seen, Detections)
    assert seen.class_id.tolist() == [0, 0, 1]
    assert seen.confidence.tolist() == pytest.approx([0.75, 0.4, 0.1])
    assert seen.xyxy[0].tolist() == list(there)


def test_classes_get_the_mean_of_their_confidences() -> None:
    seen = together([classes(0.6, 0.4), classes(0.2, 0.8)])
    assert seen.confidence.tolist() == pytest.approx([0.4, 0.6])


def test_answers_of_several_kinds_are_an_error_of_the_model() -> None:
    with pytest.raises(ModelRunError):
        together([boxes(0.5), classes(0.5, 0.5)])
    with pytest.raises(ModelRunError):
        together([classes(0.5, 0.5), classes(0.5, 0.3, 0.2)])


def test_nothing_seen_in_any_look_is_nothing() -> None:
    assert len(together([boxes(), boxes()])) == 0
