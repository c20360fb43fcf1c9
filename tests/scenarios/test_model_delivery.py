"""A new model by twin, while the line runs: taken, refused or rolled back, and no frame lost."""

import base64
import gc
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.bundles import failing_on_white, slow, zipped
from tests.support.running import BUNDLE, busy_line, running, wait_until

from devhub import DevHub
from visionedge.app import App
from visionedge.inference.model import LoadedModel

pytestmark = pytest.mark.timeout(180)
PATIENCE_S = 60.0
QUICK = {"shadow_frames": 8, "guard_frames": 10, "min_agreement": 0.3, "max_latency_ratio": 50}


@pytest.fixture
def line(devhub: DevHub, tmp_path: Path) -> Iterator[App]:
    keys = tmp_path / "keys"
    keys.mkdir()
    delivery = {**QUICK, "keys_path": str(keys)}
    with running(busy_line(tmp_path, delivery=delivery)) as app:
        wait_until(lambda: app.metrics.value("visionedge_frames_processed_total") > 3, "frames")
        yield app


def told(devhub: DevHub) -> dict[str, Any]:
    return dict(devhub.reported.get("model", {}).get("bundles", {}).get("default", {}))


def is_gone(model: weakref.ref[LoadedModel]) -> bool:
    gc.collect()
    return model() is None


def deliver(devhub: DevHub, path: Path, sha256: str, **more: Any) -> None:  # noqa: ANN401 - JSON
    model = {"uri": str(path), "sha256": sha256, **more}
    devhub.patch_desired({"models": {"default": model}})


def lost_frames(app: App) -> dict[str, int]:
    counts = app.metrics.counts("visionedge_frames_dropped_total", "cause")
    return {cause: n for cause, n in counts.items() if cause != "replaced" and n}


def refused(devhub: DevHub, app: App) -> str:
    wait_until(lambda: bool(told(devhub).get("reason")) and not told(devhub).get("staged"),
               "the refusal", PATIENCE_S)  # fmt: skip
    wait_until(lambda: devhub.reported.get("models", {}).get("ac") == 400, "its answer", PATIENCE_S)
    assert app.lineup.models["default"].card.version == "1"
    before = app.metrics.value("visionedge_frames_processed_total")
    wait_until(
        lambda: app.metrics.value("visionedge_frames_processed_total") > before + 3, "frames go on"
    )
    assert lost_frames(app) == {}
    return str(told(devhub)["reason"])


def test_a_good_bundle_takes_over_between_two_frames_and_is_there_after_a_restart(
    devhub: DevHub, tmp_path: Path, line: App
) -> None:
    bundle = tmp_path / "bundle.zip"
    sha256 = zipped(bundle)
    old = weakref.ref(line.lineup.models["default"])
    deliver(devhub, bundle, sha256, size_bytes=bundle.stat().st_size)
    wait_until(lambda: told(devhub).get("active") == sha256[:16], "the new bundle", PATIENCE_S)
    wait_until(lambda: devhub.reported["models"].get("ac") == 200, "its answer", PATIENCE_S)
    assert line.lineup.models["default"].card.version == "2"
    assert lost_frames(line) == {}
    wait_until(lambda: is_gone(old), "the old model is let go")
    line.stop(5)
    bundle.unlink()
    devhub.cut()
    with running(busy_line(tmp_path)) as again:
        assert again.lineup.models["default"].card.version == "2"


@pytest.mark.slow
def test_a_bundle_with_another_hash_is_refused(devhub: DevHub, tmp_path: Path, line: App) -> None:
    bundle = tmp_path / "bundle.zip"
    zipped(bundle)
    deliver(devhub, bundle, "0" * 64)
    assert "sha256" in refused(devhub, line)


@pytest.mark.slow
def test_a_bundle_whose_signature_is_by_nobody_known_is_refused_and_a_good_one_is_taken(
    devhub: DevHub, tmp_path: Path, line: App
) -> None:
    key = Ed25519PrivateKey.generate()
    bundle = tmp_path / "bundle.zip"
    sha256 = zipped(bundle)
    signature = base64.b64encode(key.sign(f"visionedge-model:{sha256}".encode())).decode()
    deliver(devhub, bundle, sha256, signature=signature)
    assert "signature" in refused(devhub, line)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "keys" / "maker.pem").write_bytes(public)
    devhub.invoke_method("swapModel", {"model": "default"})
    wait_until(lambda: told(devhub).get("active") == sha256[:16], "the signed bundle", PATIENCE_S)


@pytest.mark.slow
def test_a_bundle_that_fails_its_golden_frames_is_refused(
    devhub: DevHub, tmp_path: Path, line: App
) -> None:
    bundle = tmp_path / "bundle.zip"
    deliver(devhub, bundle, zipped(bundle, golden=False))
    assert "golden" in refused(devhub, line)


@pytest.mark.slow
def test_a_slow_bundle_is_refused(devhub: DevHub, tmp_path: Path, line: App) -> None:
    bundle = tmp_path / "bundle.zip"
    devhub.patch_desired({"delivery": {"shadow_frames": 200, "max_latency_ratio": 1.5}})
    deliver(devhub, bundle, zipped(bundle, change=slow))
    assert "times as long" in refused(devhub, line)


def test_a_bundle_that_fails_from_frame_50_on_is_rolled_back_and_costs_no_frame(
    devhub: DevHub, tmp_path: Path, line: App
) -> None:
    bundle = tmp_path / "bundle.zip"
    devhub.patch_desired({"delivery": {"guard_frames": 100_000}})
    deliver(devhub, bundle, zipped(bundle, change=failing_on_white))
    wait_until(lambda: line.lineup.models["default"].card.version == "2", "guard", PATIENCE_S)
    folder = tmp_path / "fifty good ones, then white"
    folder.mkdir()
    for number in range(56):
        shade = 90 if number < 50 else 252
        cv2.imwrite(str(folder / f"{number:02}.png"), np.full((360, 640, 3), shade, np.uint8))
    camera = {"kind": "file", "path": str(folder), "fps": 20}
    devhub.patch_desired({"cameras": {"line-1": camera}})
    assert "failed on" in refused(devhub, line)
    assert line.metrics.counts("visionedge_model_deliveries_total", "result") == {"rolled_back": 1}


@pytest.mark.slow
def test_a_bundle_that_is_rolled_back_by_hand_gives_way_to_the_one_before(
    devhub: DevHub, tmp_path: Path, line: App
) -> None:
    bundle = tmp_path / "bundle.zip"
    sha256 = zipped(bundle)
    deliver(devhub, bundle, sha256)
    wait_until(lambda: told(devhub).get("active") == sha256[:16], "the new bundle", PATIENCE_S)
    assert devhub.invoke_method("rollback", {"model": "default"}).status == 200
    assert "rollback" in refused(devhub, line)
    assert devhub.invoke_method("rollback", {"model": "default"}).status == 404


@pytest.mark.slow
def test_a_patch_is_taken_whole_although_what_was_on_trial_has_nothing_to_go_back_to(
    devhub: DevHub, tmp_path: Path
) -> None:
    base, bundle = tmp_path / "base", tmp_path / "bundle.zip"
    shutil.copytree(BUNDLE, base)
    document = busy_line(tmp_path, delivery={**QUICK, "guard_frames": 100_000})
    document["models"]["default"]["path"] = str(base)
    with running(document) as app:
        deliver(devhub, bundle, zipped(bundle))
        wait_until(
            lambda: str(told(devhub).get("state")).startswith("guard"), "the guard", PATIENCE_S
        )
        shutil.rmtree(base)
        model = {"uri": str(bundle), "sha256": "0" * 64}
        version = devhub.patch_desired(
            {"models": {"default": model}, "telemetry": {"interval_s": 7}}
        )
        wait_until(
            lambda: devhub.reported.get("telemetry", {}).get("av") == version,
            "the answer",
            PATIENCE_S,
        )
        answer = devhub.reported["telemetry"]
        assert (answer["ac"] == 200) is (app.settings.telemetry.interval_s == 7)
        assert answer["ac"] == 200, answer
