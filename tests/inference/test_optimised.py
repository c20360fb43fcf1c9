"""What the runtime made of a model is kept for the next start, and never trusted blindly."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.inference.graphs import color_classifier, saved
from tests.inference.rewritable import as_constants

from visionedge.errors import ModelLoadError
from visionedge.inference.bundle import checked_sha256
from visionedge.inference.optimised import Optimised
from visionedge.inference.session import Session

CPU = ("CPUExecutionProvider",)
WEIGHTS = np.eye(3, dtype=np.float32)[:2]
ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "pcb-defects" / "model.onnx"


def kept(model: Path, cache: Path) -> Optimised:
    return Optimised(cache, checked_sha256(model, None), CPU, ())


def answer(session: Session) -> list[np.ndarray]:
    (spec,) = session.signature.inputs
    shape = [size or 1 for size in spec.shape or ()]
    picture = np.random.default_rng(5).random(shape).astype(np.float32)
    return [np.asarray(each) for each in session.run({spec.name: picture})]


def test_the_copy_says_what_the_original_says_to_the_bit(tmp_path: Path) -> None:
    plain = Session(BUNDLE, CPU)
    copy = kept(BUNDLE, tmp_path)
    first = Session(BUNDLE, CPU, optimised=copy)
    assert copy.sound()
    second = Session(BUNDLE, CPU, optimised=copy)
    for session in (first, second):
        assert session.signature == plain.signature
        assert session.metadata == plain.metadata
        for own, theirs in zip(answer(session), answer(plain), strict=True):
            np.testing.assert_array_equal(own, theirs)


def test_the_copy_is_what_is_read_at_the_next_start(tmp_path: Path) -> None:
    model = saved(color_classifier(WEIGHTS), tmp_path / "model.onnx")
    copy = kept(model, tmp_path / "cache")
    Session(model, CPU, optimised=copy)
    other = saved(color_classifier(WEIGHTS[::-1].copy()), tmp_path / "other.onnx")
    # The original is read for its header only: whoever loads it has held it to its hash.
    model.write_bytes(other.read_bytes())
    np.testing.assert_array_equal(
        answer(Session(model, CPU, optimised=copy))[0], answer(Session(other, CPU))[0][:, ::-1]
    )


@pytest.mark.parametrize("harm", ["truncated", "flipped", "gone", "no hash", "another's hash"])
def test_a_copy_that_is_not_as_it_was_written_is_made_anew(tmp_path: Path, harm: str) -> None:
    copy = kept(BUNDLE, tmp_path)
    Session(BUNDLE, CPU, optimised=copy)
    written = bytearray(copy.path.read_bytes())
    noted = copy.path.with_suffix(".sha256")
    if harm == "truncated":
        copy.path.write_bytes(written[:1000])
    elif harm == "flipped":
        written[len(written) // 2] ^= 1
        copy.path.write_bytes(written)
    elif harm == "gone":
        copy.path.unlink()
    elif harm == "no hash":
        noted.unlink()
    else:
        noted.write_text("0" * 64)
    assert not copy.sound()
    again = answer(Session(BUNDLE, CPU, optimised=copy))
    assert copy.sound()
    np.testing.assert_array_equal(again[0], answer(Session(BUNDLE, CPU))[0])


def test_a_copy_that_cannot_be_read_gives_way_to_the_original(tmp_path: Path) -> None:
    copy = kept(BUNDLE, tmp_path)
    copy.written(lambda path: path.write_bytes(b"no model at all"))
    assert copy.sound()
    assert answer(Session(BUNDLE, CPU, optimised=copy))
    assert copy.sound()
    assert copy.path.stat().st_size > 10_000


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert answer(Session(BUNDLE, CPU, optimised=kept(BUNDLE, tmp_path / "cache")))


def test_a_bad_model_leaves_no_copy_and_its_own_error(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(BUNDLE.read_bytes()[:2000])
    copy = kept(model, tmp_path / "cache")
    with pytest.raises(ModelLoadError, match=str(model)):
        Session(model, CPU, optimised=copy)
    assert not copy.sound()
    assert not list((tmp_path / "cache").rglob("*.new"))


def test_a_copy_that_asks_for_other_inputs_is_not_kept(tmp_path: Path) -> None:
    """Old exports list their weights as inputs; the runtime's copy of one wants them given."""
    model = ROOT.parent / "shared/conformance/models/cv_cls_cat_or_dog/model.onnx"
    if not model.is_file():
        pytest.skip("the real models are not beside the project")
    copy = kept(model, tmp_path)
    plain = Session(model, CPU, rewrite=False)
    for _ in range(3):
        session = Session(model, CPU, optimised=copy, rewrite=False)
        assert session.signature == plain.signature
    assert copy.unfit
    assert not copy.path.exists()
    copy.drop()
    for _ in range(2):
        session = Session(model, CPU, optimised=copy)
        assert session.rewritten
        assert session.signature == plain.signature
        assert copy.sound()


@pytest.mark.parametrize("swapped", [False, True])
def test_no_copy_is_kept_of_weights_that_lie_beside_in_a_node(
    tmp_path: Path, swapped: bool
) -> None:
    """They may change without the file, and a copy would go on with the old ones."""
    made = color_classifier(WEIGHTS)
    onnx.save_model(
        as_constants(made),
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    model = tmp_path / "model.onnx"
    if swapped:
        kept_made = onnx.load(model, load_external_data=False)
        for node in kept_made.graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    entries = list(attribute.t.external_data)[::-1]
                    del attribute.t.external_data[:]
                    attribute.t.external_data.extend(entries)
        model.write_bytes(kept_made.SerializeToString())
    copy = kept(model, tmp_path / "cache")
    session = Session(model, CPU, optimised=copy)
    assert session.header.external == ("w.bin",)
    assert not copy.path.exists()


def test_only_the_latest_copies_are_kept(tmp_path: Path) -> None:
    for number in range(20):
        Optimised(tmp_path, f"{number:064}", CPU, ()).written(lambda path: path.write_bytes(b"x"))
    assert len(list(tmp_path.rglob("*.onnx"))) == 16
    assert len(list(tmp_path.rglob("*.sha256"))) == 16


def test_what_a_killed_trial_left_is_taken_away_in_time(tmp_path: Path) -> None:
    copy = kept(BUNDLE, tmp_path)
    folder = copy.path.parent
    folder.mkdir()
    old, young = folder / "a.1.new", folder / "b.2.new"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    copy.written(lambda path: path.write_bytes(b"x"))
    assert not old.exists()
    assert young.exists()


def test_marks_of_models_without_a_copy_are_kept_to_a_bound_too(tmp_path: Path) -> None:
    copies = [Optimised(tmp_path, f"{number:064x}", CPU, ()) for number in range(40)]
    copies[0].path.parent.mkdir()
    for number, copy in enumerate(copies):
        copy.give_up()
        os.utime(copy.path.with_suffix(".sha256"), (number, number))
    last = kept(BUNDLE, tmp_path)
    last.written(lambda path: path.write_bytes(b"x"))
    assert last.sound()
    assert [copy.unfit for copy in copies] == [False] * 25 + [True] * 15
