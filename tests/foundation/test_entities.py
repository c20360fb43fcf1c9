"""The shared words: what they promise to readers far away."""

from datetime import UTC, datetime

import numpy as np
import pytest

from visionedge.entities import Classification, Detections, Envelope, Frame, Kind, new_id

LABELS = ("open", "short")


def detections(n: int, *, confidence: int | None = None, class_id: int | None = None) -> Detections:
    return Detections(
        xyxy=np.zeros((n, 4), np.float32),
        confidence=np.zeros(n if confidence is None else confidence, np.float32),
        class_id=np.arange(n if class_id is None else class_id, dtype=np.int32),
        labels=LABELS,
    )


def test_detections_know_how_many_they_are() -> None:
    assert len(detections(0)) == 0
    assert len(detections(3)) == 3


@pytest.mark.parametrize("wrong", [{"confidence": 2}, {"class_id": 4}])
def test_misaligned_detections_are_refused_with_their_shapes(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"xyxy \(3, 4\)"):
        detections(3, **wrong)


def test_boxes_that_are_not_four_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="misaligned"):
        Detections(
            np.zeros((2, 5), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int32), LABELS
        )


def test_a_class_without_a_label_is_called_by_its_number() -> None:
    found = detections(3)
    assert [found.label(i) for i in range(3)] == ["open", "short", "2"]
    assert Classification(np.zeros(2, np.float32), LABELS).label(-1) == "-1"


def test_the_best_classes_come_first_and_equals_keep_their_order() -> None:
    classes = Classification(np.array([0.1, 0.7, 0.1, 0.1], np.float32), ("a", "b", "c", "d"))
    assert [class_id for class_id, _ in classes.top(3)] == [1, 0, 2]
    assert len(classes.top(99)) == len(classes) == 4


def test_a_frame_tells_its_size_in_pixels() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    frame = Frame(np.zeros((720, 1280, 3), np.uint8), "line-1", 0, now, 0)
    assert (frame.width, frame.height) == (1280, 720)


def test_an_envelope_counts_its_properties_as_the_hub_does() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bare = Envelope(new_id(), Kind.TELEMETRY, 0.5, now, now, b"12345")
    routed = Envelope(new_id(), Kind.TELEMETRY, 0.5, now, now, b"12345", {"camera": "line-1"})
    assert (bare.size_bytes, routed.size_bytes) == (5, 5 + 6 + 6)


def test_ids_are_fit_for_the_wire_and_never_the_same() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 32 and one.isalnum() for one in ids)
