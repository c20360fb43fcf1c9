"""Contenders are only compared where they see the same: on every model that can be made here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.agreement import REWRITTEN_PX, agreement
from bench.contenders import Bare, after_tensor, least_way, naive_way, ready_tensor
from bench.least import found
from bench.naive import Found
from bench.report import Unavailable
from bench.subjects import DEFAULT_SUBJECTS, Subject, as_it_is, prepare

from visionedge.entities import Detections, Image
from visionedge.inference.model import LoadedModel


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """Subjects by role, made once, with random weights where only others have trained ones."""
    made: dict[str, Subject] = {}

    def subject(role: str) -> Subject:
        if role not in made:
            folder = tmp_path_factory.mktemp(role)
            made[role] = prepare(role, folder, shared=folder / "absent")
        return made[role]

    return subject


@pytest.mark.parametrize("role", [role for role in DEFAULT_SUBJECTS if role != "detector-640"])
def test_the_naive_way_and_ours_see_the_same(role: str, subjects: Callable[[str], Subject]) -> None:
    subject = subjects(role)
    ours, theirs = as_it_is(subject.model), naive_way(subject, Bare(subject.model))
    found = agreement(subject, ours.runner().infer, theirs)
    assert 1 <= found.found <= 100
    assert found.farthest < 1e-3
    rewritten = subject.model.runner().infer
    assert agreement(subject, rewritten, theirs, within_px=REWRITTEN_PX).farthest < REWRITTEN_PX


@pytest.mark.parametrize("role", [role for role in DEFAULT_SUBJECTS if role != "detector-640"])
def test_the_least_way_and_ours_see_the_same(role: str, subjects: Callable[[str], Subject]) -> None:
    subject = subjects(role)
    shortest = least_way(subject, Bare(subject.model, rewrite=True))
    agreed = agreement(
        subject,
        subject.model.runner().infer,
        lambda image: found(shortest(image), image),
    )
    assert agreed.found >= 1
    assert agreed.farthest < 1e-3


def test_a_head_that_nobody_has_written_the_least_for_is_unavailable(
    subjects: Callable[[str], Subject],
) -> None:
    subject = subjects("pcb-defects")
    model = subject.model
    other = LoadedModel(
        model.session,
        model.card.model_copy(update={"head": "yolo_v2"}),
        origins=model.origins,
        bundle=model.bundle,
        limits=model.limits,
    )
    with pytest.raises(Unavailable, match="yolo_v2"):
        least_way(replace(subject, model=other), Bare(subject.model))


def test_the_bare_run_of_the_ready_tensor_is_what_ours_decodes(
    subjects: Callable[[str], Subject],
) -> None:
    subject = subjects("pcb-defects")
    output = Bare(subject.model).run(ready_tensor(subject))
    runner, adapter = subject.model.runner(), subject.model.session
    spec = adapter.signature.inputs[0]
    ours = adapter.run({spec.name: ready_tensor(subject)})[0]
    np.testing.assert_array_equal(output, ours)
    assert isinstance(runner.infer(subject.frames[0]), Detections)


def test_the_way_that_reads_nothing_gives_the_scores_that_ours_decodes(
    subjects: Callable[[str], Subject],
) -> None:
    subject = subjects("pcb-defects")
    bare = Bare(subject.model)
    scores = after_tensor(subject, bare)(subject.frames[0])
    np.testing.assert_array_equal(scores, bare.run(ready_tensor(subject)))


def _without_the_best(found: Found) -> Found:
    return found[1:]


def _moved(found: Found) -> Found:
    return [(class_id, score, box + np.float32(0.01)) for class_id, score, box in found]


def _renamed(found: Found) -> Found:
    return [(class_id + 1, score, box) for class_id, score, box in found]


def _surer(found: Found) -> Found:
    return [(class_id, score + 0.01, box) for class_id, score, box in found]


@pytest.mark.parametrize("spoil", [_without_the_best, _moved, _renamed, _surer])
def test_a_way_that_sees_other_things_is_not_compared(
    spoil: Callable[[Found], Found], subjects: Callable[[str], Subject]
) -> None:
    subject = subjects("detector-320")
    right = naive_way(subject, Bare(subject.model))

    def wrong(image: Image) -> Found:
        return spoil(right(image))

    with pytest.raises(Unavailable, match="different things"):
        agreement(subject, as_it_is(subject.model).runner().infer, wrong)


def test_boxes_of_equal_score_may_come_in_any_order(subjects: Callable[[str], Subject]) -> None:
    subject = replace(subjects("detector-320"), frames=subjects("detector-320").frames[:1])
    boxes = np.array([[0, 0, 9, 9], [20, 20, 29, 29]], np.float32)
    ours = Detections(boxes, np.full(2, 0.5, np.float32), np.zeros(2, np.int32), ("a",))
    theirs: Found = [(0, 0.5, boxes[1]), (0, 0.5, boxes[0])]
    assert agreement(subject, lambda _: ours, lambda _: theirs).farthest == 0


def test_a_model_that_is_nowhere_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not beside the project"):
        prepare("yolov8n-640", tmp_path, shared=tmp_path / "absent")
