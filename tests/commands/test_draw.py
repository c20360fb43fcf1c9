import numpy as np
import pytest

from visionedge.commands.draw import colour_of, draw
from visionedge.entities import Classification, Detections, Prediction

PICTURE = np.full((240, 320, 3), 90, np.uint8)
LABELS = ("bolt", "nut")


def boxes(*xyxy: tuple[float, float, float, float]) -> Detections:
    count = len(xyxy)
    return Detections(
        np.array(xyxy, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.5, count, dtype=np.float32),
        np.arange(count, dtype=np.int32) % 2,
        LABELS,
    )


def test_the_picture_itself_is_left_as_it_is() -> None:
    picture = PICTURE.copy()
    picture.flags.writeable = False
    drawn = draw(picture, boxes((100, 100, 200, 200)), title="line-1")
    assert drawn.shape == picture.shape
    assert (picture == 90).all()
    assert (drawn != 90).any()


def test_a_box_is_in_the_colour_of_its_class() -> None:
    drawn = draw(PICTURE, boxes((100, 100, 200, 200)))
    assert tuple(drawn[150, 100].tolist()) == colour_of("bolt")
    assert tuple(drawn[150, 150].tolist()) == (90, 90, 90)


def test_a_class_has_the_same_colour_everywhere() -> None:
    assert colour_of("bolt") == colour_of("bolt")
    assert len({colour_of(f"class {n}") for n in range(50)}) > 40


def test_truth_is_white() -> None:
    drawn = draw(PICTURE, boxes(), truth=boxes((100, 100, 200, 200)))
    assert drawn[150, 100].min() > 200


def test_tags_of_boxes_on_the_same_place_lie_beside_each_other() -> None:
    one = (draw(PICTURE, boxes((100, 100, 200, 200))) != 90).any(axis=2).sum()
    two = (draw(PICTURE, boxes((100, 100, 200, 200), (100, 100, 200, 200))) != 90).any(axis=2).sum()
    assert two > one * 1.1


@pytest.mark.parametrize(
    "prediction",
    [
        boxes((0, 0, 320, 240)),
        boxes((319, 239, 320, 240), (0, 0, 1, 1)),
        boxes(*[(float(x), 10.0, x + 8.0, 20.0) for x in range(0, 300, 3)]),
        Classification(np.array([0.2, 0.8], np.float32), LABELS),
        Classification(np.array([0.2, 0.8], np.float32), ()),
    ],
)
@pytest.mark.parametrize("size", [(240, 320), (8, 8), (2000, 3000)])
def test_any_prediction_can_be_drawn_on_any_picture(
    prediction: Prediction, size: tuple[int, int]
) -> None:
    picture = np.full((*size, 3), 90, np.uint8)
    drawn = draw(picture, prediction, truth=prediction, title="a title that is rather long")
    assert drawn.shape == picture.shape
    assert (drawn != 90).any()
