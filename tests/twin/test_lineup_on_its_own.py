"""The lineup, asked by two threads and with much to load."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from visionedge.entities import Frame
from visionedge.errors import SettingsError
from visionedge.escalation.drift import BINS, Baseline, DriftState
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.slot import LatestSlots
from visionedge.runtime.worker import Worker, beat
from visionedge.settings import resolve

WAIT_S = 10


def lineup() -> Lineup:
    return Lineup(LatestSlots[Frame](), Metrics(), lambda *_: None)


def test_several_models_that_load_slowly_are_no_stuck_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take nearly as long as its thread may be silent."""
    clock, stuck, done = FakeClock(), list[str](), threading.Event()

    def slow(*_: object) -> Any:  # noqa: ANN401 - a model
        clock.advance(200)
        stuck.append(worker.stuck)
        raise SettingsError("it was only to take its time")

    monkeypatch.setattr("visionedge.lineup.load_proven", slow)
    line = lineup()
    models = {name: {"path": str(tmp_path / name)} for name in "abc"}

    def job(_: Worker) -> None:
        for name in models:
            with pytest.raises(SettingsError):
                line.prepare(
                    resolve(
                        [{"models": models, "cameras": {"c": {"kind": "pattern", "model": name}}}]
                    ),
                    1,
                )
        done.set()

    worker = Worker("control", job, stuck_after_s=300, clock=clock)
    worker.start()
    assert done.wait(WAIT_S)
    assert stuck == ["", "", ""]
    assert worker.stop(WAIT_S)


def test_a_sign_of_life_elsewhere_is_nobodys() -> None:
    clock = FakeClock()
    release = threading.Event()

    def job(_: Worker) -> None:
        release.wait(WAIT_S)

    worker = Worker("eye", job, clock=clock).start()
    clock.advance(100)
    beat()
    assert worker.stuck
    release.set()
    assert worker.stop(WAIT_S)


def test_a_camera_that_goes_while_drift_is_asked_for_fails_nobody() -> None:
    """The reporter asks, while the control thread swaps."""
    line = lineup()

    def drift() -> dict[str, tuple[DriftState, Baseline]]:
        line._now = SimpleNamespace(wiring=SimpleNamespace(models={}))  # type: ignore[assignment]
        return {"gone": (DriftState("learned"), Baseline(1, {}, (0,) * BINS))}

    model = SimpleNamespace(card=SimpleNamespace(sha256="s"))
    wiring = SimpleNamespace(models={"gone": model}, decider=SimpleNamespace(drift=drift))
    line._now = SimpleNamespace(wiring=wiring)  # type: ignore[assignment]
    assert line.drift() == {"gone": DriftState("learned")}
