"""A rewritten model says what its original says, and what cannot be proven is not run."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from tests.inference.graphs import saved
from tests.inference.rewritable import as_constants, as_inputs, as_lists, focus, hard_swish

from visionedge.inference import rewritten as rewritten_module
from visionedge.inference.bundle import checked_sha256
from visionedge.inference.optimised import Optimised
from visionedge.inference.proof import MARK, RULES
from visionedge.inference.rewritten import alike, answers, rewritten
from visionedge.inference.session import Session
from visionedge.inference.tensors import Signature, TensorSpec

CPU = ("CPUExecutionProvider",)
REAL = Path(__file__).parents[3] / "shared" / "conformance" / "models"


def plain(model: Path) -> ort.InferenceSession:
    """The runtime's own session, without anything of ours."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, CPU)


def noise(shape: tuple[int, ...] = (1, 3, 32, 48), dtype: type = np.float32) -> NDArray[Any]:
    return np.random.default_rng(8).normal(0, 4, shape).astype(dtype)


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


def folded(model: onnx.ModelProto, folder: Path) -> Path:
    """The model as written; fails unless it is run in fewer steps, with the same answers."""
    path = saved(model, folder / "model.onnx")
    session = Session(path, CPU)
    assert session.rewritten
    free = [size if isinstance(size, int) else 64 for size in plain(path).get_inputs()[0].shape]
    picture = noise(tuple(free))
    for ours, theirs in zip(
        session.run({"images": picture}), plain(path).run(None, {"images": picture}), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    return path


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"order": ((0, 0), (0, 1), (1, 0), (1, 1))},
        {"order": ((1, 1), (0, 1), (1, 0), (0, 0))},
        {"at_once": True},
        {"end": 2**31 - 1},
        {"joined_axis": -3},
        {"kernel": 1},
        {"kernel": 5},
        {"strides": [2, 2]},
        {"strides": [1, 2], "pads": [0, 1, 2, 0]},
        {"sizes": ("h", "w")},
    ],
    ids=str,
)
def test_a_focus_is_one_convolution(tmp_path: Path, given: dict[str, Any]) -> None:
    content = rewritten(folded(focus(**given), tmp_path))
    assert content is not None
    onnx.checker.check_model(content)
    assert operators(content) == ["Conv", "Relu"]


def test_a_focus_is_found_however_its_numbers_are_kept(tmp_path: Path) -> None:
    for number, change in enumerate((as_constants, as_lists)):
        content = rewritten(folded(change(focus()), tmp_path / str(number)))
        assert content is not None
        assert "Slice" not in operators(content)


def test_what_else_is_read_of_a_focus_stays(tmp_path: Path) -> None:
    content = rewritten(folded(focus(shown=("joined",)), tmp_path / "all"))
    assert content is not None
    assert operators(content).count("Slice") == 8
    content = rewritten(folded(focus(shown=("images_2",)), tmp_path / "one"))
    assert content is not None
    assert operators(content) == ["Slice", "Conv", "Relu"]


@pytest.mark.parametrize(
    "given",
    [
        {"order": ((0, 0), (1, 0), (0, 1), (0, 1))},
        {"end": 30},
        {"step": 1, "order": ((0, 0),) * 4},
        {"joined_axis": 2, "weights": np.ones((5, 3, 3, 3), np.float32)},
        {"group": 2, "weights": np.ones((4, 6, 3, 3), np.float32)},
        {"dilations": [2, 2]},
        {"auto_pad": "SAME_UPPER", "pads": None},
    ],
    ids=str,
)
def test_what_is_no_focus_is_run_as_it_is(tmp_path: Path, given: dict[str, Any]) -> None:
    given = {name: value for name, value in given.items() if name != "pads"}
    made = focus(**given)
    if "auto_pad" in given:
        (conv,) = (node for node in made.graph.node if node.op_type == "Conv")
        conv.attribute.remove(next(each for each in conv.attribute if each.name == "pads"))
    path = saved(made, tmp_path / "model.onnx")
    plain(path).run(None, {"images": noise()})
    assert rewritten(path) is None
    assert not Session(path, CPU).rewritten


@pytest.mark.parametrize("swapped", [False, True])
def test_a_hard_swish_is_two_steps(tmp_path: Path, swapped: bool) -> None:
    content = rewritten(folded(hard_swish(swapped=swapped), tmp_path))
    assert content is not None
    assert operators(content) == ["Add", "HardSigmoid", "Mul"]


def test_what_else_is_read_of_a_hard_swish_stays(tmp_path: Path) -> None:
    content = rewritten(folded(hard_swish(shown=("clipped",)), tmp_path))
    assert content is not None
    assert operators(content) == ["Add", "Add", "Clip", "HardSigmoid", "Mul"]


@pytest.mark.parametrize(
    "given",
    [{"shift": 2.0}, {"bounds": (0.0, 5.0)}, {"bounds": (-1.0, 6.0)}, {"divisor": 5.0}]
    + [{"of": "twice"}],
    ids=str,
)
def test_what_is_no_hard_swish_is_run_as_it_is(tmp_path: Path, given: dict[str, Any]) -> None:
    assert rewritten(saved(hard_swish(**given), tmp_path / "model.onnx")) is None


@pytest.mark.parametrize("ir_version", [3, 7])
def test_weights_are_no_inputs(tmp_path: Path, ir_version: int) -> None:
    made = as_inputs(hard_swish(of="twice"), ir_version)
    content = rewritten(folded(made, tmp_path))
    assert content is not None
    onnx.checker.check_model(content)
    model = onnx.load_from_string(content)
    assert [each.name for each in model.graph.input] == ["images"]
    assert model.ir_version == max(4, ir_version)
    assert {each.name for each in model.graph.initializer} == {"shift", "low", "high", "divisor"}


def test_rules_add_up(tmp_path: Path) -> None:
    """New weights need not be inputs either, which an old version of the format asks of all."""
    model = saved(as_inputs(focus()), tmp_path / "model.onnx")
    copy = Optimised(tmp_path / "cache", checked_sha256(model, None), CPU, RULES)
    for optimised in (copy, copy, None):
        assert Session(model, CPU, optimised=optimised).rewritten == "focus, weights as inputs"
    assert copy.sound()


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("yolox_nano", "focus"),
        ("picodet_s_416", "hard swish, weights as inputs"),
        ("ultraface_rfb_320", "weights as inputs"),
        ("squeezenet_fp16", "weights as inputs"),
        ("cv_cls_cat_or_dog", "weights as inputs"),
    ],
)
def test_real_models_are_run_in_fewer_steps(name: str, rules: str) -> None:
    path = REAL / name / "model.onnx"
    if not path.is_file():
        pytest.skip("the real models are not beside the project")
    session = Session(path, CPU)
    assert session.rewritten == rules
    (spec,) = session.signature.inputs
    picture = np.random.default_rng(2).uniform(0, 255, [size or 1 for size in spec.shape])
    inputs = {spec.name: picture.astype(spec.dtype)}
    assert alike([session.run(inputs)], [plain(path).run(None, inputs)])


def test_the_kept_copy_is_of_the_rewritten_model(tmp_path: Path) -> None:
    model = saved(focus(), tmp_path / "model.onnx")
    copy = Optimised(tmp_path / "cache", checked_sha256(model, None), CPU, RULES)
    first, second = (Session(model, CPU, optimised=copy) for _ in range(2))
    assert copy.sound()
    assert "Slice" not in operators(copy.path.read_bytes())
    for session in (first, second):
        assert session.rewritten == "focus"
        assert session.metadata == {"task": "detect"}
        assert str(session.signature) == str(Session(model, CPU).signature)
    picture = {"images": noise()}
    np.testing.assert_array_equal(first.run(picture)[0], second.run(picture)[0])


def test_a_rewritten_model_that_says_otherwise_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a rule gets wrong, here one weight of 540: the original is what is run and kept."""
    model = saved(focus(), tmp_path / "model.onnx")
    off = focus()
    weights = next(tensor for tensor in off.graph.initializer if tensor.name == "weights")
    array = np.frombuffer(weights.raw_data, np.float32).copy()
    array[100] += 0.01
    weights.raw_data = array.tobytes()
    helper.set_model_props(off, {MARK: "focus"})
    monkeypatch.setattr(rewritten_module, "rewritten", lambda _: off.SerializeToString())
    copy = Optimised(tmp_path / "cache", checked_sha256(model, None), CPU, RULES)
    for optimised in (None, copy, copy):
        with caplog.at_level(logging.WARNING):
            session = Session(model, CPU, optimised=optimised)
        assert not session.rewritten
        np.testing.assert_array_equal(
            session.run({"images": noise()})[0], plain(model).run(None, {"images": noise()})[0]
        )
    assert (
        caplog.messages
        == [f"{model} is run as it is: in fewer steps it gives other answers, or none"] * 2
    ), "the second start reads the copy"


@pytest.mark.parametrize("content", [b"no model", b"", "another signature"])
def test_a_rewritten_model_that_does_not_load_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | str
) -> None:
    model = saved(focus(), tmp_path / "model.onnx")
    other = focus(shown=("joined",)).SerializeToString() if isinstance(content, str) else content
    monkeypatch.setattr(rewritten_module, "rewritten", lambda _: other)
    session = Session(model, CPU)
    assert not session.rewritten
    assert len(session.run({"images": noise()})) == 1


def test_a_name_that_only_an_inner_graph_reads_keeps_the_original(tmp_path: Path) -> None:
    made = focus()
    inner = helper.make_graph(
        [helper.make_node("Identity", ["joined"], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, None)],
    )
    flag = helper.make_tensor("flag", onnx.TensorProto.BOOL, [], [True])
    made.graph.initializer.append(flag)
    made.graph.node.append(
        helper.make_node("If", ["flag"], ["chosen"], then_branch=inner, else_branch=inner)
    )
    made.graph.output.append(helper.make_tensor_value_info("chosen", onnx.TensorProto.FLOAT, None))
    path = saved(made, tmp_path / "model.onnx")
    session = Session(path, CPU)
    assert not session.rewritten
    assert len(session.run({"images": noise()})) == 2


def _with(made: onnx.ModelProto, name: str, value: NDArray[Any]) -> onnx.ModelProto:
    """The model with another constant in the place of one."""
    for tensor in made.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(value, name))
    return made


def _clashing(made: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with a constant that has the name which a rule would give."""
    tensor = numpy_helper.from_array(np.ones(1, np.float32), name)
    made.graph.node.insert(0, helper.make_node("Constant", [], [name], value=tensor))
    return made


def _looping(made: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a loop in it, which may go on for ever on what it was not made for."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"])],
        "body",
        [
            helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("goes", onnx.TensorProto.BOOL, [])],
    )
    for name, value in (("times", np.array(2)), ("yes", np.array(True))):
        made.graph.initializer.append(numpy_helper.from_array(value, name))
    made.graph.node.append(helper.make_node("Loop", ["times", "yes"], [], body=body))
    return made


@pytest.mark.parametrize(
    "made",
    [
        _with(hard_swish(), "divisor", np.full((1, 1, 1, 1, 1), 6, np.float32)),
        _with(focus(at_once=True), "list2_2", np.array([2.0, 2.0], np.float32)),
        _with(focus(), "weights", np.ones((2500, 12, 6, 6), np.float32)),
        _clashing(focus(), "sums/rewritten"),
        _clashing(hard_swish(), "out/rewritten"),
        _looping(focus()),
    ],
    ids=["more dimensions", "a list of floats", "large", "a name", "another name", "a loop"],
)
def test_what_is_not_sure_is_run_as_it_is(tmp_path: Path, made: onnx.ModelProto) -> None:
    assert rewritten(saved(made, tmp_path / "model.onnx")) is None


def test_a_name_that_is_no_text_is_not_taken_for_another(tmp_path: Path) -> None:
    path = saved(hard_swish(), tmp_path / "model.onnx")
    assert rewritten(path) is not None
    path.write_bytes(path.read_bytes().replace(b"shifted", b"shifte\xff"))
    assert rewritten(path) is None


def test_the_file_is_run_where_it_cannot_be_run_on_noise(tmp_path: Path) -> None:
    made = focus(sizes=("h", "w"))
    made.graph.node.append(helper.make_node("Reshape", ["out", "shape"], ["flat"]))
    made.graph.initializer.append(numpy_helper.from_array(np.array([5, 16, 24]), "shape"))
    made.graph.output.append(helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, None))
    session = Session(saved(made, tmp_path / "model.onnx"), CPU)
    assert not session.rewritten
    assert session.run({"images": noise()})[1].shape == (5, 16, 24)


def test_damaged_bytes_are_left_to_the_runtime(tmp_path: Path) -> None:
    whole, random = focus().SerializeToString(), np.random.default_rng(6)
    path = tmp_path / "model.onnx"
    for number in range(400):
        content = bytearray(whole)
        for at in random.integers(0, len(content), 3):
            content[at] = random.integers(0, 256)
        path.write_bytes(content if number % 2 else content[: random.integers(0, len(content))])
        changed = rewritten(path)
        assert changed is None or MARK.encode() in changed


def test_a_graph_of_too_many_nodes_or_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(focus(), tmp_path / "model.onnx")
    monkeypatch.setattr("visionedge.inference.onnx_graph._MAX_NODES", 10)
    assert rewritten(path) is None
    monkeypatch.undo()
    monkeypatch.setattr("visionedge.inference.rewritten._MAX_BYTES", 100)
    assert rewritten(path) is None
    assert rewritten(tmp_path / "missing.onnx") is None


def test_answers_are_compared_by_shape_size_and_kind() -> None:
    spec = TensorSpec("images", (None, 3, None, 8), np.dtype(np.float32))
    signature = Signature((spec,), (spec,))
    seen: list[tuple[int, ...]] = []

    def run(inputs: dict[str, NDArray[Any]]) -> list[Any]:
        seen.append(inputs["images"].shape)
        return [inputs["images"]]

    said = answers(signature, run)
    assert set(seen) == {(1, 3, 64, 8)}
    assert alike(answers(signature, run), said)
    for other in (
        lambda inputs: [inputs["images"] * 1.01],
        lambda inputs: [inputs["images"][..., :4]],
        lambda inputs: [inputs["images"].astype(np.float64)],
        lambda inputs: [[{"a": 1.0}]],
        lambda inputs: [np.where(inputs["images"] > 0.5, np.nan, inputs["images"])],
    ):
        assert not alike(answers(signature, other), said)


def test_small_scores_are_compared_beside_large_boxes_and_what_is_no_number_never() -> None:
    """Both ways to lay an answer out, and scores of thousands of classes."""
    random = np.random.default_rng(3)
    boxes, scores = random.uniform(0, 600, (1, 40, 4)), random.uniform(0, 0.01, (1, 40, 8))
    rows = np.concatenate([boxes, scores], axis=2)
    other = np.concatenate([boxes, scores[..., ::-1]], axis=2)
    classes = random.dirichlet(np.ones(4000))[np.newaxis]
    for ours, theirs in (
        (other, rows),
        (other.transpose(0, 2, 1), rows.transpose(0, 2, 1)),
        (classes[:, ::-1], classes),
    ):
        assert alike([[theirs]], [[theirs * (1 + 1e-5)]])
        assert not alike([[ours]], [[theirs]])
    for number in (np.nan, np.inf):
        nothing = np.full((1, 4), number)
        assert not alike([[nothing]], [[nothing]])


def test_answers_by_label_and_names_are_compared_too() -> None:
    """As converters of other libraries write classifiers, and Custom Vision with them."""
    names, shares = np.array(["cat"]), [{"cat": 0.75, "dog": 0.25}]
    assert alike([[names, shares]], [[names.copy(), [{"cat": 0.75001, "dog": 0.25}]]])
    for other in (
        [np.array(["dog"]), shares],
        [names, [{"cat": 0.75, "dog": 0.26}]],
        [names, [{"cat": 0.75, "bird": 0.25}]],
        [names, [*shares, *shares]],
        [names, []],
        [names, [names]],
        [names, shares[0]],
    ):
        assert not alike([[names, shares]], [other])
        assert not alike([other], [[names, shares]])
