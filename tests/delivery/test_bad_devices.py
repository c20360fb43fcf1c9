"""A device in a bad state is no fault of a bundle: it waits, and nothing is lost meanwhile."""

import errno
import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from tests.delivery.bundles import on_its_way, one_camera

from visionedge.deliveries import Deliveries
from visionedge.delivery.slots import MAX_TRIES, SlotStore
from visionedge.errors import ModelUntried
from visionedge.metrics import Metrics


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        (errno.ENOSPC, "make room in"),
        (errno.EROFS, "check the permissions and the mount of"),
        (errno.EMFILE, "check"),
        (errno.EIO, "check"),
    ],
)
def test_a_device_that_cannot_unpack_a_bundle_is_no_fault_of_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, mend: str
) -> None:
    def failing(*_: object, **__: object) -> str:
        raise OSError(code, os.strerror(code))

    one_camera(tmp_path)
    bundle = tmp_path / "bundle.zip"
    with zipfile.ZipFile(bundle, "w") as packed:
        packed.write(tmp_path / "new.onnx", "model.onnx")
    sha256 = hashlib.sha256(bundle.read_bytes()).hexdigest()
    settings = one_camera(tmp_path, uri=str(bundle), sha256=sha256)
    deliveries, job = on_its_way(tmp_path, settings)
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkdtemp", failing)
        for _ in range(2 * MAX_TRIES):
            deliveries._prepare(job)
            (end,) = deliveries.open_ends(settings)
            assert f"{os.strerror(code)} ({mend}" in end.reason
            assert not end.failed
    deliveries._prepare(job)
    assert job.phase == "loaded"


def test_a_bundle_whose_trials_are_cut_off_is_tried_again_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = one_camera(tmp_path)
    deliveries, job = on_its_way(tmp_path, settings)

    def killed(*_: object) -> None:
        raise ModelUntried("it was killed", hint="make it some memory")

    with monkeypatch.context() as short:
        short.setattr("visionedge.candidates.load_proven", killed)
        for _ in range(MAX_TRIES - 1):
            deliveries._prepare(job)
            (end,) = deliveries.open_ends(settings)
            assert end.reason == "models.m: waiting it was killed (make it some memory)"
            assert not end.failed
        deliveries._prepare(job)
    (end,) = deliveries.open_ends(settings)
    assert end.failed
    assert deliveries._jobs == {}


def test_slots_that_cannot_be_read_at_the_start_let_nothing_refused_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = one_camera(tmp_path)
    sha256, folder = settings.models["m"].sha256, tmp_path / "slots"
    SlotStore(folder).refuse("m", sha256, "it saw nothing")
    deliveries = Deliveries(SlotStore(folder), tmp_path / "cache", Metrics(), lambda *_: None)

    def failing(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_text", failing)
        assert deliveries.paths("m", settings.models["m"]) == (tmp_path / "old" / "m.onnx",)
        deliveries.want(settings)
        job = deliveries._jobs["m"]
        deliveries._prepare(job)
        assert (job.phase, job.reason) == ("waiting", "[Errno 5] Input/output error")
    deliveries._prepare(job)
    assert deliveries._jobs == {}
    (end,) = deliveries.open_ends(settings)
    assert (end.failed, end.reason) == (True, "models.m: it saw nothing")
