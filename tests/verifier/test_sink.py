"""What was verified is kept to train from: of each class as much as there is room for."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.azurite import azurite_container
from tests.support.cloud import LAPTOP, META, Cloud, PlayedBackend, body, jpeg

from verifier.admit import Meta
from verifier.budget import Budget
from verifier.core import Kind
from verifier.dataset.sink import Sink
from verifier.opinion import Opinion, Seen
from verifier.stores.blob_shelf import BlobShelf
from visionedge.datasets.collection import Collection
from visionedge.datasets.sample import Sample
from visionedge.datasets.shelf import FolderShelf, Shelf

SPUR = Opinion(objects=(Seen("spur", 0.9, (0.1, 0.1, 0.5, 0.5)),))


def kept(cloud: Cloud, shelf: Shelf, *agreements: str, per_class: int | None = None) -> Sink:
    """The cloud's core keeps what it verifies."""
    room = Budget(cloud.store, cloud.clock, per_hub=None, per_device=per_class, prefix="samples/")
    sink = Sink(Collection(shelf), room, cloud.clock, 30, agreements)
    cloud.core = replace(cloud.core, keep=sink.keep)
    return sink


def ask(cloud: Cloud, *ids: str, meta: Meta = META) -> None:
    for shade, id_ in enumerate(ids):
        message = body(id_, picture=jpeg(shade=shade), now=cloud.clock.utc())
        assert cloud.core.handle(message, meta).kind is Kind.VERIFIED


def samples(shelf: Shelf) -> list[Sample]:
    return sorted(Collection(shelf).samples(), key=lambda each: (each.device, each.id))


def folder(request: pytest.FixtureRequest) -> Shelf:
    tmp_path: Path = request.getfixturevalue("tmp_path")
    return FolderShelf(tmp_path / "shelf")


def blobs(request: pytest.FixtureRequest) -> Shelf:
    return BlobShelf(azurite_container(request), "dataset/v1")


@pytest.fixture(params=[folder, blobs], ids=["folder", "blobs"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    made: Shelf = request.param(request)
    return made


def test_a_shelf_gives_back_what_was_put_there(shelf: Shelf) -> None:
    assert list(shelf.keys()) == []
    assert shelf.read("2026/11/21/a.jpg") is None
    shelf.delete("2026/11/21/a.jpg")
    shelf.write("2026/11/21/a.jpg", b"one")
    shelf.write("2026/11/21/a.jpg", b"two")
    shelf.append("2026/11/21/index.jsonl", b"1")
    shelf.append("2026/11/21/index.jsonl", b"2\n")
    assert shelf.read("2026/11/21/a.jpg") == b"two"
    assert shelf.read("2026/11/21/index.jsonl") == b"1\n2\n"
    assert list(shelf.keys()) == ["2026/11/21/a.jpg", "2026/11/21/index.jsonl"]
    shelf.delete("2026/11/21/a.jpg")
    assert list(shelf.keys()) == ["2026/11/21/index.jsonl"]


def test_a_verified_escalation_is_kept_with_picture_prediction_and_verdict(shelf: Shelf) -> None:
    cloud = Cloud()
    kept(cloud, shelf)
    ask(cloud, "a")
    (sample,) = samples(shelf)
    assert (sample.id, sample.device, sample.module) == ("a", "line-1", "visionedge")
    assert sample.verdict.agreement == "confirm"
    assert sample.escalation.prediction.detections[0].label == "laptop"
    assert sample.escalation.image.masked == 0
    assert Collection(shelf).jpeg(sample) == jpeg(shade=0)


def test_two_devices_that_use_one_id_keep_two_samples(tmp_path: Path) -> None:
    cloud, shelf = Cloud(cache_days=0), FolderShelf(tmp_path)
    kept(cloud, shelf)
    ask(cloud, "a")
    ask(cloud, "a", meta=Meta("line-2", "visionedge"))
    assert [each.device for each in samples(shelf)] == ["line-1", "line-2"]
    assert len({each.picture for each in samples(shelf)}) == 2


def test_a_class_that_is_full_gives_way_to_one_that_is_not(tmp_path: Path) -> None:
    cloud = Cloud(backends=[PlayedBackend([LAPTOP, LAPTOP, LAPTOP, SPUR])], cache_days=0)
    shelf = FolderShelf(tmp_path)
    kept(cloud, shelf, per_class=2)
    ask(cloud, "a", "b", "c", "d")
    assert [each.id for each in samples(shelf)] == ["a", "b", "d"]
    cloud.clock.advance(86_400)
    cloud.backends[0].answers = [LAPTOP]
    ask(cloud, "e")
    assert "e" in [each.id for each in samples(shelf)]


def test_only_verdicts_that_are_wanted_are_kept(tmp_path: Path) -> None:
    cloud = Cloud(backends=[PlayedBackend([LAPTOP, SPUR])], cache_days=0)
    shelf = FolderShelf(tmp_path)
    kept(cloud, shelf, "correct", "reject")
    ask(cloud, "a", "b")
    assert [(each.id, each.verdict.agreement) for each in samples(shelf)] == [("b", "correct")]


def test_what_was_given_up_teaches_nothing_and_is_not_kept(tmp_path: Path) -> None:
    cloud, shelf = Cloud(per_hub=0), FolderShelf(tmp_path)
    kept(cloud, shelf)
    ask(cloud, "a")
    assert samples(shelf) == []


def test_a_shelf_that_is_away_costs_the_sample_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "shelf").write_text("no folder")
    cloud = Cloud()
    kept(cloud, FolderShelf(tmp_path / "shelf"))
    ask(cloud, "a")
    cloud.courier.turn()
    assert cloud.states() == {"a": "delivered"}
    assert "a is no sample" in caplog.text


def test_what_is_too_old_is_forgotten_once_a_day(shelf: Shelf) -> None:
    cloud = Cloud(cache_days=0)
    sink = kept(cloud, shelf)
    ask(cloud, "a")
    sink.forget()
    assert len(samples(shelf)) == 1
    cloud.clock.advance(31 * 86_400)
    ask(cloud, "b")
    sink.forget()
    assert [each.id for each in samples(shelf)] == ["b"]
