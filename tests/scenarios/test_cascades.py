"""A cascade in the running module: named by the twin, timed, counted, and told to the cloud."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.inference.graphs import color_classifier, saved
from tests.support.bundles import zipped
from tests.support.running import busy_line, running, wait_until

from devhub import DevHub
from visionedge.app import App
from visionedge.settings import Document

pytestmark = pytest.mark.timeout(120)
NAMES = ["copper", "mask", "silk"]


def classifier(folder: Path) -> str:
    path = saved(color_classifier(np.eye(3, dtype=np.float32) * 4), folder / "sorter.onnx")
    card: Document = {"head": "classifier", "labels": NAMES, "output": {"activation": "none"}}
    path.with_suffix(".json").write_text(json.dumps(card))
    return str(path)


def looks(app: App) -> float:
    return app.metrics.value("visionedge_stage_seconds_count", {"stage": "cascade"})


def test_the_twin_puts_a_classifier_behind_the_detector_and_takes_it_away(
    devhub: DevHub, tmp_path: Path
) -> None:
    # Nobody answers here, so the window must not be full of what was asked before the patch.
    with running(busy_line(tmp_path, uplink={"window": 256})) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        devhub.patch_desired(
            {
                "models": {
                    "default": {"then": {"model": "sorter", "max_boxes": 1}},
                    "sorter": {"path": classifier(tmp_path)},
                }
            }
        )
        wait_until(lambda: looks(app) > 2, "frames through both models")
        wait_until(
            lambda: app.metrics.value("visionedge_boxes_skipped_total", {"camera": "line-1"}) > 0,
            "a frame with more than one box",
        )

        def told() -> list[Document]:
            sent = (json.loads(each.body) for each in devhub.messages("escalation"))
            return [each for each in sent if "named_by" in each["model"]]

        wait_until(lambda: bool(told()), "an escalation that names both models")
        model, seen = told()[0]["model"], told()[0]["prediction"]
        assert model["name"] == "pcb-defects"
        assert model["named_by"]["name"] == "sorter"
        assert {each["label"] for each in seen["detections"]} & set(NAMES)
        version = devhub.patch_desired({"models": {"default": {"then": None}, "sorter": None}})
        wait_until(lambda: devhub.reported["models"].get("av") == version, "the answer")
        before = looks(app)
        frames = app.metrics.value("visionedge_frames_processed_total")
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total") > frames + 5, "frames"
        )
        assert looks(app) <= before + 2, "but for the frames in flight"


def test_a_patch_that_makes_a_loop_is_refused_by_its_field_and_the_line_goes_on(
    devhub: DevHub, tmp_path: Path
) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(lambda: devhub.connections != (), "the module connects")
        version = devhub.patch_desired({"models": {"default": {"then": {"model": "default"}}}})
        wait_until(lambda: devhub.reported.get("models", {}).get("av") == version, "the refusal")
        answer = devhub.reported["models"]
        assert answer["ac"] == 400
        assert "models.default.then.model" in answer["ad"]
        frames = app.metrics.value("visionedge_frames_processed_total")
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total") > frames + 5, "frames"
        )


@pytest.mark.slow
def test_a_new_classifier_by_twin_takes_over_in_the_cascade_and_a_detector_is_refused(
    devhub: DevHub, tmp_path: Path
) -> None:
    document = busy_line(tmp_path)
    document["models"]["sorter"] = {"path": classifier(tmp_path)}
    document["models"]["default"]["then"] = {"model": "sorter"}
    bundle = tmp_path / "bundle.zip"
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.write(tmp_path / "sorter.onnx", "sorter/model.onnx")
        card = json.loads((tmp_path / "sorter.json").read_text()) | {"version": "2"}
        archive.writestr("sorter/model.json", json.dumps(card))
    detector = tmp_path / "detector.zip"
    hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (bundle,)}
    hashes[detector] = zipped(detector)

    def told(what: str) -> str:
        bundles = devhub.reported.get("model", {}).get("bundles", {})
        return str(bundles.get("sorter", {}).get(what, ""))

    with running(document) as app:
        wait_until(lambda: looks(app) > 2, "frames through both models")
        devhub.patch_desired({"models": {"sorter": {"uri": str(bundle), "sha256": hashes[bundle]}}})
        wait_until(lambda: told("active") == hashes[bundle][:16], "the new classifier", 60)
        second = app.lineup.models["default"].second
        assert second is not None
        assert second.model.card.version == "2"
        devhub.patch_desired(
            {"models": {"sorter": {"uri": str(detector), "sha256": hashes[detector]}}}
        )
        wait_until(lambda: "is a detector" in told("reason"), "the refusal", 60)
        assert app.lineup.models["default"].second is second
        before = looks(app)
        wait_until(lambda: looks(app) > before + 3, "frames through both models")
