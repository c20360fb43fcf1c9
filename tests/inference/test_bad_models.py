"""What is no good model is refused by name, and whatever runs goes on."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.errors import (
    ModelCardError,
    ModelError,
    ModelLoadError,
    ModelUntried,
    SettingsError,
)
from visionedge.inference.model import load_model
from visionedge.inference.trial import load_tried
from visionedge.lineup import Lineup
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import ModelSettings, resolve

SETTINGS = ModelSettings(path="unused")
GOOD = color_classifier(np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3))
CARD = '{"head": "classifier", "labels": ["a", "b", "c"], "name": "t"}'
ENDLESS_S = 5.0
_PATIENCE_S = 30.0


def graph(nodes: list[onnx.NodeProto], side: int = 8) -> onnx.ModelProto:
    """A classifier of three whose answer is `out`, after `nodes` have made it of `images`."""
    shape = [1, 3, side, side]
    made = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def endless() -> onnx.ModelProto:
    """A loop over the mean of the picture that never comes to its end."""
    condition = helper.make_tensor_value_info("go", TensorProto.BOOL, [])
    value = helper.make_tensor_value_info("was", TensorProto.FLOAT, [1, 3])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sin", ["was"], ["is"]),
        ],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), condition, value],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("is", TensorProto.FLOAT, [1, 3]),
        ],
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Constant", [], ["first"], value=yes),
            helper.make_node("Loop", ["", "first", "mean"], ["out"], body=body),
        ]
    )


def huge_inside() -> onnx.ModelProto:
    """Forty gigabytes between a small input and a small output."""
    size = helper.make_tensor("size", TensorProto.INT64, [2], [100_000, 100_000])
    return graph(
        [
            helper.make_node("Constant", [], ["size"], value=size),
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("ReduceMean", ["images"], ["all"], keepdims=0),
            helper.make_node("Expand", ["all", "size"], ["large"]),
            helper.make_node("ReduceMax", ["large"], ["most"], keepdims=0),
            helper.make_node("Mul", ["mean", "most"], ["out"]),
        ]
    )


def huge_input() -> onnx.ModelProto:
    nodes = [helper.make_node("ReduceMean", ["images"], ["out"], axes=[2, 3], keepdims=0)]
    return graph(nodes, side=60_000)


def not_a_number() -> onnx.ModelProto:
    return answers({"output0": np.full((1, 7, 84), np.nan)})


def old_operators() -> onnx.ModelProto:
    node = helper.make_node("BatchNormalization", ["images"] * 5, ["out"], consumed_inputs=[0, 0])
    model = graph([node])
    model.opset_import[0].version = 1
    return model


def foreign_operators() -> onnx.ModelProto:
    model = graph([helper.make_node("Weld", ["images"], ["out"], domain="com.example")])
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


def operators_to_come() -> onnx.ModelProto:
    model = graph([helper.make_node("ReduceMean", ["images"], ["out"], axes=[2, 3], keepdims=0)])
    model.ir_version = 99
    return model


def external(location: str) -> bytes:
    model = onnx.ModelProto()
    model.CopyFrom(GOOD)
    weights = model.graph.initializer[0]
    weights.data_location = TensorProto.EXTERNAL
    weights.ClearField("raw_data")
    weights.external_data.add(key="location", value=location)
    return bytes(model.SerializeToString())


BAD: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "html": (lambda: b"<!DOCTYPE html><html>", "a web page"),
    "truncated": (lambda: GOOD.SerializeToString()[:-40], "only a part of one"),
    "corrupt": (lambda: bytes(range(1, 255)) * 9, "no ONNX model"),
    "weights missing": (lambda: external("w.data"), "`w.data`, which is not beside it"),
    "weights outside": (lambda: external("../../etc/passwd"), "outside its folder"),
    "old operators": (old_operators, "export it again with opset 12"),
    "not a number": (not_a_number, "card"),
    "huge inside": (huge_inside, "too large for this device"),
    "tensorflow lite": (lambda: b"\x1c\0\0\0TFL3" + bytes(64), "a TensorFlow Lite model"),
    "operators of their own": (foreign_operators, "operators that are not ONNX's own"),
    "operators to come": (operators_to_come, "Unsupported model IR version: 99"),
    "huge input": (huge_input, "wants more than 4 GiB"),
}


def bundle(folder: Path, content: onnx.ModelProto | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    raw = content if isinstance(content, bytes) else content.SerializeToString()
    (folder / "model.onnx").write_bytes(raw)
    if isinstance(content, onnx.ModelProto) and content.graph.name == "hostile":
        (folder / "model.json").write_text(CARD)
    return folder


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_model_is_refused_with_the_mend(kind: str, tmp_path: Path) -> None:
    build, said = BAD[kind]
    with pytest.raises(ModelError) as caught:
        load_tried(bundle(tmp_path / "bad", build()), SETTINGS, tmp_path / "cache")
    assert said in str(caught.value)
    assert caught.value.hint
    assert not (tmp_path / "cache" / "proofs").exists()


def test_a_wrong_number_of_labels_is_a_fault_of_the_card(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bad", GOOD)
    (folder / "labels.txt").write_text("a\nb")
    with pytest.raises(ModelCardError, match="2 labels for a model with 3 classes") as caught:
        load_tried(folder, SETTINGS, tmp_path / "cache")
    assert "labels.txt" in caught.value.hint


def test_a_graph_that_runs_for_ever_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="within 5 s") as caught:
        load_tried(bundle(tmp_path / "bad", endless()), SETTINGS, tmp_path, deadline_s=ENDLESS_S)
    assert "runs for ever" in caught.value.hint


@pytest.mark.parametrize(
    ("by", "kind", "hint"),
    [
        (signal.SIGSEGV, ModelLoadError, "do not deploy"),
        # By the kernel's memory killer, most likely: that is no word about the model.
        (signal.SIGKILL, ModelUntried, "no memory left"),
    ],
)
def test_a_trial_that_is_ended_becomes_an_error(
    tmp_path: Path, by: signal.Signals, kind: type[ModelError], hint: str
) -> None:
    folder = bundle(tmp_path / "bad", endless())
    mine, over = threading.get_native_id(), threading.Event()

    def crash() -> None:
        while not over.wait(0.02):
            children = Path(f"/proc/self/task/{mine}/children").read_text().split()
            for child in children:
                os.kill(int(child), by)

    killer = threading.Thread(target=crash)
    killer.start()
    try:
        with pytest.raises(ModelLoadError, match=by.name) as caught:
            load_tried(folder, SETTINGS, tmp_path, deadline_s=_PATIENCE_S)
    finally:
        over.set()
        killer.join()
    assert type(caught.value) is kind
    assert hint in caught.value.hint


def proofs(cache: Path) -> set[str]:
    return {path.name for path in (cache / "proofs").iterdir()}


def test_a_trial_is_spared_by_a_ctrl_c_and_stays_in_our_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of its own would be given half of the processor, however low its priority."""
    found = tmp_path / "found"
    child = tmp_path / "child"
    child.write_text(
        f"#!{sys.executable}\nimport os\n"
        f"open({str(found)!r}, 'w').write(f'{{os.getsid(0)}} {{os.getpgrp()}}')\nprint('{{}}')\n"
    )
    child.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(child))
    bundle = Path(__file__).parents[2] / "models" / "pcb-defects"
    load_tried(bundle, ModelSettings(path="-"), tmp_path / "cache")
    session, group = map(int, found.read_text().split())
    assert session == os.getsid(0)
    assert group != os.getpgrp()


def test_a_proof_spares_the_trial_until_model_or_card_change(tmp_path: Path) -> None:
    folder, cache = bundle(tmp_path / "good", GOOD), tmp_path / "cache"
    load_tried(folder, SETTINGS, cache)
    first = proofs(cache)
    assert len(first) == 1
    # No child could start and answer within this.
    load_tried(folder, SETTINGS, cache, deadline_s=0.001)
    (folder / "labels.txt").write_text("a\nb\nc")
    (folder / "model.json").write_text('{"name": "t"}')
    with pytest.raises(ModelLoadError, match=r"within 0\.001 s"):
        load_tried(folder, SETTINGS, cache, deadline_s=0.001)
    assert proofs(cache) == first


def test_a_cache_that_cannot_be_written_costs_a_trial_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    model = load_tried(bundle(tmp_path / "good", GOOD), SETTINGS, tmp_path / "cache")
    assert model.card.head == "classifier"


def test_a_running_lineup_keeps_its_model(tmp_path: Path) -> None:
    good = saved(GOOD, tmp_path / "good" / "model.onnx").parent
    bad = bundle(tmp_path / "bad", huge_inside())
    lineup = Lineup(LatestSlots(), Metrics(), lambda *_: None)

    def settings(path: Path) -> dict[str, object]:
        return {
            "models": {"default": {"path": str(path)}},
            "cameras": {"line": {"kind": "pattern", "width_px": 160, "height_px": 120, "fps": 1}},
            "spool": {"path": str(tmp_path / "spool.db")},
        }

    try:
        lineup.swap(lineup.prepare(resolve([settings(good)]), 1))
        running = lineup.models["default"]
        with pytest.raises(SettingsError) as caught:
            lineup.prepare(resolve([settings(bad)]), 2)
        assert "models.default" in caught.value.fields
        assert lineup.models["default"] is running
        running.runner().infer(np.zeros((8, 8, 3), np.uint8))
    finally:
        lineup.stop(5)


def test_a_plain_load_needs_no_trial(tmp_path: Path) -> None:
    load_model(bundle(tmp_path / "good", GOOD), SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good"]


def test_a_path_that_cannot_be_looked_at_is_refused_by_its_setting() -> None:
    lineup = Lineup(LatestSlots(), Metrics(), lambda *_: None)
    with pytest.raises(SettingsError, match="cannot look at") as caught:
        lineup.prepare(resolve([{"models": {"default": {"path": "a" * 300}}}]), 1)
    assert "models.default" in caught.value.fields
