"""Drift is told when there is one, not when there is none, and outlives a restart."""

from pathlib import Path

import numpy as np
import pytest
from tests.support.predictions import boxes, classes, frame

from visionedge.entities import Detections, Prediction
from visionedge.escalation.baselines import Baselines
from visionedge.escalation.decide import Decider
from visionedge.escalation.drift import Baseline, DriftWatch, psi
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings, DriftSettings, resolve

SECOND_NS = 1_000_000_000
SETTINGS = DriftSettings(window_frames=200, learn_frames=600)
THRESHOLDS = Thresholds(DecisionSettings())


class Line:
    """Frames of a line with defects now and then, whatever the seed."""

    def __init__(self, watch: DriftWatch, seed: int = 1) -> None:
        self.watch, self.now_ns = watch, 0
        self.chance = np.random.default_rng(seed)

    def run(self, frames: int, share: float = 0.1, sure: float = 6.0, kind: int = 0) -> list[bool]:
        """Let frames pass, one a second; whether it counts as drifted after each."""
        breached = []
        for _ in range(frames):
            self.watch.look(self._seen(share, sure, kind), THRESHOLDS, self.now_ns)
            self.now_ns += SECOND_NS
            breached.append(self.watch.state.breached)
        return breached

    def _seen(self, share: float, sure: float, kind: int) -> Detections:
        if self.chance.random() >= share:
            return boxes()
        return boxes(float(self.chance.beta(sure, 1)), class_id=[kind])


def watch(card: Baseline | None = None, kept: Baseline | None = None) -> DriftWatch:
    watch = DriftWatch()
    watch.use("line model", SETTINGS, card, kept)
    return watch


@pytest.mark.parametrize("seed", range(3))
def test_a_line_that_stays_as_it_is_never_drifts(seed: int) -> None:
    line = Line(watch(), seed)
    assert not any(line.run(600 + 8 * 200))
    assert line.watch.state.source == "learned"
    assert line.watch.state.classes is not None


@pytest.mark.parametrize("change", [{"share": 0.8}, {"sure": 1.0, "share": 0.3}, {"kind": 1}])
def test_other_things_or_other_confidence_are_a_drift_after_two_windows(
    change: dict[str, float],
) -> None:
    line = Line(watch())
    line.run(600 + 3 * 200, share=0.3)
    told = line.run(3 * 200, **{"share": 0.3, **change})  # type: ignore[arg-type] # kind is a number too
    assert not any(told[:399])
    assert told[400]


def test_it_is_over_only_when_it_is_well_over() -> None:
    line = Line(watch())
    line.run(600)
    line.run(600, share=0.6)
    assert line.watch.state.breached
    assert line.run(200, share=0.3)[-1]
    assert not line.run(400)[-1]


def test_frames_of_one_second_count_once() -> None:
    watched = watch()
    for _ in range(5000):
        watched.look(boxes(0.9), THRESHOLDS, 0)
    assert watched.state.source == "learning"


def test_the_card_is_the_baseline_where_it_has_one() -> None:
    good = Baseline(1000, {"(empty)": 900, "open": 100}, (0, 0, 0, 0, 0, 5, 10, 15, 30, 40))
    line = Line(watch(card=good))
    assert line.watch.state.source == "card"
    assert any(line.run(400, share=0.9))
    assert line.watch.learned is None


def test_another_model_is_learned_anew_and_the_same_one_is_not() -> None:
    watched = watch()
    Line(watched).run(700)
    sources = [watched.state.source]
    for key, settings in (
        ("line model", SETTINGS),
        ("line other", SETTINGS),
        ("line other", DriftSettings(enabled=False)),
    ):
        watched.use(key, settings, None, None)
        sources.append(watched.state.source)
    assert sources == ["learned", "learned", "learning", "off"]


@pytest.mark.parametrize(
    "strange", [boxes(), classes(), classes(0.5, 0.5), classes(0.9, 0.2, multilabel=True)]
)
def test_whatever_a_model_gives_can_be_counted(strange: Prediction) -> None:
    watched = watch()
    for second in range(1200):
        watched.look(strange, THRESHOLDS, second * SECOND_NS)
    assert not watched.state.breached


def test_what_is_not_a_number_counts_as_no_confidence() -> None:
    watched = watch()
    watched.look(boxes(float("nan")), THRESHOLDS, 0)
    assert watched.state.source == "learning"


def test_the_index_of_the_same_histogram_is_nothing_and_of_none_as_well() -> None:
    same = np.array([5, 10, 20])
    assert psi(same, same) == 0
    assert psi(same, np.zeros(3, np.int64)) == 0
    assert psi(np.array([90, 10]), np.array([10, 90])) > 2


def test_a_drift_raises_the_control_sample() -> None:
    settings = resolve([{"escalation": {"control_per_hour": 6, "drift": {"control_factor": 10}}}])
    decider = Decider(settings, 1)
    usual = Baseline(100, {"open": 100}, (0,) * 9 + (100,))
    decider.watch_drift({"line-1": ("key", usual, None)})

    def sent(from_s: float) -> int:
        taken = 0
        for second in range(3600):
            decision = decider.decide(frame(captured_s=from_s + second), boxes(0.95, class_id=[1]))
            taken += decision.reason == "control"
        return taken

    before = sent(0)
    assert decider.drift()["line-1"][0].breached
    # Two windows of ten minutes at the usual rate, then ten times as many.
    assert before == pytest.approx(2 + 40, abs=2)
    assert sent(3600) == pytest.approx(60, abs=1)


def test_learned_baselines_outlive_a_restart_and_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "drift.json"
    learned = Baseline(600, {"open": 3, "(empty)": 597}, (1,) * 10)
    Baselines(path).keep({"line-1 abc": learned})
    assert Baselines(path).get("line-1 abc") == learned
    path.write_text('{"line-1 abc": {"frames": 1}}')
    assert Baselines(path).get("line-1 abc") is None
    path.write_text("not JSON")
    assert Baselines(path).get("line-1 abc") is None


def test_a_disk_that_refuses_the_file_costs_the_memory_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    kept = Baselines(blocked / "drift.json")
    learned = Baseline(1, {}, (0,) * 10)
    kept.keep({"key": learned})
    assert kept.get("key") == learned
