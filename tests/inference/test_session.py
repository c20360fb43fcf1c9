import contextlib
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as native
from tests.inference.graphs import answers, color_classifier, named_classes, saved

from visionedge.errors import ModelLoadError, ModelRunError
from visionedge.inference import session as session_module
from visionedge.inference.onnx_file import MAX_BYTES, read_onnx
from visionedge.inference.session import VENDOR_ERRORS, Session

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects" / "model.onnx"
CPU = ("CPUExecutionProvider",)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(answers({"out": np.ones((1, 7, 84))}), tmp_path / "model.onnx")


def test_every_error_of_the_vendor_is_mapped() -> None:
    raised = {
        value
        for value in vars(native).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert raised == set(VENDOR_ERRORS), "map the new ones in inference/session.py"


def test_a_session_tells_its_signature(model: Path) -> None:
    session = Session(model, CPU)
    assert str(session.signature) == "images float32[1,3,64,64] -> out float32[1,7,84]"
    assert session.providers == CPU


def test_free_dimensions_and_maps_have_no_size(tmp_path: Path) -> None:
    labels = ("b", "a")
    path = saved(named_classes(labels, np.eye(3, dtype=np.float32)[:2]), tmp_path / "m.onnx")
    session = Session(path, CPU)
    assert session.signature.outputs[0].dtype is None
    assert session.header.zipmap_labels == labels
    outputs = session.run({"images": np.zeros((1, 3, 32, 32), np.float32)})
    assert outputs[0] == [pytest.approx({"a": 0.5, "b": 0.5})]
    free = saved(
        color_classifier(np.eye(3, dtype=np.float32), input_shape=("n", 3, "h", "w")),
        tmp_path / "f.onnx",
    )
    assert Session(free, CPU).signature.inputs[0].shape == (None, 3, None, None)


def test_metadata_and_header_are_read(tmp_path: Path) -> None:
    made = answers({"out": np.ones((1, 2))}, metadata={"task": "detect"}, producer="pytorch")
    session = Session(saved(made, tmp_path / "m.onnx"), CPU)
    assert session.metadata == {"task": "detect"}
    assert (session.header.producer, session.header.opset) == ("pytorch", 13)


def test_early_release_changes_no_answer() -> None:
    pictures = np.random.default_rng(3).uniform(0, 255, (1, 3, 384, 640)).astype(np.float32)
    kept, early = Session(BUNDLE, CPU), Session(BUNDLE, CPU, release_early=True)
    for ours, theirs in zip(
        early.run({"images": pictures}), kept.run({"images": pictures}), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_many_threads_run_one_session(model: Path) -> None:
    session = Session(model, CPU)
    pictures = np.zeros((1, 3, 64, 64), np.float32)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: session.run({"images": pictures}), range(40)))
    assert all((outputs[0] == 1).all() for outputs in results)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"wrong": np.zeros((1, 3, 64, 64), np.float32)},
        {"images": np.zeros((1, 3, 32, 32), np.float32)},
        {"images": np.zeros((1, 3, 64, 64), np.float64)},
        {"images": np.zeros((64, 64), np.float32)},
    ],
)
def test_an_input_that_does_not_fit_is_a_run_error(
    model: Path, inputs: dict[str, NDArray[Any]]
) -> None:
    with pytest.raises(ModelRunError) as caught:
        Session(model, CPU).run(inputs)
    assert str(model) in str(caught.value)
    assert caught.value.hint


def test_providers_that_are_not_installed_are_passed_over_once(
    model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "_passed_over", set())
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            session = Session(model, ("NoSuchExecutionProvider", *CPU))
            assert session.providers == CPU
    assert [r for r in caplog.messages if "NoSuchExecutionProvider" in r] == [
        "execution provider NoSuchExecutionProvider is not installed and passed over"
    ]


def test_no_provider_at_all_is_an_error_that_lists_those_there_are(model: Path) -> None:
    with pytest.raises(ModelLoadError, match="CPUExecutionProvider"):
        Session(model, ("NoSuchExecutionProvider",))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\n  <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"PK\x03\x04rest of a zip", "zip"),
        (b'{"head": "yolox"}', "JSON"),
        (b"\x00\x01\x02\x03", "no ONNX model"),
        (b"plain text, and no model at all", "no ONNX model"),
        (b"\x08\x08", "no ONNX model"),
    ],
)
def test_what_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        Session(path, CPU)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(ModelLoadError, match="cannot read"):
            Session(path, CPU)


def test_every_cut_of_a_model_is_refused(model: Path, tmp_path: Path) -> None:
    whole, cut = model.read_bytes(), tmp_path / "cut.onnx"
    for size in range(1, len(whole), max(1, len(whole) // 60)):
        cut.write_bytes(whole[:size])
        with pytest.raises(ModelLoadError):
            Session(cut, CPU)


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ModelLoadError, match="more than"):
        Session(path, CPU)


def test_damaged_bytes_never_crash_the_header(model: Path, tmp_path: Path) -> None:
    whole, random = bytearray(model.read_bytes()), np.random.default_rng(1)
    damaged = tmp_path / "damaged.onnx"
    for _ in range(300):
        content = bytearray(whole)
        for at in random.integers(0, len(whole), 4):
            content[at] = random.integers(0, 256)
        damaged.write_bytes(content)
        with contextlib.suppress(ModelLoadError):
            read_onnx(damaged)


def test_an_operator_that_does_not_exist_is_a_load_error(tmp_path: Path) -> None:
    made = answers({"out": np.ones((1, 2))})
    made.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelLoadError, match="NoSuchOperator"):
        Session(saved(made, tmp_path / "m.onnx"), CPU)


def test_an_operator_set_that_is_too_old_is_named(tmp_path: Path) -> None:
    made = answers({"out": np.ones((1, 2))})
    made.graph.node[0].op_type = "NoSuchOperator"
    made.opset_import[0].version = 1
    with pytest.raises(ModelLoadError, match="operator set 1.*opset 12"):
        Session(saved(made, tmp_path / "m.onnx"), CPU)


def test_an_operator_set_of_the_future_is_a_load_error(tmp_path: Path) -> None:
    made = answers({"out": np.ones((1, 2))})
    made.opset_import[0].version = 99
    with pytest.raises(ModelLoadError) as caught:
        Session(saved(made, tmp_path / "m.onnx"), CPU)
    assert "onnxruntime" in caught.value.hint


def test_weights_missing_beside_the_model_are_a_load_error(tmp_path: Path) -> None:
    made = color_classifier(np.ones((200, 3), np.float32))
    path = tmp_path / "model.onnx"
    onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert Session(path, CPU)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelLoadError):
        Session(path, CPU)


def test_a_run_that_fails_within_the_graph_is_a_run_error(tmp_path: Path) -> None:
    made = answers({"out": np.ones((1, 2))}, input_shape=("n", 3, "h", "w"))
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [7])
    made.graph.initializer.append(shape)
    made.graph.node.append(helper.make_node("Reshape", ["images", "shape"], ["seven"]))
    made.graph.output.append(helper.make_tensor_value_info("seven", 1, [7]))
    session = Session(saved(made, tmp_path / "m.onnx"), CPU)
    with pytest.raises(ModelRunError):
        session.run({"images": np.zeros((1, 3, 4, 4), np.float32)})


def test_the_runtime_is_told_not_to_report_before_it_is_imported(tmp_path: Path) -> None:
    code = (
        "import os, sys; from visionedge.settings.vendors import silence_onnxruntime;"
        "assert 'onnxruntime' not in sys.modules;"
        "import visionedge.inference.session; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "CI")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "1"
    assert not list(tmp_path.rglob("*onnxruntime*"))
