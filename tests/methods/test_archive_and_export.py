"""What verdicts settle on a running module is exported as a data set, where that is wanted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.__main__ import main
from visionedge.app import App
from visionedge.entities import Envelope, Kind
from visionedge.evaluation.formats import read_dataset
from visionedge.inference.image import read_image

pytestmark = pytest.mark.timeout(120)
SHORT = {"label": "short", "confidence": 0.9, "box": [0.4, 0.4, 0.6, 0.6]}


@contextmanager
def asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    **archive: Any,  # noqa: ANN401 - settings
) -> Iterator[tuple[FakeHub, list[str]]]:
    """A module whose cloud got escalations; their ids."""
    hub = FakeHub()
    monkeypatch.setattr(linkup, "choose", lambda *_: hub)
    app = App([busy_line(tmp_path, escalation={"archive": archive})], environment=os.environ)
    app.start()
    try:
        wait_until(lambda: len(escalations(hub)) >= 3, "three escalations")
        yield hub, [each.id for each in escalations(hub)[:3]]
    finally:
        app.stop(3)


def escalations(hub: FakeHub) -> list[Envelope]:
    return [each for each in hub.received if each.kind is Kind.ESCALATION]


def answer(id_: str, **said: object) -> dict[str, object]:
    return {
        "schema": "verdict/1",
        "verdict_id": f"v-{id_}",
        "escalation_id": id_,
        "verified_at": datetime.now(UTC).isoformat(),
        "verifier": {"name": "stub"},
        **said,
    }


def test_settled_escalations_are_exported_with_their_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "archive"
    with asked(tmp_path, monkeypatch, enabled=True, path=str(archive)) as (hub, ids):
        said = [
            answer(ids[0], detections=[SHORT]),
            answer(ids[1], detections=[]),
            answer(ids[2], status="unverified", reason="budget"),
        ]
        assert hub.invoke("applyVerdict", {"verdicts": said}, 30).status == 200
        again = hub.invoke("applyVerdict", {"verdicts": said}, 30)
        assert {each["status"] for each in again.payload["results"]} == {"duplicate"}
    out = tmp_path / "set"
    arguments = ["export", "--format", "yolo", "--archive", str(archive), "--out"]
    assert main([*arguments, str(out)]) == 0
    assert "2 pictures, 1 objects, 1 classes" in capsys.readouterr().out
    dataset = read_dataset(out)
    assert dataset.names == ("short",)
    assert sorted(len(picture.class_id) for picture in dataset.pictures) == [0, 1]
    assert all(read_image(picture.path) is not None for picture in dataset.pictures)
    for option in (["--camera", "line-9"], ["--outcome", "confirmed"], ["--until", "2020-01-01"]):
        assert main([*arguments, str(tmp_path / option[1]), *option]) == 0
        assert "0 pictures" in capsys.readouterr().out or option[0] == "--outcome"
    assert main([*arguments, str(out)]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_nothing_is_kept_unless_somebody_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "archive"
    with asked(tmp_path, monkeypatch, path=str(archive)) as (hub, ids):
        hub.invoke("applyVerdict", {"verdicts": [answer(ids[0], detections=[SHORT])]}, 30)
    assert not archive.exists()
    monkeypatch.setenv("VISIONEDGE__ESCALATION__ARCHIVE__PATH", str(archive))
    assert main(["export", "--format", "coco", "--out", str(tmp_path / "set")]) == 2
    assert "escalation.archive.enabled" in capsys.readouterr().err
