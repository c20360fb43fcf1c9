"""The bundle that is in the repository: whole, small, and as good as its README says."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.lines import crowded_line
from training.measure import held_out
from training.runtime import Detector
from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.evaluation.average_precision import (
    Boxes,
    match_class,
    mean_average_precision,
    score_class,
)
from visionedge.inference.card import CARD_NAME, LABELS_NAME, read_document, read_labels, validated
from visionedge.inference.card_golden import read_golden
from visionedge.inference.golden import verify_golden
from visionedge.inference.image import read_image
from visionedge.inference.model import load_model
from visionedge.settings import ModelSettings

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"


def test_the_card_is_of_this_very_model_and_names_the_lines_defects() -> None:
    card = validated(read_document(BUNDLE / CARD_NAME), CARD_NAME)
    weights = (BUNDLE / "model.onnx").read_bytes()
    assert card.sha256 == hashlib.sha256(weights).hexdigest()
    assert card.labels == DEFECT_LABELS
    assert read_labels(BUNDLE / LABELS_NAME) == DEFECT_LABELS
    assert card.licence == "MIT"


def test_the_bundle_stays_small_enough_for_the_repository_and_the_air() -> None:
    assert (BUNDLE / "model.onnx").stat().st_size <= 4 * 1024**2
    pictures = sum(path.stat().st_size for path in (BUNDLE / "golden").iterdir())
    assert pictures <= 2.5 * 1024**2


@pytest.mark.slow
def test_defects_of_boards_it_never_saw_are_found() -> None:
    detector = Detector(BUNDLE)
    truths, found = [], []
    for sample in held_out(crowded_line, 20):
        found.append(detector.find(sample.image))
        truths.append(Boxes.true(sample.xyxy, sample.class_id))
    scores = [score_class(match_class(c, truths, found)) for c in range(len(DEFECT_LABELS))]
    assert sum(score.truth_count for score in scores) > 60
    assert mean_average_precision(scores) >= 0.8


def test_an_empty_picture_shows_no_defect() -> None:
    grey = np.full((720, 1280, 3), 114, dtype=np.uint8)
    assert not (Detector(BUNDLE).find(grey).confidence > 0.3).any()


def test_the_golden_frames_prove_the_model() -> None:
    model = load_model(BUNDLE, ModelSettings(path=str(BUNDLE)))
    golden = read_golden(BUNDLE / "golden")
    assert len(golden.frames) >= 6
    assert sum(len(frame.detections) for frame in golden.frames) >= 10
    assert any(not frame.detections for frame in golden.frames)
    assert verify_golden(model) == []


def test_the_golden_frames_tell_a_wrong_preprocessing() -> None:
    settings = ModelSettings(path=str(BUNDLE))
    model = load_model(BUNDLE, settings, {"input": {"color": "bgr", "fit": "stretch"}})
    assert verify_golden(model)


def test_without_its_card_the_model_is_read_the_same(tmp_path: Path) -> None:
    shutil.copy(BUNDLE / "model.onnx", tmp_path / "unknown.onnx")
    image = read_image(BUNDLE / "golden" / "board-1.jpg")
    assert image is not None
    with_card, without = (
        Detector(BUNDLE).find(image),
        Detector(tmp_path / "unknown.onnx").find(image),
    )
    assert np.array_equal(with_card.xyxy, without.xyxy)
    assert np.array_equal(with_card.class_id, without.class_id)
    assert np.array_equal(with_card.confidence, without.confidence)
